//! Damaged rows that keep nobody from going on.

use stepbox_batch::repository::JobRepository;

use super::{TemporaryStore, empty_store};
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
}

damaged! {
    empty_store,
    one_that_cannot_be_rescued_is_set_aside_and_the_others_are_rescued
    a_claim_passes_over_one_that_cannot_be_read
}
