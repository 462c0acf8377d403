//! Damaged rows, which must not stop work on other rows.

use stepbox_batch::ports::{Finding, JobRepository};
use stepbox_store_testing::sample::NOW;

use super::{SqliteStore, TemporaryStore, empty_store};
use crate::damaged::{Damageable, damaged};

impl Damageable for TemporaryStore {
    fn store(&self) -> &dyn JobRepository {
        &**self
    }

    fn sql(&self, statements: &str) {
        self.stranger().execute_batch(statements).unwrap();
    }

    fn bytes(&self, hex: &str) -> String {
        format!("x'{hex}'")
    }

    async fn findings(&self, mends: bool) -> Vec<Finding> {
        SqliteStore::check(self.path(), NOW, mends).unwrap()
    }
}

damaged! {
    empty_store,
    one_that_cannot_be_rescued_is_set_aside_and_the_others_are_rescued
    a_claim_passes_over_one_that_cannot_be_read
    a_check_finds_what_breaks_a_rule_and_a_repair_mends_it
    a_repair_makes_readable_what_can_be_and_ends_it
    a_check_tells_what_could_not_be_rescued_and_changes_nothing
    what_is_damaged_of_users_gives_nothing_and_is_told
}
