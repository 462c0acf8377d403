//! A whole store.

use super::accounts::Accounts;
use super::audit_trail::AuditTrail;
use super::credentials::Credentials;
use super::executions::Executions;
use super::installation::Installation;
use super::instances::Instances;
use super::inventory::Inventory;
use super::journal::ExecutionJournal;
use super::leases::Leases;
use super::outbox::Outbox;
use super::parts::Parts;
use super::queue::JobQueue;
use super::uploads::Uploads;
use super::views::SavedViews;
use super::workers::Workers;

/// Everything that is persisted: a type that implements every port is a repository.
pub trait JobRepository:
    Installation
    + Inventory
    + Instances
    + Executions
    + Parts
    + ExecutionJournal
    + JobQueue
    + Leases
    + Workers
    + Uploads
    + Outbox
    + AuditTrail
    + Accounts
    + Credentials
    + SavedViews
{
}

impl<S> JobRepository for S where
    S: Installation
        + Inventory
        + Instances
        + Executions
        + Parts
        + ExecutionJournal
        + JobQueue
        + Leases
        + Workers
        + Uploads
        + Outbox
        + AuditTrail
        + Accounts
        + Credentials
        + SavedViews
{
}
