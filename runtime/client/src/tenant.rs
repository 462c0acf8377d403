//! Everything that a tenant can do. There is a file for each noun.

mod audit;
mod connectors;
mod executions;
mod forms;
mod instances;
mod jobs;
mod members;
mod policy;
mod steps;
mod workers;

use serde::de::DeserializeOwned;

use crate::ask::Ask;
use crate::client::Client;
use crate::error::ClientError;
use crate::pages::Pages;

pub use audit::AuditFilter;
pub use executions::ExecutionFilter;
pub use instances::Versioned;
pub use steps::ComponentSource;

/// A tenant of a server. A clone is cheap.
#[derive(Debug, Clone)]
pub struct Tenant {
    client: Client,
    name: String,
}

impl Client {
    /// A tenant of the server. Whether the tenant exists, and whether the token may see it, shows with the first
    /// request.
    pub fn tenant(&self, name: &str) -> Tenant {
        Tenant { client: self.clone(), name: name.to_owned() }
    }
}

impl Tenant {
    /// The name of the tenant.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client by which it is reached.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The parts of the address of one of its things.
    fn path<'a>(&'a self, below: &[&'a str]) -> Vec<&'a str> {
        ["tenants", &self.name].into_iter().chain(below.iter().copied()).collect()
    }

    async fn get<T: DeserializeOwned>(&self, below: &[&str]) -> Result<T, ClientError> {
        self.json(Ask::get(self.path(below))).await
    }

    async fn json<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, ClientError> {
        self.client.json(ask).await
    }

    async fn nothing(&self, ask: Ask<'_>) -> Result<(), ClientError> {
        self.client.nothing(ask).await
    }

    fn pages<T: DeserializeOwned>(&self, below: &[&str], query: Vec<(&'static str, String)>) -> Pages<T> {
        let path = self.path(below).into_iter().map(str::to_owned).collect();
        Pages::new(self.client.clone(), path, query)
    }
}

/// A field of a query, if it has a value.
fn field(name: &'static str, value: Option<impl ToString>) -> Option<(&'static str, String)> {
    value.map(|value| (name, value.to_string()))
}
