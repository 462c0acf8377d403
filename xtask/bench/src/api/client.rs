//! The one client of the measurements.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::Value;

use crate::Result;

/// Where the things of the tenant are.
const TENANT: &str = "/api/v1/tenants/default";

/// A client of the interface, for the tenant `default`.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Result<Self> {
        // The measured server has no TLS, but a client is not built without a provider for it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().pool_max_idle_per_host(1_000).build()?;
        Ok(Self { http, base: format!("http://{address}{TENANT}") })
    }

    /// Asks for something, reads all of it, and returns how long that took.
    pub(crate) async fn time(&self, path: &str) -> Result<Duration> {
        let asked_at = Instant::now();
        self.send(Method::GET, path, None).await?.bytes().await?;
        Ok(asked_at.elapsed())
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.send(Method::GET, path, None).await?.bytes().await?)?)
    }

    /// Sends a request, and returns the answer if it is a good one.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(format!("{path}: {} {}", response.status(), response.text().await?).into()),
        }
    }

    /// A request with a body that is still being written.
    pub(crate) fn upload(&self, path: &str, body: reqwest::Body) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).header("content-type", "application/wasm").body(body)
    }
}
