//! The store itself.

use serde::Serialize;
use stepbox::StoreReport;

/// What a store has.
#[derive(Debug, Serialize)]
pub(crate) struct StoreView {
    store: String,
    server: Option<String>,
    version: u32,
    known_version: u32,
    is_ready: bool,
    problems: Vec<String>,
}

impl StoreView {
    pub(crate) fn of(report: &StoreReport) -> Self {
        let StoreReport { store, server, version, known_version, problems } = report.clone();
        Self { store, server, version, known_version, is_ready: report.is_ready(), problems }
    }
}

/// What a migration did.
#[derive(Debug, Serialize)]
pub(crate) struct MigratedView {
    store: String,
    from: u32,
    to: u32,
}

impl MigratedView {
    pub(crate) fn of(before: &StoreReport) -> Self {
        Self { store: before.store.clone(), from: before.version, to: before.known_version }
    }
}
