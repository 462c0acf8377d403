//! Steps: components, uploaded piece by piece and inspected before they are kept.

use std::sync::Arc;

use axum::http::{HeaderName, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use stepbox::batch::inventory;
use stepbox::{COMPONENT_BYTES_MAX, ErrorKind, SIGNATURE_BYTES_MAX, Upload};
use stepbox_api::connector::Component;
use stepbox_api::request::PullComponent;
use stepbox_registry::{Credentials, Pull, PullError, Reach};

use crate::access::{Edit, May, Steps, View};
use crate::conventions::answer::{Created, Done, Shown};
use crate::conventions::asking::Asking;
use crate::conventions::body::spool;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, Caller, InPath, Input, With};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::conventions::spooled::Spooled;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/steps", "The components.", list)
        .post("/tenants/{tenant}/steps", "Upload a component: it is checked, and then kept.", upload)
        .post(
            "/tenants/{tenant}/steps/pull",
            "Pull a component from an OCI registry: it is checked, and then kept.",
            pull,
        )
        .post("/tenants/{tenant}/steps/inspect", "Check a component, and keep nothing.", inspect)
        .get("/tenants/{tenant}/steps/{reference}", "A component, and what it says of itself.", show)
        .delete("/tenants/{tenant}/steps/{reference}", "Remove a component that nothing needs.", remove)
}

const WASM: &str = "application/wasm";
const SIGNATURE: HeaderName = HeaderName::from_static("stepbox-signature");

/// A component that has arrived, with its signature.
struct Arrived {
    body: Spooled,
    signature: Option<String>,
}

impl Input for Arrived {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let signature = signature(asking)?;
        let folder = asking.tools.spool.clone();
        let body = spool(asking, &[WASM], COMPONENT_BYTES_MAX as u64, &folder).await?;
        Ok(Self { body, signature })
    }

    fn describe(operation: &mut Describing) {
        operation.body(&[(WASM, json!({ "type": "string", "format": "binary" }))], true);
        let text = "The text of a `minisign` signature, as base64. Needed if the policy asks for signatures.";
        operation.parameter("header", "Stepbox-Signature", false, json!({ "type": "string" }), text);
    }
}

/// The text of a signature, from its header.
fn signature(asking: &Asking) -> Result<Option<String>, Failure> {
    let Some(text) = asking.header(&SIGNATURE)? else { return Ok(None) };
    let invalid = || {
        let detail = "the header `stepbox-signature` is no base64 of a signature";
        Failure::bad_request("header-invalid", detail)
    };
    if text.len() > 2 * SIGNATURE_BYTES_MAX {
        return Err(invalid());
    }
    let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
    String::from_utf8(bytes).map(Some).map_err(|_| invalid())
}

/// What a signature is called in messages, which put the name into backticks: the header it comes in.
const SIGNATURE_NAME: &str = "stepbox-signature";

fn signed<'a>(bytes: &'a [u8], signature: Option<&'a str>) -> Upload<'a> {
    Upload { bytes, signature, signature_file: SIGNATURE_NAME }
}

async fn list(
    may: May<View, Steps>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<Component>, Failure> {
    let components = may.tenant().components().await?;
    // By name, and the newest first, which is the one that the name alone means.
    let key = |component: &inventory::Component| {
        let age = i64::MAX - component.uploaded_at.0;
        format!("{}\n{age:020} {}", component.name, component.digest)
    };
    Ok(List::of(page, components, key, Component::of))
}

async fn upload(
    may: May<Edit, Steps>,
    (With(tools), Caller(who), arrived): (With, Caller, Arrived),
) -> Result<Created<Component>, Failure> {
    tools.limits.upload(&who)?;
    let (bytes, signature) = (arrived.body.into_bytes().await?, arrived.signature);
    let component = may.tenant().upload(signed(&bytes, signature.as_deref())).await?;
    let at = format!("steps/{}", component.digest);
    Ok(Created { at, version: None, thing: Component::of(&component) })
}

/// What another server has to give, which may not do so.
struct OfRegistry;

impl Input for OfRegistry {
    async fn read(_: &mut Asking) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn describe(operation: &mut Describing) {
        operation.problem(502, "The registry refuses, or does not answer as it should.");
    }
}

/// The user names the registry, and the registry its redirects and its login. So requests go only where the requests of the
/// tenant's own steps might go, with the credentials of the request and no others.
async fn pull(
    may: May<Edit, Steps>,
    (With(tools), Caller(who), OfRegistry, Body(asked)): (With, Caller, OfRegistry, Body<PullComponent>),
) -> Result<Created<Component>, Failure> {
    tools.limits.upload(&who)?;
    let _place = tools.limits.pull(&who)?;
    let PullComponent { reference, username, password, plain_http, auth_hosts, signature } = asked;
    let credentials = match (username, password) {
        (Some(username), Some(password)) => Some(Credentials { username, password }),
        (None, None) => None,
        _ => {
            return Err(Failure::bad_request(
                "body-invalid",
                "a user name needs a password, and the other way round",
            ));
        }
    };
    if signature.as_ref().is_some_and(|signature| signature.len() > SIGNATURE_BYTES_MAX) {
        return Err(Failure::bad_request("body-invalid", "the signature is too long for one"));
    }
    let policy = may.tenant().policy();
    let reach = Reach::Policy {
        network: policy.network,
        refusal: Arc::new(move |url| policy.http.refusal(&Method::GET, url)),
    };
    let wanted = Pull {
        reference: &reference,
        credentials,
        plain_http,
        auth_hosts: &auth_hosts,
        bytes_max: COMPONENT_BYTES_MAX,
        reach,
    };
    let bytes = stepbox_registry::pull(wanted).await.map_err(|error| not_pulled(&error))?;
    let upload = Upload { bytes: &bytes, signature: signature.as_deref(), signature_file: "`signature`" };
    let component = may.tenant().upload(upload).await?;
    let at = component.digest.to_string();
    Ok(Created { at, version: None, thing: Component::of(&component) })
}

fn not_pulled(error: &PullError) -> Failure {
    let (code, detail) = (error.code(), error.to_string());
    let failure = match error.kind() {
        // The registry is at fault, or the way to it.
        ErrorKind::Unexpected => Failure::bad_gateway(code, &detail, detail.clone()),
        kind => Failure::new(kind, code, detail),
    };
    match error.help() {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

async fn inspect(
    may: May<Edit, Steps>,
    (With(tools), Caller(who), arrived): (With, Caller, Arrived),
) -> Result<Shown<Component>, Failure> {
    tools.limits.upload(&who)?;
    let (bytes, signature) = (arrived.body.into_bytes().await?, arrived.signature);
    let inspected = may.tenant().inspect_component(&bytes).await?;
    // A wrong signature is no error here: people inspect a component before they sign it.
    let signer = may.tenant().signer_of(signed(&bytes, signature.as_deref())).ok().flatten();
    Ok(Shown(Component {
        digest: inspected.digest.to_string(),
        name: inspected.description.name.clone(),
        version: inspected.description.version.clone(),
        world: inspected.world.to_string(),
        size_bytes: bytes.len() as u64,
        uploaded_at: None,
        signed_by: signer.map(|signer| signer.name),
        description: inspected.description.to_json(),
    }))
}

async fn show(may: May<View, Steps>, InPath(reference): InPath<'r'>) -> Result<Shown<Component>, Failure> {
    Ok(Shown(Component::of(&may.tenant().component(&reference).await?)))
}

async fn remove(may: May<Edit, Steps>, InPath(reference): InPath<'r'>) -> Result<Done, Failure> {
    let component = may.tenant().component(&reference).await?;
    may.tenant().remove_component(&component.digest).await?;
    Ok(Done)
}
