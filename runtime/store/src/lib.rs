//! Stepbox's job repository: every instance, execution, step, warning and checkpoint, on a disk.
//!
//! [`SqliteStore`] keeps everything in one SQLite file and needs no set-up; [`PostgresStore`] keeps everything in a
//! PostgreSQL database, for many machines. Both implement `stepbox-batch`'s
//! [`JobRepository`](stepbox_batch::ports::JobRepository), whose documentation says what each method does; this
//! documentation says how the data is kept.
//!
//! ```
//! use serde_json::json;
//! use stepbox_batch::clock::Timestamp;
//! use stepbox_batch::job::{Element, ElementSource, Job, JobInstance, Step, StepKind};
//! use stepbox_batch::name::{ConnectorCode, InstanceCode, JobName, StepName, TenantId};
//! use stepbox_store::SqliteStore;
//! use stepbox_batch::actor::Actor;
//! use stepbox_batch::audit::AuditFilter;
//! use stepbox_batch::execution::{Claim, ExecutionContext, NewJobExecution, Save, StopRequest};
//! use stepbox_batch::ports::{AuditTrail, ExecutionJournal, Executions, Instances};
//! use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let data_folder = folder.path();
//! let store = SqliteStore::open(data_folder.join("stepbox.db"))?;
//!
//! // A saved configuration of a job …
//! let tenant = TenantId::default();
//! let tasklet = Element { source: ElementSource::Native("greet".to_owned()), options: None };
//! let job = Job {
//!     connector: ConnectorCode::new("acme")?,
//!     name: JobName::new("greet")?,
//!     job_type: "export".to_owned(),
//!     label: "Greet".to_owned(),
//!     stoppable: true,
//!     concurrency: None,
//!     parameters: json!({"type": "object"}),
//!     form: None,
//!     steps: vec![Step {
//!         name: StepName::new("greet")?,
//!         kind: StepKind::Tasklet { tasklet },
//!         grants: Default::default(),
//!         limits: Default::default(),
//!         retry: Default::default(),
//!         rerun: Default::default(),
//!         start_limit: None,
//!         flow: Default::default(),
//!     }],
//!     folder: None,
//! };
//! let now = Timestamp(1_700_000_000_000);
//! let instance = JobInstance {
//!     tenant: tenant.clone(),
//!     code: InstanceCode::new("greet_nightly")?,
//!     label: "Greet every night".to_owned(),
//!     connector: job.connector.clone(),
//!     job: job.name.clone(),
//!     job_type: job.job_type.clone(),
//!     raw_parameters: json!({}),
//!     version: 1,
//!     updated_at: now,
//! };
//! let by = Actor::new(Some("julia"), now);
//! store.create_instance(&instance, &by).await?;
//!
//! // … is run: accepted and claimed in one transaction.
//! let new = NewJobExecution {
//!     tenant: tenant.clone(),
//!     instance: instance.code,
//!     job,
//!     parameters: json!({}),
//!     by: by.clone(),
//!     restart_of: None,
//!     context: ExecutionContext::default(),
//!     steps: Vec::new(),
//!     partition: None,
//!     queue: None,
//!     idempotency: None,
//!     changes: Vec::new(),
//! };
//! let claim = Claim { worker: "worker-1".to_owned(), now, lease_ms: 15_000 };
//! let (mut execution, lease) = store.create_execution(&new, Some(&claim)).await?;
//! let lease = lease.ok_or("claimed, so there is a lease")?;
//!
//! // Only the holder of the lease saves; a stop request has a column of its own.
//! execution.status = BatchStatus::Started;
//! execution.started_at = Some(now);
//! store.save(&lease, Save { execution: Some(&execution), ..Save::default() }).await?;
//! let answer = store.request_stop(&tenant, execution.id, &by).await?;
//! assert_eq!(answer, StopRequest::Requested);
//! assert!(store.requests(&lease).await?.stop);
//!
//! execution.status = BatchStatus::Stopped;
//! execution.exit_status = ExitStatus::new(ExitStatus::STOPPED);
//! execution.ended_at = Some(now);
//! store.save(&lease, Save { execution: Some(&execution), is_last: true, ..Save::default() }).await?;
//!
//! let found = store.execution(&tenant, execution.id).await?.ok_or("it is there")?;
//! assert_eq!((found.status, found.stop_requested), (BatchStatus::Stopped, true));
//!
//! // The audit trail says who did what.
//! let trail = store.audit(&tenant, &AuditFilter::default()).await?;
//! let actions: Vec<_> = trail.iter().map(|event| event.deed.action.as_str()).collect();
//! assert_eq!(actions, ["execution-stop-requested", "execution-submitted", "instance-created"]);
//! # Ok(())
//! # }
//! ```
//!
//! # What they promise
//!
//! - **Durable before the answer**: a call returns after its commit has reached the disk. Progress
//!   ([`save_tracking`](stepbox_batch::ports::ExecutionJournal::save_tracking)) is the exception: it survives the
//!   end of the process, but not a power loss, and does not wait for the disk.
//! - **Waits are shared**: all calls that came during a wait for the disk are committed together. A request that is
//!   refused, or does not fit on the disk, does not affect the other requests.
//! - **Any number of processes** may use a store. One process at a time writes to a file; the others wait up to
//!   [`SqliteOptions::busy_timeout_ms`]. Reading never waits. In a database, calls wait for each other only if they
//!   are about the same execution, or choose which execution begins next.
//! - **A server may be restarted**: if its connection breaks, a worker's save is tried again, and is written once.
//! - **Old and new versions** never misread each other: newer data is refused, at opening and in each later call,
//!   and older data is brought up to date, in one transaction.
//! - **Private**: a new folder and file are for their owner only. A database's password is never shown.
//!
//! # Where things are
//!
//! `record.rs` and its modules are the stored forms. The decisions that all stores share are in
//! [`stepbox_batch::execution`]. `sqlite.rs` is the store and `sqlite/ports.rs` its table of contents;
//! `sqlite/writer.rs` explains how requests share a commit. `postgres.rs`, `postgres/ports.rs` and
//! `postgres/saves.rs` are the same for PostgreSQL. The suite that every store passes is in
//! `stepbox-store-testing`.
//!
//! # Features
//!
//! `sqlite` ([`SqliteStore`]) and `postgres` ([`PostgresStore`]), both on by default. A program that needs only one
//! of them can turn the other off, to save its dependencies.

mod check;
#[cfg(test)]
mod damaged;
mod naming;
mod numbers;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
mod save;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresSchema, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteSchema, SqliteStore};
