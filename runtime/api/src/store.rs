//! The store.

use serde::{Deserialize, Serialize};
use stepbox_batch::ports::store_report;

/// The result of a check of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// Its place, without a password.
    pub store: String,
    /// The version of the database server; `null` for the embedded store.
    pub server: Option<String>,
    /// The version of its schema; 0 if there is none yet.
    pub version: u32,
    /// The version that this program reads and writes.
    pub known_version: u32,
    /// Whether the store can be used as it is.
    pub is_ready: bool,
    /// Damages of its file.
    pub problems: Vec<String>,
    /// Records that cannot be read, or that break a rule.
    pub findings: Vec<Finding>,
}

impl StoreReport {
    /// Built from the report of a check.
    pub fn of(report: &store_report::StoreReport) -> Self {
        let store_report::StoreReport { store, server, version, known_version, problems, findings } =
            report.clone();
        let findings = findings.into_iter().map(Finding::of).collect();
        Self { store, server, version, known_version, is_ready: report.is_ready(), problems, findings }
    }
}

/// A record in a store that cannot be read, or that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The tenant; empty if the record belongs to no tenant.
    pub tenant: String,
    /// The execution; `null` for connectors, components and instances.
    pub execution: Option<i64>,
    /// What is wrong.
    pub reason: String,
    /// The repair that was made; `null` if none was made.
    pub remedy: Option<String>,
}

impl Finding {
    fn of(finding: store_report::Finding) -> Self {
        let store_report::Finding { tenant, execution, reason, remedy } = finding;
        Self { tenant, execution, reason, remedy }
    }
}

/// The result of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrated {
    /// The place of the store, without a password.
    pub store: String,
    /// The version of its schema before; 0 if there was none.
    pub from: u32,
    /// The version of its schema now.
    pub to: u32,
}

impl Migrated {
    /// Built from the report on the store before the migration.
    pub fn of(before: &store_report::StoreReport) -> Self {
        Self { store: before.store.clone(), from: before.version, to: before.known_version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::survives;

    #[test]
    fn a_report_survives_a_wire() {
        let finding = store_report::Finding {
            tenant: "default".to_owned(),
            execution: Some(7),
            reason: "has no steps".to_owned(),
            remedy: None,
        };
        let report = store_report::StoreReport {
            store: "a.db".to_owned(),
            server: None,
            version: 3,
            known_version: 4,
            problems: Vec::new(),
            findings: vec![finding],
        };
        assert_eq!(survives(&StoreReport::of(&report))["is_ready"], false);
        assert_eq!(survives(&Migrated::of(&report))["to"], 4);
    }
}
