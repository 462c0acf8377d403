//! The arguments of commands on the operator's files.

use clap::Subcommand;

use super::{FormatArg, examples};

/// What can be done with the operator's files.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check whether `policy.yaml` and each file in `tenants/` can be used
    ///
    /// The command needs no store and changes nothing. It exits with 2 if a file is wrong. A secret, storage or folder
    /// that cannot be used on this machine now is a warning: only the steps that need it would fail.
    #[command(after_long_help = examples(&["stepbox policy check", "stepbox policy check --format json"]))]
    Check(FormatArg),
    /// Show the tenant's policy, with the defaults
    #[command(after_long_help = examples(&["stepbox policy show", "stepbox policy show --tenant acme --format json"]))]
    Show(FormatArg),
}
