//! How the pool makes connections, and whether one that has rested can be used again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};

use super::PostgresOptions;
use super::address::Address;
use super::connection::Db;
use super::migrate;
use super::trouble::{Outcome, Trouble};

/// After how long a connection has rested.
const RESTED: Duration = Duration::from_millis(100);
/// How long a connection keeps the plans of its statements. One made for an empty queue reads a long one from end to
/// end, and the server itself makes a new one only once it has counted again, which it may do a minute later.
const PLANS_LAST: Duration = Duration::from_secs(5);

/// Makes connections for the pool.
#[derive(Debug)]
pub(super) struct Maker {
    address: Arc<Address>,
    options: Arc<PostgresOptions>,
    /// When a connection was found broken that had rested.
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

    /// A connection that has rested is asked for a sign of life: the server may have been restarted, or the
    /// network cut, since. If there is none, no other one of its time is trusted either.
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
