//! A client of one server.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use serde::de::DeserializeOwned;
use stepbox_net::http::{machines_certificates, trusting};

use crate::address::ServerAddress;
use crate::ask::Ask;
use crate::error::ClientError;
use crate::origin::Limits;
use crate::token::Token;
use crate::transport::Transport;

/// A client of one server. A clone is cheap, and shares the connections.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

/// How a client is to be.
#[derive(Debug)]
pub struct ClientBuilder {
    address: String,
    token: Option<Token>,
    allows_plain_http: bool,
    roots: Option<RootCertStore>,
    limits: Limits,
}

impl Client {
    /// Begins a client of the server at an address, `https://stepbox.example.com`, with a prefix if the server has one.
    pub fn builder(address: &str) -> ClientBuilder {
        ClientBuilder {
            address: address.to_owned(),
            token: None,
            allows_plain_http: false,
            roots: None,
            limits: Limits::default(),
        }
    }

    /// The address of the server, without a slash at its end.
    pub fn server(&self) -> &str {
        self.transport.origin().address.shown()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Asks, and reads the answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, ClientError> {
        self.transport.send(ask).await?.json().await
    }

    /// Asks for something whose answer says nothing more.
    pub(crate) async fn nothing(&self, ask: Ask<'_>) -> Result<(), ClientError> {
        self.transport.send(ask).await.map(drop)
    }
}

impl ClientBuilder {
    /// Sends this token with every request.
    #[must_use]
    pub fn token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Lets the token travel without TLS to a server on another machine. Everybody on the way can then read it and use
    /// it.
    #[must_use]
    pub fn allow_plain_http(self) -> Self {
        Self { allows_plain_http: true, ..self }
    }

    /// Trusts servers with certificates of these authorities, and no others. The default is what the machine trusts.
    #[must_use]
    pub fn trusting(self, roots: RootCertStore) -> Self {
        Self { roots: Some(roots), ..self }
    }

    /// How long the server may be silent while something is expected of it. The default is a minute.
    #[must_use]
    pub fn silence_max(self, silence_max: Duration) -> Self {
        Self { limits: Limits { silence_max, ..self.limits }, ..self }
    }

    /// How many bytes an answer may have that is read as a whole. The default is 64 MiB. Files are not read as a whole.
    #[must_use]
    pub fn answer_bytes_max(self, answer_bytes_max: u64) -> Self {
        Self { limits: Limits { answer_bytes_max, ..self.limits }, ..self }
    }

    /// Makes the client. Nothing is sent yet.
    pub fn build(self) -> Result<Client, ClientError> {
        let Self { address, token, allows_plain_http, roots, limits } = self;
        let address = ServerAddress::new(&address)?;
        let is_private = address.has_tls() || address.is_this_machine() || allows_plain_http;
        if token.is_some() && !is_private {
            return Err(ClientError::PlainHttp { host: address.host() });
        }
        let authorization = token.as_ref().map(Token::header).transpose()?;
        let tls = roots.map_or_else(machines_certificates, trusting);
        Ok(Client { transport: Arc::new(Transport::new(address, authorization, tls, limits)?) })
    }
}
