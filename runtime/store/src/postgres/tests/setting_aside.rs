//! Damaged rows, which must not stop work on other rows.

use stepbox_batch::ports::{Finding, JobRepository};
use stepbox_test_postgres::Server;

use super::super::{PostgresOptions, PostgresStore};
use crate::damaged::{Damageable, damaged};

struct Database {
    store: PostgresStore,
    name: String,
    url: String,
}

async fn empty_database() -> Database {
    let url = Server::shared().database().unwrap();
    let name = url.rsplit('/').next().unwrap().to_owned();
    Database { store: PostgresStore::open(&url, PostgresOptions::default()).await.unwrap(), name, url }
}

impl Damageable for Database {
    fn store(&self) -> &dyn JobRepository {
        &self.store
    }

    fn sql(&self, statements: &str) {
        Server::shared().sql(&self.name, statements).unwrap();
    }

    fn bytes(&self, hex: &str) -> String {
        format!("'\\x{hex}'")
    }

    async fn findings(&self, mends: bool) -> Vec<Finding> {
        PostgresStore::check_contents(&self.url, &PostgresOptions::default(), mends).await.unwrap()
    }
}

damaged! {
    empty_database,
    one_that_cannot_be_rescued_is_set_aside_and_the_others_are_rescued
    a_claim_passes_over_one_that_cannot_be_read
    a_check_finds_what_breaks_a_rule_and_a_repair_mends_it
    a_repair_makes_readable_what_can_be_and_ends_it
    a_check_tells_what_could_not_be_rescued_and_changes_nothing
    what_is_damaged_of_users_gives_nothing_and_is_told
}
