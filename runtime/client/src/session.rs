//! Who asks, as the server knows it.

use serde::Deserialize;

use crate::ask::Ask;
use crate::client::Client;
use crate::error::ClientError;

/// Whom a token belongs to. Fields that are not known are left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// The name of the user; `None` if the server does not say.
    #[serde(default)]
    pub user: Option<String>,
}

impl Client {
    /// Whom the token belongs to. Fails if the server does not accept it.
    pub async fn session(&self) -> Result<Session, ClientError> {
        self.json(Ask::get(vec!["session"])).await
    }
}
