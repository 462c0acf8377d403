//! `stepbox steps`: components for steps.

use std::path::Path;

use serde_json::Value;
use stepbox::batch::inventory::Component;
use stepbox::batch::visible::Visible;
use stepbox::{ComponentError, Error, Tenant, Upload, receive_component};
use stepbox_api::connector;
use tokio::fs::File;

use crate::args::{FormatArg, Steps};
use crate::error::CliError;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::words::{self, bytes};
use crate::output::{Answer, talk};
use crate::pull::{Pull, pull};
use crate::signature::Signature;

pub(crate) async fn carry_out(tenant: &Tenant, verb: Steps) -> Result<Answer, CliError> {
    match verb {
        Steps::Upload { file, signature, format } => {
            let signature = match signature {
                Some(named) => Signature::named(tenant, &named).await?,
                None => Signature::beside(&file).await?,
            };
            let bytes = read(&file).await?;
            upload(tenant, signature.upload(&bytes), format.format).await
        }
        Steps::Pull { reference, signature, username, plain_http, auth_hosts, format } => {
            let signature = match signature {
                Some(named) => Signature::named(tenant, &named).await?,
                None => Signature::none(),
            };
            let wanted = Pull { reference: &reference, username, plain_http, auth_hosts: &auth_hosts };
            let bytes = pull(wanted).await?;
            talk(format!("pulled {}", words::bytes(bytes.len() as u64)));
            upload(tenant, signature.upload(&bytes), format.format).await
        }
        Steps::List(FormatArg { format }) => list_all(tenant, format).await,
        Steps::Inspect { component, format } => {
            let view = inspect(tenant, &component).await?;
            Ok(Answer::new(format.format, || show(&view), || &view))
        }
        Steps::Remove { component } => {
            let component = tenant.component(&component).await?;
            tenant.remove_component(&component.digest).await?;
            talk(format!("removed the component `{}`", component.reference()));
            Ok(Answer::nothing())
        }
    }
}

async fn upload(tenant: &Tenant, upload: Upload<'_>, format: Format) -> Result<Answer, CliError> {
    let component = tenant.upload(upload).await?;
    talk(format!("kept the component `{}` ({})", component.reference(), component.world));
    Ok(Answer::new(format, || Visible::line(&component.digest), || connector::Component::of(&component)))
}

async fn list_all(tenant: &Tenant, format: Format) -> Result<Answer, CliError> {
    let components = tenant.components().await?;
    if components.rows() == 0 {
        talk("there are no components yet; `stepbox steps upload` and `stepbox connectors add` bring some");
    }
    Ok(list::answer(format, &components, table, connector::Component::of))
}

fn table(components: &[Component]) -> Table {
    let columns = ["component", "world", "digest", "signed by", "size"].map(Column::Left);
    Table::of(columns, components, |component| {
        [
            component.reference(),
            component.world.clone(),
            component.digest.short().to_owned(),
            component.signer.as_ref().map_or("-", |signer| &signer.name).to_owned(),
            bytes(component.size_bytes),
        ]
    })
}

/// A file, if there is one of that name, otherwise an uploaded component.
async fn inspect(tenant: &Tenant, component: &str) -> Result<connector::Component, CliError> {
    let path = Path::new(component);
    let is_path = path.exists() || component.contains(['/', '\\']) || component.ends_with(".wasm");
    if !is_path {
        return Ok(connector::Component::of(&tenant.component(component).await?));
    }
    let file = read(path).await?;
    let inspected = tenant.inspect_component(&file).await?;
    let signature = Signature::beside(path).await?;
    Ok(connector::Component {
        digest: inspected.digest.to_string(),
        name: inspected.description.name.clone(),
        version: inspected.description.version.clone(),
        world: inspected.world.to_string(),
        size_bytes: file.len() as u64,
        uploaded_at: None,
        // A wrong signature is no error here: people inspect a component before they sign it.
        signed_by: tenant.signer_of(signature.upload(&file)).ok().flatten().map(|signer| signer.name),
        description: inspected.description.to_json(),
    })
}

/// Reads no more of a file than a component may have, also from a device or a pipe without an end.
async fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let opened = File::open(path).await.map_err(CliError::unreadable(path))?;
    receive_component(opened).await.map_err(|error| told(path, error.into()))
}

/// Names the file in an error.
fn told(path: &Path, error: Error) -> CliError {
    match error {
        Error::Component(ComponentError::Unreadable { source }) => CliError::unreadable(path)(source),
        other => other.into(),
    }
}

/// A component and what it asks for.
fn show(view: &connector::Component) -> Visible {
    let description = &view.description;
    let lines = |value: &Value| {
        let texts: Vec<_> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        texts.join("\n")
    };
    let columns = |value: &Value, otherwise: &str| match value.as_array() {
        Some(_) => lines(value),
        None => otherwise.to_owned(),
    };
    let mut facts = vec![
        ("component", view.name.clone()),
        ("version", view.version.clone()),
        ("world", view.world.clone()),
        ("size", bytes(view.size_bytes)),
        ("digest", view.digest.clone()),
        ("uploaded", view.uploaded_at.clone().unwrap_or_else(|| "no".to_owned())),
        ("signed by", view.signed_by.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    facts.push(("summary", description["summary"].as_str().unwrap_or_default().to_owned()));
    facts.push(("parameters", serde_json::to_string_pretty(&description["parameters"]).unwrap_or_default()));
    facts.push((
        "wishes",
        Some(lines(&description["grants"])).filter(|l| !l.is_empty()).unwrap_or("none".to_owned()),
    ));
    facts.push(("columns in", columns(&description["columns_in"], "all")));
    facts.push(("columns out", columns(&description["columns_out"], "it depends on the input")));
    facts.push(("stateless", if description["stateless"] == true { "yes" } else { "no" }.to_owned()));
    pairs(facts)
}
