//! The connections of a process: few while there are few calls, more while many calls wait for one, and closed
//! after some time without use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{Pool, PoolError, QueueMode, WeakPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::PostgresOptions;
use super::address::Address;
use super::maker::Maker;
use super::session::Session;
use super::trouble::{Outcome, Trouble};

/// How many connections are made without waiting for one that is in use.
const FEW: usize = 2;
/// How long to wait for a connection in use before one more is made. Making a connection takes longer, and most
/// statements are answered sooner.
const RATHER_WAITS: Duration = Duration::from_millis(10);

/// The connections of a store.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pool: Pool<Maker>,
    places: Arc<Places>,
    options: Arc<PostgresOptions>,
    /// Ends when the last clone is dropped.
    _sweeper: Arc<Sweeper>,
}

impl Connections {
    pub(super) fn new(address: Arc<Address>, options: Arc<PostgresOptions>) -> Outcome<Self> {
        let create =
            Duration::from_millis(options.connect_timeout_ms.saturating_add(options.response_timeout_ms));
        let max = address.connections_max.unwrap_or(options.connections_max).max(1);
        let pool = Pool::builder(Maker::new(address, options.clone()))
            .max_size(max)
            // If fewer connections are needed, it is always the same ones that are unused, and they are closed
            // after some time.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(create))
            .build()
            .map_err(|error| Trouble::Unfit(error.to_string()))?;
        let places = Arc::new(Places::up_to(max));
        let idle = Duration::from_millis(options.idle_timeout_ms.max(1));
        let _sweeper = Arc::new(Sweeper::start(pool.weak(), places.clone(), idle));
        Ok(Self { pool, places, options, _sweeper })
    }

    /// A connection to work with.
    pub(super) async fn get(&self) -> Outcome<Session> {
        let waited_ms = self.options.pool_timeout_ms;
        let place = self.places.take(Duration::from_millis(waited_ms)).await;
        let place = place.ok_or(Trouble::Crowded { connections: self.places.max, waited_ms })?;
        match self.pool.get().await {
            Ok(connection) => Ok(Session::of(connection, place)),
            Err(PoolError::Backend(trouble)) => Err(trouble),
            Err(PoolError::Timeout(_)) => Err(Trouble::Silent(self.options.connect_timeout_ms)),
            Err(PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Err(Trouble::Unfit("its connections are closed".to_owned()))
            }
        }
    }

    /// How many connections are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.pool.status().size
    }
}

/// How many connections may be in use at a time: few at first, and one more whenever a caller has waited.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    /// How many places there are, and when the last one was added.
    all: Mutex<(usize, Instant)>,
    max: usize,
}

impl Places {
    fn up_to(max: usize) -> Self {
        let few = FEW.min(max);
        Self { free: Arc::new(Semaphore::new(few)), all: Mutex::new((few, Instant::now())), max }
    }

    /// Waits for a place for at most this time.
    async fn take(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        loop {
            let is_last_try = self.all().0 >= self.max;
            let wait = if is_last_try { patience } else { RATHER_WAITS.min(patience) };
            match timeout(wait, self.free.clone().acquire_owned()).await {
                Ok(place) => return place.ok(),
                Err(_) if is_last_try => return None,
                Err(_) => self.add_one(),
            }
        }
    }

    /// Adds one place, however many callers have waited for it at the same time.
    fn add_one(&self) {
        let mut all = self.all();
        if all.0 < self.max && all.1.elapsed() >= RATHER_WAITS {
            *all = (all.0 + 1, Instant::now());
            self.free.add_permits(1);
        }
    }

    /// Removes idle places, down to `places`.
    fn keep(&self, places: usize) {
        let mut all = self.all();
        while all.0 > places.max(FEW)
            && let Ok(place) = self.free.try_acquire()
        {
            place.forget();
            all.0 -= 1;
        }
    }

    fn all(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that closes connections that have been idle for some time.
#[derive(Debug)]
struct Sweeper(JoinHandle<()>);

impl Sweeper {
    /// Checks several times within the time after which a connection counts as idle.
    fn start(pool: WeakPool<Maker>, places: Arc<Places>, idle: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut rounds = interval((idle / 4).max(Duration::from_millis(1)));
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                let Some(pool) = pool.upgrade() else { break };
                if !pool.retain(|_, metrics| metrics.last_used() < idle).removed.is_empty() {
                    // The next burst of calls adds as many places as it needs.
                    places.keep(pool.status().size);
                }
            }
        }))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
