//! Where a command does its work. The nouns call a [`Site`], and print the views of `stepbox_api` with which it
//! answers, so that an answer reads alike wherever it comes from.
//!
//! There is a file for each noun, with a method for each thing that the noun does.

mod access;
mod audit;
mod connectors;
mod executions;
mod files;
mod followed;
mod instances;
mod jobs;
mod pages;
mod policy;
mod progress;
mod run;
mod steps;
mod workers;

use stepbox::{Accounts, Stepbox, Tenant};
use stepbox_client::Client;

pub(crate) use access::WantedToken;
pub(crate) use audit::{Events, Trail};
pub(crate) use executions::{Download, Found, Wanted};
pub(crate) use pages::Numbered;
pub(crate) use progress::Stopping;
pub(crate) use run::{Progressing, Run};

/// Where a command does its work.
#[derive(Clone)]
pub(crate) enum Site {
    /// In this process, on an installation that this process has opened.
    Here(Here),
    /// On a server.
    There(There),
}

/// A tenant of an installation that this process has opened.
#[derive(Clone)]
pub(crate) struct Here {
    stepbox: Stepbox,
    tenant: Tenant,
    accounts: Accounts,
}

/// A tenant of a server.
#[derive(Clone)]
pub(crate) struct There {
    tenant: stepbox_client::Tenant,
}

impl Site {
    /// A tenant of a server.
    pub(crate) fn there(client: &Client, tenant: &str) -> Self {
        Self::There(There { tenant: client.tenant(tenant) })
    }

    /// A tenant of an installation.
    pub(crate) fn here(stepbox: Stepbox, tenant: Tenant, accounts: Accounts) -> Self {
        Self::Here(Here { stepbox, tenant, accounts })
    }
}
