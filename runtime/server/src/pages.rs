//! The pages of the web UI, one file for each noun. As with the routes of the interface, each handler gets a thing with a
//! right to it; it looks up what is shown, and `stepbox-web` writes the page.
//!
//! A form of a page is a POST, after which the browser is sent to a page that shows what has become of it.

mod account;
mod answer;
mod assets;
mod audit;
mod connectors;
mod dashboard;
mod execution;
mod find;
mod form;
mod live;
mod members;
mod problem_page;
mod profiles;
mod reading;
mod reference;
mod sign_in;
mod steps;
mod tenants;
mod tracker;
mod users;
mod visit;
mod workers;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::table::{App, Table};

/// All pages.
pub(crate) fn table() -> Table {
    let nouns = [
        assets::routes,
        sign_in::routes,
        dashboard::routes,
        execution::routes,
        find::routes,
        tracker::routes,
        profiles::routes,
        connectors::routes,
        steps::routes,
        workers::routes,
        audit::routes,
        members::routes,
        users::routes,
        account::routes,
        tenants::routes,
        reference::routes,
    ];
    nouns.into_iter().fold(Table::default(), |table, noun| noun(table))
}

/// The router of all pages, with what is shown where there is none. A failure becomes a page, too.
pub(crate) fn router(app: &App) -> Router<App> {
    let pages = table().into_router().fallback(problem_page::nowhere);
    pages.layer(from_fn_with_state(app.clone(), problem_page::shown))
}
