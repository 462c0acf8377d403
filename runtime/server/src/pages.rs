//! The pages of the web UI, one file for each noun. As with the routes of the interface, each handler gets a thing with a
//! right to it; it looks up what is shown, and `stepbox-web` writes the page.
//!
//! A form of a page is a POST, after which the browser is sent to a page that shows what has become of it.

mod answer;
mod assets;
mod dashboard;
mod form;
mod problem_page;
mod profiles;
mod reading;
mod sign_in;
mod visit;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::table::{App, Table};

/// All pages.
pub(crate) fn table() -> Table {
    let nouns = [assets::routes, sign_in::routes, dashboard::routes, profiles::routes];
    nouns.into_iter().fold(Table::default(), |table, noun| noun(table))
}

/// The router of all pages. A failure becomes a page, too.
pub(crate) fn router(base: &str) -> Router<App> {
    let base: std::sync::Arc<str> = base.into();
    table().into_router().layer(from_fn_with_state(base, problem_page::shown))
}
