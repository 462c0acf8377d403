//! The routes, one file for each noun. Each handler gets a thing with a right to it, and calls the tenant.

mod archive;
mod audit;
mod bulk;
mod connectors;
mod executions;
mod files;
pub(crate) mod forms;
mod instances;
mod interface;
mod jobs;
mod launches;
mod members;
mod outputs;
mod packages;
mod queue;
mod session;
mod steps;
mod streams;
mod tenants;
mod tokens;
mod trail;
mod users;
mod workers;

use crate::table::Table;

/// All routes.
pub(crate) fn table() -> Table {
    let nouns = [
        interface::routes,
        session::routes,
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
