//! The routes, one file for each noun. Each handler gets a thing with a right to it, and calls the tenant.

mod archive;
pub(crate) mod audit;
pub(crate) mod bulk;
mod connectors;
pub(crate) mod executions;
pub(crate) mod files;
pub(crate) mod forms;
mod instances;
mod interface;
mod jobs;
pub(crate) mod launches;
mod members;
mod outputs;
pub(crate) mod packages;
mod provider;
mod queue;
mod session;
mod steps;
mod streams;
pub(crate) mod tenants;
pub(crate) mod tokens;
pub(crate) mod trail;
mod users;
mod workers;

use crate::table::Table;

/// All routes.
pub(crate) fn table() -> Table {
    let nouns = [
        interface::routes,
        session::routes,
        provider::routes,
        users::routes,
        tokens::routes,
        trail::routes,
        tenants::routes,
        connectors::routes,
        jobs::routes,
        steps::routes,
        instances::routes,
        forms::routes,
        launches::routes,
        executions::routes,
        files::routes,
        bulk::routes,
        archive::routes,
        outputs::routes,
        streams::routes,
        queue::routes,
        workers::routes,
        audit::routes,
        members::routes,
    ];
    nouns.into_iter().fold(Table::default(), |table, noun| noun(table))
}
