//! Components for steps.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::header::HeaderName;
use stepbox_api::connector::Component;
use stepbox_api::request::PullComponent;

use super::Tenant;
use crate::ask::{Ask, Content};
use crate::error::ClientError;
use crate::outgoing::Outgoing;
use crate::pages::Pages;

const WASM: &str = "application/wasm";

/// The header with the signature of a component.
const SIGNATURE: HeaderName = HeaderName::from_static("stepbox-signature");

/// How long a server may take to pull a component and to look at it.
const PULL: Duration = Duration::from_secs(330);

/// A component to send.
#[derive(Debug, Clone)]
pub enum ComponentSource {
    /// A file, which is read piece by piece.
    File(Outgoing),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

impl Tenant {
    /// Has a component checked and kept. The signature is the text that `minisign` makes.
    pub async fn upload_component(
        &self,
        component: &ComponentSource,
        signature: Option<&str>,
    ) -> Result<Component, ClientError> {
        self.json(sent(Ask::post(self.path(&["steps"])), component, signature)?).await
    }

    /// Has a component pulled from a registry by the server, checked and kept.
    pub async fn pull_component(&self, wanted: &PullComponent) -> Result<Component, ClientError> {
        self.json(Ask::post(self.path(&["steps", "pull"])).json(wanted)?.working(PULL)).await
    }

    /// Has a component checked without keeping it.
    pub async fn inspect_component(
        &self,
        component: &ComponentSource,
        signature: Option<&str>,
    ) -> Result<Component, ClientError> {
        self.json(sent(Ask::post(self.path(&["steps", "inspect"])), component, signature)?).await
    }

    /// All components, by name, then newest first.
    pub fn components(&self) -> Pages<Component> {
        self.pages(&["steps"], Vec::new())
    }

    /// A component, by its name and version, its name alone, or the first digits of its digest.
    pub async fn component(&self, reference: &str) -> Result<Component, ClientError> {
        self.get(&["steps", reference]).await
    }

    /// Removes a component that no connector and no unfinished execution needs.
    pub async fn remove_component(&self, reference: &str) -> Result<(), ClientError> {
        self.nothing(Ask::delete(self.path(&["steps", reference]))).await
    }
}

fn sent<'a>(
    ask: Ask<'a>,
    component: &'a ComponentSource,
    signature: Option<&str>,
) -> Result<Ask<'a>, ClientError> {
    let ask = ask.content(match component {
        ComponentSource::File(file) => Content::File { media_type: WASM, file },
        ComponentSource::Bytes(bytes) => {
            Content::Bytes { media_type: WASM, bytes: Bytes::copy_from_slice(bytes) }
        }
    });
    match signature {
        Some(signature) => ask.header(SIGNATURE, &BASE64_STANDARD.encode(signature)),
        None => Ok(ask),
    }
}
