//! The host: a program with customers of its own, which lets them run jobs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use stepbox::batch::access::{Principal, Role};
use stepbox::batch::name::{TenantId, UserName};
use stepbox::{Policy, Quotas, Stepbox, Tenant, Worker, WorkerOptions};
use stepbox_server::{
    ApiListener, ApiOptions, ApiServer, Authenticate, Client, Exposure, HeaderMap, NotAuthenticated, api,
};

use crate::Result;

/// A customer of the host.
#[derive(Debug)]
pub(crate) struct Customer {
    pub(crate) name: &'static str,
    /// The key with which the customer's programs come in. A real host keeps hashes of keys in a database.
    pub(crate) key: &'static str,
    /// Whether the customer's steps may send requests.
    may_send_requests: bool,
}

pub(crate) const CUSTOMERS: &[Customer] = &[
    Customer { name: "acme", key: "acme-9f3c1b7d", may_send_requests: true },
    Customer { name: "bolt", key: "bolt-52aa80e6", may_send_requests: false },
];

pub(crate) struct Host {
    stepbox: Stepbox,
    folder: PathBuf,
    server: ApiServer,
    /// Runs the jobs of all customers, until the host ends.
    _worker: Worker,
}

impl Host {
    /// Begins in a folder, with one tenant for each customer.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder)?;
        let mut builder = Stepbox::builder(folder.join("data"));
        for customer in CUSTOMERS {
            let own = folder.join(customer.name);
            fs::create_dir_all(&own)?;
            // No customer sees the files of another one, or takes more than a fair share of the machine.
            let quotas = Quotas { memory_bytes_max: 512 << 20, ..Quotas::default() };
            let mut policy = Policy::nothing().with_folder(own).with_quotas(quotas);
            if customer.may_send_requests {
                policy = policy.with_loopback();
            }
            builder = builder.tenant(TenantId::new(customer.name)?, policy);
        }
        let stepbox = builder.open().await?;
        let worker = stepbox.start_worker(WorkerOptions::default()).await?;
        let routes = api(stepbox.clone(), Arc::new(Keys), ApiOptions::new(folder.join("spool")));
        let server = ApiListener::open("127.0.0.1:0", Exposure::default()).await?.serve(routes)?;
        Ok(Self { stepbox, folder, server, _worker: worker })
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(crate) fn tenant(&self, customer: &Customer) -> Result<Tenant> {
        Ok(self.stepbox.tenant(&TenantId::new(customer.name)?)?)
    }

    /// Puts a file into the folder of a customer, as the customer's upload to the host would.
    pub(crate) fn give(&self, customer: &Customer, file: &Path) -> Result<PathBuf> {
        let given = self.folder.join(customer.name).join("catalogue.csv");
        fs::copy(file, &given)?;
        Ok(given)
    }
}

/// The host's own way to know its customers: a key in the header `Authorization`.
struct Keys;

#[async_trait]
impl Authenticate for Keys {
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        _client: &Client,
        tenant: Option<&TenantId>,
    ) -> std::result::Result<Option<Principal>, NotAuthenticated> {
        let Some(header) = headers.get("authorization") else { return Ok(None) };
        let key = header.to_str().ok().and_then(|header| header.strip_prefix("Bearer "));
        let customer = CUSTOMERS.iter().find(|customer| Some(customer.key) == key);
        let customer = customer.ok_or(NotAuthenticated::Rejected)?;
        let user = UserName::new(customer.name).map_err(|_| NotAuthenticated::Rejected)?;
        let own = TenantId::new(customer.name).map_err(|_| NotAuthenticated::Rejected)?;
        Ok(Some(Principal {
            user: Some(user),
            memberships: [(own, Role::Author)].into(),
            tenant: tenant.cloned(),
            ..Principal::default()
        }))
    }
}
