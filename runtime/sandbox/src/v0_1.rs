//! Version 0.1 of the contract with components, `wit/0.1`: its types, its imports and its exports.
//!
//! Everything that depends on the types of one version is in here. A new version gets a module of its own
//! beside this one. Both use the same grants, budget, egress and checks.

pub(crate) mod adapters;
pub(crate) mod bindings;
pub(crate) mod imports;

/// The contract's files, by name.
pub(crate) const WIT: &[(&str, &str)] = &[
    ("types.wit", include_str!("../../../wit/0.1/types.wit")),
    ("execution.wit", include_str!("../../../wit/0.1/execution.wit")),
    ("files.wit", include_str!("../../../wit/0.1/files.wit")),
    ("http.wit", include_str!("../../../wit/0.1/http.wit")),
    ("worlds.wit", include_str!("../../../wit/0.1/worlds.wit")),
];
