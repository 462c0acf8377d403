//! What a check of a store has found.

use std::fmt;

/// What a store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReport {
    /// Where it is, without a password.
    pub store: String,
    /// The version of its server; `None` for the embedded store.
    pub server: Option<String>,
    /// The version of its schema; 0 if there is none yet.
    pub version: u32,
    /// The version that this program reads and writes.
    pub known_version: u32,
    /// What is damaged; empty if nothing is. The server of a PostgreSQL database checks that itself.
    pub problems: Vec<String>,
    /// What cannot be read, or breaks a rule; at most a thousand.
    pub findings: Vec<Finding>,
}

impl StoreReport {
    /// Whether nothing has to be done before it is used.
    pub fn is_ready(&self) -> bool {
        self.is_usable() && self.findings.iter().all(|finding| finding.remedy.is_some())
    }

    /// Whether its schema is up to date and nothing is damaged, so that its contents can be looked at.
    pub fn is_usable(&self) -> bool {
        self.version == self.known_version && self.problems.is_empty()
    }
}

/// Something that cannot be read, or breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The tenant, as it is stored; empty if the finding belongs to none.
    pub tenant: String,
    /// The execution that it is about; `None` for connectors, components and instances.
    pub execution: Option<i64>,
    /// What is wrong.
    pub reason: String,
    /// What was done about it. `None` if nothing was asked for, or nothing helps.
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
