//! The result of a check of a store.

use std::fmt;

/// The state of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReport {
    /// The address of the store, without a password.
    pub store: String,
    /// The version of its server; `None` for the embedded store.
    pub server: Option<String>,
    /// The version of its schema; 0 if there is no schema yet.
    pub version: u32,
    /// The version that this program reads and writes.
    pub known_version: u32,
    /// What is damaged in the database itself; empty if nothing is.
    ///
    /// A PostgreSQL server checks this itself.
    pub problems: Vec<String>,
    /// The rows that cannot be read, or that break a rule; at most a thousand.
    pub findings: Vec<Finding>,
}

impl StoreReport {
    /// Whether nothing must be done before the store is used: it is usable, and each finding was mended.
    pub fn is_ready(&self) -> bool {
        self.is_usable() && self.findings.iter().all(|finding| finding.remedy.is_some())
    }

    /// Whether its schema is up to date and nothing is damaged, so that its contents can be read.
    pub fn is_usable(&self) -> bool {
        self.version == self.known_version && self.problems.is_empty()
    }
}

/// A row that cannot be read, or that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The tenant, as it is stored; empty if the finding belongs to none.
    pub tenant: String,
    /// The execution that it is about; `None` for connectors, components and instances.
    pub execution: Option<i64>,
    /// What is wrong.
    pub reason: String,
    /// What was done about it.
    ///
    /// `None` if no repair was asked for, or if none helped.
    pub remedy: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.execution {
            Some(id) => write!(f, "tenant `{}`, execution {id}: {}", self.tenant, self.reason)?,
            None => write!(f, "tenant `{}`: {}", self.tenant, self.reason)?,
        }
        match &self.remedy {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}
