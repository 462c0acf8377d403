//! Who asks, as the server knows it.

use serde::Deserialize;

use crate::ask::Ask;
use crate::client::Client;
use crate::error::ClientError;

/// The user of a token. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// The name of the user; `None` if the server does not say.
    #[serde(default)]
    pub user: Option<String>,
}

impl Client {
    /// The user of the token. Fails if the server does not accept it.
    pub async fn session(&self) -> Result<Session, ClientError> {
        self.json(Ask::get(vec!["session"])).await
    }
}
