//! Run batch jobs whose custom steps are sandboxed WebAssembly components.
//!
//! Start with [`Stepbox::builder`], which opens an installation, and [`Tenant`], which does everything else:
//! install connectors, create job instances, run them, and follow, stop and restart their executions. A job's
//! life is in one file, `job_lifecycle.rs`. The journey of a data item is in another, [`batch::item_step`].
//!
//! ```
//! use stepbox::batch::name::TenantId;
//! use stepbox::{NewInstance, Policy, RunOptions, Stepbox};
//! use stepbox::batch::execution::status::BatchStatus;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let files = folder.path().join("files");
//! # std::fs::create_dir(&files)?;
//! std::fs::write(files.join("in.csv"), "sku,name\n1,chair\n2,table\n")?;
//!
//! // One tenant, who may use files below one folder and nothing else.
//! let acme = TenantId::new("acme")?;
//! let stepbox = Stepbox::builder(folder.path().join("data"))
//!     .tenant(acme.clone(), Policy::nothing().with_folder(&files))
//!     .open()
//!     .await?;
//! let tenant = stepbox.tenant(&acme)?;
//!
//! tenant
//!     .create_instance(NewInstance {
//!         connector: "stepbox".to_owned(),
//!         job: "csv_export".to_owned(),
//!         job_type: "export".to_owned(),
//!         code: "products".to_owned(),
//!         label: None,
//!         parameters: serde_json::json!({
//!             "source": { "type": "local", "file_path": "in.csv" },
//!             "storage": { "type": "local", "file_path": "out.csv" },
//!         }),
//!     })
//!     .await?;
//! let execution = tenant.run("products", RunOptions::default()).await?.wait().await?;
//! assert_eq!(execution.status, BatchStatus::Completed);
//! assert_eq!(std::fs::read_to_string(files.join("out.csv"))?, "sku;name\n1;chair\n2;table\n");
//! # Ok(())
//! # }
//! ```
//!
//! Add native elements with [`Builder::reader`] and the similar methods. Components come with connectors,
//! whose files [`connector_file`] reads.

mod access;
mod background;
mod builder;
mod components_policy;
pub mod config;
pub mod connector_file;
mod data_folder;
mod describers;
mod error;
mod execution_log;
mod installation;
mod job_lifecycle;
mod listening;
mod metrics;
mod native;
mod outputs;
mod own_files;
mod patience;
mod policy;
mod regular_file;
mod rejected_file;
mod secrets;
mod shared_folder;
mod signature;
mod source_header;
mod step_elements;
mod stepbox;
mod store;
mod store_clock;
mod system_clock;
mod tenant;
mod tenants;
mod timing;
mod uploads;
mod worker;
mod worker_lock;

pub use access::{
    AccountError, Accounts, LinkSecret, NewLink, NewUser, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, SessionId,
    SignIn, SignedIn,
};
pub use builder::Builder;
pub use components_policy::{ComponentsPolicy, ComponentsPolicyError};
pub use error::{BrokenInstance, Error};
pub use execution_log::LogListener;
pub use job_lifecycle::{Progress, RestartOptions};
pub use metrics::METRICS_TYPE;
pub use policy::{AskedGrant, FilesPolicy, Policy, Quotas};
pub use regular_file::open_regular;
pub use signature::{
    SIGNATURE_BYTES_MAX, SIGNATURE_SUFFIX, SignatureError, SignatureProblem, SigningKey, SigningKeyError,
    read_signature,
};
pub use stepbox::{Health, Stepbox};
pub use stepbox_batch as batch;
pub use stepbox_batch::error_kind::ErrorKind;
pub use stepbox_batch::execution::queue::Published;
pub use stepbox_batch::log::LogLine;
pub use stepbox_batch::ports::{Finding, StoreReport};
pub use stepbox_batch::worker::{WorkerState, WorkerStatus};
pub use stepbox_connectors::{Cancellation, ElementSetup, Input, Reach, WrittenInput};
pub use stepbox_connectors::{ConnectorError, NamedStorage, S3Settings, Storages, UnusableStorage};
pub use stepbox_sandbox::{COMPONENT_BYTES_MAX, digest_of};
pub use stepbox_sandbox::{CompileProcess, Compiler, ComponentError, compile_worker};
pub use stepbox_sandbox::{GrantError, HttpPolicy, HttpPolicyError, NetworkPolicy, Resolver};
pub use stepbox_sandbox::{Secret, SecretError, Secrets, UnusableSecret};
pub use store::{DatabaseUrl, StorePlace, check_store, migrate_store, repair_store};
pub use system_clock::SystemClock;
pub use tenant::{
    ExecutionOutput, FileOptions, FormAsk, Inspected, InstanceEdit, NewInstance, NotRemoved, Publication,
    PublishOptions, Purge, Purged, Reimport, RunOptions, Running, Tenant, Upload, receive_component,
};
pub use tenants::TenantStanding;
pub use timing::{LEASE_MS, LEASE_MS_MIN, STOP_CHECK_MS};
pub use worker::{
    Stage, Worker, WorkerEvent, WorkerHealth, WorkerListener, WorkerOptions, WorkerProbe, WorkerProblem,
};
