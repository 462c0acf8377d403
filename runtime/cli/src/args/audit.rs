//! The arguments of commands on the audit trail.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use stepbox::batch::audit::AuditAction;
use stepbox::batch::clock::Timestamp;

use super::{FormatArg, day_or_moment, examples};

/// What can be done with the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List events, newest first
    #[command(after_long_help = examples(&[
        "stepbox audit list --by julia --limit 50",
        "stepbox audit list --since 2026-11-24T08:00:00Z --format json",
        "stepbox audit list --action execution-submitted --before 1200",
    ]))]
    List {
        /// Only those of this day (in UTC) or moment, and later
        #[arg(long, value_name = "DAY|MOMENT", value_parser = day_or_moment)]
        since: Option<Timestamp>,
        /// Only those of this action
        #[arg(long, value_parser = audit_action())]
        action: Option<AuditAction>,
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Only those before the event of this number
        #[arg(long, value_name = "ID")]
        before: Option<u64>,
        /// The most rows to show; 0 shows all
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Those of the installation, about users and sign-ins, and not of the tenant
        #[arg(long)]
        installation: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Delete old events. The audit trail records this, too
    #[command(after_long_help = examples(&["stepbox audit purge --older-than-days 365"]))]
    Purge {
        /// Those that are more than N days old
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        older_than_days: u32,
        /// Those of the installation, and not of the tenant
        #[arg(long)]
        installation: bool,
    },
}

/// An action by its name.
fn audit_action() -> impl clap::builder::TypedValueParser<Value = AuditAction> {
    PossibleValuesParser::new(AuditAction::ALL.map(AuditAction::as_str))
        .map(|name| name.parse().expect("only names of actions are let through"))
}
