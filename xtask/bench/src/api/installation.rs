//! An installation with the interface at an address of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::access::Principal;
use stepbox::batch::name::TenantId;
use stepbox::{NewInstance, Policy, Quotas, RunOptions, Stepbox};
use stepbox_server::{
    ApiLimits, ApiListener, ApiOptions, ApiServer, Authenticate, Client, Exposure, HeaderMap,
    NotAuthenticated, api,
};

use crate::Result;
use crate::stores::Store;

/// The instance of the history.
pub(crate) const CODE: &str = "export";

/// Ten items of twenty have a cell too many.
const ROWS: usize = 20;

/// Lets every request do everything: what is measured is not the check of credentials.
struct Everybody;

#[async_trait]
impl Authenticate for Everybody {
    async fn authenticate(
        &self,
        _: &HeaderMap,
        _: &Client,
        tenant: Option<&TenantId>,
    ) -> std::result::Result<Option<Principal>, NotAuthenticated> {
        Ok(Some(Principal::unlimited(None, tenant.cloned())))
    }
}

pub(crate) struct Installation {
    stepbox: Stepbox,
    server: ApiServer,
}

impl Installation {
    pub(crate) async fn open(store: &Store) -> Result<Self> {
        let folder = store.folder();
        let quotas = Quotas { running_max: 10_000, queued_max: u64::MAX, ..Quotas::default() };
        let policy = Policy::nothing().with_folder(folder).with_quotas(quotas);
        let stepbox = Stepbox::builder(folder.join("data"))
            .tenant(TenantId::default(), policy)
            .repository(store.repository.clone())
            .open()
            .await?;
        let tenant = stepbox.tenant(&TenantId::default())?;
        let input = folder.join("in.csv");
        let row = |n: usize| if n.is_multiple_of(2) { format!("{n},a\n") } else { format!("{n},a,b\n") };
        std::fs::write(&input, format!("sku,name\n{}", (0..ROWS).map(row).collect::<String>()))?;
        let new = NewInstance {
            connector: "stepbox".to_owned(),
            job: "csv_export".to_owned(),
            job_type: "export".to_owned(),
            code: CODE.to_owned(),
            label: None,
            parameters: json!({
                "source": { "type": "local", "file_path": input },
                "storage": { "type": "local", "file_path": folder.join("out.csv") },
            }),
        };
        tenant.create_instance(new).await?;
        let limits = ApiLimits { launches_per_second: 1_000_000, ..ApiLimits::default() };
        let limits = ApiLimits { streams_per_principal: 10_000, streams: 10_000, ..limits };
        let options = ApiOptions { limits, ..ApiOptions::new(folder.join("spool")) };
        let routes = api(stepbox.clone(), Arc::new(Everybody), options);
        let server = ApiListener::open("127.0.0.1:0", Exposure::default()).await?.serve(routes)?;
        Ok(Self { stepbox, server })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Runs the job once, and returns the number of its execution.
    pub(crate) async fn run_with_warnings(&self) -> Result<u64> {
        let tenant = self.stepbox.tenant(&TenantId::default())?;
        let execution = tenant.run(CODE, RunOptions::default()).await?.wait().await?;
        let warnings = tenant.warnings(execution.id).await?.len();
        match warnings {
            10 => Ok(execution.id.0),
            _ => Err(format!("{}: {warnings} warnings", execution.status).into()),
        }
    }
}
