//! What a token may be used for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token may be used for, within the rights of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Look at executions, the queue, workers and the tenant itself.
    ReadExecutions,
    /// Launch, stop, pause, resume, restart, import again and abandon.
    LaunchExecutions,
    /// Look at instances.
    ReadInstances,
    /// Create, change and delete instances.
    WriteInstances,
    /// Look at connectors and jobs.
    ReadConnectors,
    /// Install and remove connectors.
    WriteConnectors,
    /// Look at steps.
    ReadSteps,
    /// Upload, pull and remove steps.
    WriteSteps,
    /// Read uploaded files, and the files that executions have written.
    ReadFiles,
    /// Upload and remove input files.
    WriteFiles,
    /// Read the audit trail.
    ReadAudit,
    /// Decide about members, roles, rights per instance and others' tokens; purge.
    Administer,
    /// Operate the installation.
    Operate,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 13] = [
        Self::ReadExecutions,
        Self::LaunchExecutions,
        Self::ReadInstances,
        Self::WriteInstances,
        Self::ReadConnectors,
        Self::WriteConnectors,
        Self::ReadSteps,
        Self::WriteSteps,
        Self::ReadFiles,
        Self::WriteFiles,
        Self::ReadAudit,
        Self::Administer,
        Self::Operate,
    ];

    /// The name of the scope: `executions:read`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadExecutions => "executions:read",
            Self::LaunchExecutions => "executions:launch",
            Self::ReadInstances => "instances:read",
            Self::WriteInstances => "instances:write",
            Self::ReadConnectors => "connectors:read",
            Self::WriteConnectors => "connectors:write",
            Self::ReadSteps => "steps:read",
            Self::WriteSteps => "steps:write",
            Self::ReadFiles => "files:read",
            Self::WriteFiles => "files:write",
            Self::ReadAudit => "audit:read",
            Self::Administer => "administer",
            Self::Operate => "operate",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{0}`")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

impl TryFrom<String> for Scope {
    type Error = UnknownScope;

    fn try_from(text: String) -> Result<Self, UnknownScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_name_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        for text in ["", "executions", "executions:", "executions:write", "*", "Operate"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
