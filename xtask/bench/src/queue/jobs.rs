//! An installation with a job whose one tasklet only reports when it began.

use std::time::Instant;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::element::Tasklet;
use stepbox::batch::error::Halt;
use stepbox::batch::name::TenantId;
use stepbox::batch::step_context::StepContext;
use stepbox::{NewInstance, Policy, Quotas, Stepbox, Tenant, Worker, WorkerOptions};
use tokio::sync::mpsc;

use crate::Result;
use crate::stores::Store;

const CONNECTOR: &str = r#"
connector: bench
jobs:
  empty:
    type: bench
    steps: [ { name: nothing, tasklet: nothing } ]
"#;

/// The instance of the job.
pub(crate) const CODE: &str = "empty";

pub(crate) struct Jobs {
    pub(crate) stepbox: Stepbox,
    pub(crate) tenant: Tenant,
    began: tokio::sync::Mutex<mpsc::UnboundedReceiver<Instant>>,
}

struct Nothing(mpsc::UnboundedSender<Instant>);

#[async_trait]
impl Tasklet for Nothing {
    async fn run(&mut self, _context: &StepContext) -> std::result::Result<Option<String>, Halt> {
        // The receiver may be gone.
        let _ = self.0.send(Instant::now());
        Ok(None)
    }
}

impl Jobs {
    pub(crate) async fn open(store: &Store) -> Result<Self> {
        let (sender, began) = mpsc::unbounded_channel();
        let quotas = Quotas { running_max: 10_000, queued_max: u64::MAX, ..Quotas::default() };
        let tenant = TenantId::default();
        let stepbox = Stepbox::builder(store.folder().join("data"))
            .tenant(tenant.clone(), Policy::nothing().with_quotas(quotas))
            .repository(store.repository.clone())
            .tasklet("nothing", move |_| Ok(Box::new(Nothing(sender.clone()))))
            .open()
            .await?;
        let tenant = stepbox.tenant(&tenant)?;
        let connector = store.folder().join("connector");
        std::fs::create_dir_all(&connector)?;
        std::fs::write(connector.join("connector.yaml"), CONNECTOR)?;
        tenant.install_connector(&connector).await?;
        tenant
            .create_instance(NewInstance {
                connector: "bench".to_owned(),
                job: "empty".to_owned(),
                job_type: "bench".to_owned(),
                code: CODE.to_owned(),
                label: None,
                parameters: json!({}),
            })
            .await?;
        Ok(Self { stepbox, tenant, began: began.into() })
    }

    pub(crate) async fn worker(&self, concurrency: usize) -> Result<Worker> {
        let options = WorkerOptions { concurrency, ..WorkerOptions::default() };
        Ok(self.stepbox.start_worker(options).await?)
    }

    /// The moment at which the next job begins.
    pub(crate) async fn next_began(&self) -> Result<Instant> {
        self.began.lock().await.recv().await.ok_or_else(|| "no tasklet is left".into())
    }
}
