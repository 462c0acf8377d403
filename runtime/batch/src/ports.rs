//! The ports of a store: everything that is persisted, by noun.
//!
//! | port | what it keeps |
//! |---|---|
//! | [`Installation`] | which installation the store belongs to, and the time of its clock |
//! | [`Instances`] | job instances |
//! | [`Executions`] | executions: accepted, looked up, stopped, purged |
//! | [`Parts`] | the parts of steps that were split |
//! | [`ExecutionJournal`] | what the holder of a lease writes while it runs an execution |
//! | [`JobQueue`] | executions that wait for a worker |
//! | [`Leases`] | which worker holds which execution, and the rescue of executions of lost workers |
//! | [`Workers`] | the known workers |
//! | [`Uploads`] | the files that users upload as inputs |
//! | [`Outbox`] | what happened to executions, as events that any process can read |
//! | [`AuditTrail`] | which user did what |
//! | [`Accounts`] | users, their roles in tenants, and rights per instance |
//! | [`Credentials`] | passwords, sessions, tokens and one-time links |
//!
//! [`JobRepository`] is all of them, for a caller that has a whole store. `stepbox-store` has two stores; a store
//! of another kind implements the ports and passes the suite in `stepbox-store-testing`. The rules that all stores
//! keep are functions in [`crate::execution`]: [`standing`](crate::execution::standing),
//! [`rescue`](crate::execution::rescue), [`fairness`](crate::execution::fairness).
//!
//! # What every method promises
//!
//! A method is atomic and durable when it returns. It sees only the rows of the given tenant; a method without a
//! tenant says that it is for all tenants. A list has every row that can be read, and names the others, so a
//! damaged row does not make a list fail ([`Listing`]). A method that takes an [`Actor`](crate::actor::Actor)
//! writes its event of the audit trail in the same transaction: see [`crate::audit`].
//!
//! Only the worker that holds the lease of an execution writes its rows, with [`ExecutionJournal::save`]; each save
//! is one transaction. A stop request has a column of its own, so no save can overwrite it.

pub mod accounts;
pub mod audit_trail;
pub mod credentials;
pub mod error;
pub mod executions;
pub mod installation;
pub mod instances;
pub mod inventory;
pub mod journal;
pub mod leases;
pub mod listing;
pub mod outbox;
pub mod parts;
pub mod queue;
pub mod repository;
pub mod store_report;
pub mod uploads;
pub mod views;
pub mod workers;

pub use accounts::Accounts;
pub use audit_trail::{AuditTrail, EVENTS_PURGED_TOGETHER};
pub use credentials::{Credentials, SessionPrincipal, TokenPrincipal};
pub use error::{Outlook, RepositoryError, Result};
pub use executions::Executions;
pub use installation::Installation;
pub use instances::Instances;
pub use inventory::Inventory;
pub use journal::ExecutionJournal;
pub use leases::Leases;
pub use listing::{Damaged, Listing};
pub use outbox::{EventPage, Outbox};
pub use parts::Parts;
pub use queue::JobQueue;
pub use repository::JobRepository;
pub use store_report::{Finding, StoreReport};
pub use uploads::Uploads;
pub use views::SavedViews;
pub use workers::Workers;
