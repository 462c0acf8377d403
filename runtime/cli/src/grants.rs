//! What a connector's steps ask for, and what the policy leaves of it, as a table.

use stepbox::batch::visible::Visible;
use stepbox::config::POLICY_FILE;
use stepbox_api::connector::Grant;

use crate::output::table::{Column, Table};

/// A table of all grants; nothing if no step asks for any.
pub(crate) fn table(grants: &[Grant]) -> Visible {
    if grants.is_empty() {
        return Visible::default();
    }
    let names = ["step", "asked", "policy", "effective"].map(Column::Left);
    let table = Table::of(names, grants, |row| {
        [row.step.clone(), row.asked.clone(), row.policy.clone(), row.effective.clone()]
    });
    let heading = format_args!("grants, cut down to the policy (`{POLICY_FILE}` in the data folder)");
    [Visible::line(""), Visible::line(heading), table.shown().indented(2)].into_iter().collect()
}
