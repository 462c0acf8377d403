//! Pulling components from registries: only from where the tenant may send requests, and nothing unseen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stepbox::Policy;

use crate::testing::{Sample, tenant_id};
use crate::{Listener, Server};

const LAYER: &[u8] = b"no component";

/// A registry on loopback, which counts what it is asked.
struct Registry {
    address: String,
    asked: Arc<AtomicUsize>,
    _pages: Server,
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

fn manifest() -> Vec<u8> {
    json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2 },
        "layers": [{ "mediaType": "application/wasm", "digest": digest(LAYER), "size": LAYER.len() }],
    })
    .to_string()
    .into_bytes()
}

async fn answer(State(asked): State<Arc<AtomicUsize>>, uri: Uri) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    match uri.path() {
        path if path.contains("/away/") => {
            Redirect::temporary("http://169.254.169.254/latest/meta-data").into_response()
        }
        path if path.contains("/manifests/") => manifest().into_response(),
        _ => LAYER.into_response(),
    }
}

impl Registry {
    async fn start() -> Self {
        let listener = Listener::open("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.address().to_string(), Arc::new(AtomicUsize::new(0)));
        let pages = Router::new().fallback(answer).with_state(asked.clone());
        Self { address, asked, _pages: listener.serve(pages) }
    }

    fn reference(&self, name: &str) -> Value {
        json!({ "reference": format!("oci://{}/{name}@{}", self.address, digest(&manifest())) })
    }
}

async fn pull(sample: &Sample, body: Value) -> String {
    let (status, answer) = sample.ask("author@acme", "POST", "/tenants/acme/steps/pull", Some(body)).await;
    format!("{status} {}", answer["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_registry_is_asked_only_where_the_tenants_requests_may_go() {
    let (sample, registry) = (Sample::new().await, Registry::start().await);
    let port = registry.address.rsplit_once(':').unwrap().1.to_owned();
    let named = |host: &str| json!({ "reference": format!("oci://{host}/a@{}", digest(b"a")) });
    for closed in [
        registry.reference("a"),
        named(&format!("localhost:{port}")),
        named("169.254.169.254"),
        named("10.0.0.1"),
    ] {
        assert_eq!(pull(&sample, closed.clone()).await, "502 pull-failed", "{closed}");
    }
    assert_eq!(registry.asked.load(Ordering::SeqCst), 0);

    let open = Policy::nothing().with_loopback();
    sample.stepbox.set_tenant(&tenant_id("acme"), open.clone()).unwrap();
    // What comes is judged like an upload.
    let pulled = pull(&sample, registry.reference("a")).await;
    assert!(pulled.starts_with("422 component-"), "{pulled}");
    assert_eq!(registry.asked.load(Ordering::SeqCst), 2);
    // Neither does a redirect lead further.
    assert_eq!(pull(&sample, registry.reference("away")).await, "502 pull-failed");

    let hosts = open.http.clone().with_hosts(["registry.example.com"]).unwrap();
    sample.stepbox.set_tenant(&tenant_id("acme"), open.with_http(hosts)).unwrap();
    assert_eq!(pull(&sample, registry.reference("a")).await, "502 pull-failed");
    assert_eq!(registry.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_pull_with_a_mistake_asks_nobody() {
    let sample = Sample::new().await;
    let tag = json!({ "reference": "normalise.wasm" });
    let rows = [
        (tag.clone(), "400 pull-reference-malformed"),
        (json!({ "reference": "oci://a.example/b", "username": "me" }), "400 body-invalid"),
        (json!({ "reference": "oci://a.example/b", "registry": "x" }), "400 unknown-field"),
        (json!({ "reference": "oci://a.example/b", "signature": "x".repeat(1 << 16) }), "400 body-invalid"),
    ];
    for (body, expected) in rows {
        assert_eq!(pull(&sample, body.clone()).await, expected, "{body:.100}");
    }
    let (status, _) = sample.ask("operator@acme", "POST", "/tenants/acme/steps/pull", Some(tag)).await;
    assert_eq!(status, 403);
}
