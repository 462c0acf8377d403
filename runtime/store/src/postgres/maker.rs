//! How the pool makes connections, and how it checks a connection that was unused for some time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};

use super::PostgresOptions;
use super::address::Address;
use super::connection::Db;
use super::migrate;
use super::trouble::{Outcome, Trouble};

/// After this time without use, a connection counts as rested.
const RESTED: Duration = Duration::from_millis(100);
/// How long a connection keeps the plans of its statements.
///
/// A plan that was made for an empty queue reads a long queue from end to end. The server itself makes a new plan
/// only after it has counted again, which may be a minute later.
const PLANS_LAST: Duration = Duration::from_secs(5);

/// Makes connections for the pool.
#[derive(Debug)]
pub(super) struct Maker {
    address: Arc<Address>,
    options: Arc<PostgresOptions>,
    /// When a rested connection was found broken.
    broken_at: Mutex<Option<Instant>>,
}

impl Maker {
    pub(super) fn new(address: Arc<Address>, options: Arc<PostgresOptions>) -> Self {
        Self { address, options, broken_at: Mutex::default() }
    }
}

impl managed::Manager for Maker {
    type Type = Db;
    type Error = Trouble;

    async fn create(&self) -> Outcome<Db> {
        let db = Db::open(&self.address, &self.options).await?;
        db.bound(&self.options).await?;
        migrate::refuse_newer(&db).await?;
        Ok(db)
    }

    /// Checks a rested connection with a short request: the server may have been restarted, or the network cut, in
    /// the meantime. If there is no answer, all other connections that were made before are dropped, too.
    async fn recycle(&self, db: &mut Db, metrics: &Metrics) -> RecycleResult<Trouble> {
        let broken_at = *self.broken_at.lock().unwrap_or_else(PoisonError::into_inner);
        if db.is_closed() || broken_at.is_some_and(|broken_at| metrics.created <= broken_at) {
            return Err(RecycleError::message("it was closed"));
        }
        let has_old_plans = db.has_plans_since(PLANS_LAST);
        if metrics.last_used() < RESTED && !has_old_plans {
            return Ok(());
        }
        let alive = if has_old_plans { db.plan_anew().await } else { db.run("").await };
        if alive.is_err() {
            *self.broken_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        Ok(alive?)
    }
}
