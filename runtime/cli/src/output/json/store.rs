//! The store itself.

use serde::Serialize;
use stepbox::{Finding, StoreReport};

/// What a store has.
#[derive(Debug, Serialize)]
pub(crate) struct StoreView {
    store: String,
    server: Option<String>,
    version: u32,
    known_version: u32,
    is_ready: bool,
    problems: Vec<String>,
    findings: Vec<FindingView>,
}

/// What cannot be read, or breaks a rule.
#[derive(Debug, Serialize)]
struct FindingView {
    tenant: String,
    execution: Option<i64>,
    reason: String,
    remedy: Option<String>,
}

impl StoreView {
    pub(crate) fn of(report: &StoreReport) -> Self {
        let StoreReport { store, server, version, known_version, problems, findings } = report.clone();
        let view = |finding: Finding| FindingView {
            tenant: finding.tenant,
            execution: finding.execution,
            reason: finding.reason,
            remedy: finding.remedy,
        };
        let findings = findings.into_iter().map(view).collect();
        Self { store, server, version, known_version, is_ready: report.is_ready(), problems, findings }
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
