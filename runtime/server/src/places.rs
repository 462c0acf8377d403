//! The places of connections, and which connection loses its place to a new one.
//!
//! A probe must be answered within a second, also if other clients are silent, send a byte now and then, or connect
//! again as soon as their connection is closed. So the server accepts connections as they come, and a new one never
//! waits for older ones to end. If all places are taken, the server closes the connection whose time ended first:
//!
//! - A connection that has not sent the whole head of a request has [`HEAD`]. A probe sends its head at once, so it
//!   is never closed for this reason. Sending single bytes gains no time.
//! - A connection that is being answered has [`ANSWER`], so a page that waits for the store holds no place that a
//!   probe needs.
//!
//! During these times a connection cannot lose its place. While there are free places, it may stay far longer. The
//! times limit the delay of a probe: with N connections before it, a probe waits for (N − places) / places times
//! [`HEAD`]. Reserved places for probes would not help: only its head shows whether a connection is a probe, and a
//! hostile client can ask for the probe's page as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How many connections are served at a time. Each takes one of the 1024 descriptors that a process has by default. A
/// silent connection costs about 10 KB.
pub(crate) const PLACES: usize = 256;
/// How long a connection keeps its place before it has sent a whole head.
const HEAD: Duration = Duration::from_millis(100);
/// How long a connection keeps its place while it is being answered.
const ANSWER: Duration = Duration::from_millis(250);

/// The places, shared by the task that accepts connections and the tasks that serve them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Taken>,
    /// A place became free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    places: BTreeMap<u64, Tenure>,
}

/// How long a place is taken.
#[derive(Debug)]
struct Tenure {
    kept_until: Instant,
    /// Closes the connection. `None` once the connection was asked to close.
    over: Option<Arc<Notify>>,
}

/// A place that is taken. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    places: Places,
    over: Arc<Notify>,
}

impl Places {
    /// Takes a place for a new connection. If all are taken, the connection whose time ended first is closed.
    pub(crate) async fn take(&self) -> Place {
        loop {
            let freed = self.0.freed.notified();
            let until = {
                let mut taken = self.taken();
                if taken.places.len() < PLACES {
                    return self.enter(&mut taken);
                }
                taken.make_room()
            };
            match until {
                None => freed.await,
                Some(until) => tokio::select! {
                    () = freed => {}
                    () = sleep_until(until) => {}
                },
            }
        }
    }

    /// Closes the connection whose time ended first, if the time of one has ended.
    pub(crate) fn hang_up(&self) {
        self.taken().make_room();
    }

    fn enter(&self, taken: &mut Taken) -> Place {
        let (number, over) = (taken.next, Arc::<Notify>::default());
        taken.next += 1;
        taken.places.insert(number, Tenure { kept_until: Instant::now() + HEAD, over: Some(over.clone()) });
        Place { number, places: self.clone(), over }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Closes the connection whose time ended first. Returns the moment to wait for if no time has ended yet. Returns
    /// `None` while a connection is closing: once it is closed, a place and its descriptor are free.
    fn make_room(&mut self) -> Option<Instant> {
        if self.places.values().any(|tenure| tenure.over.is_none()) {
            return None;
        }
        let first = self.places.values_mut().min_by_key(|tenure| tenure.kept_until)?;
        if first.kept_until > Instant::now() {
            return Some(first.kept_until);
        }
        if let Some(over) = first.over.take() {
            over.notify_one();
        }
        None
    }
}

impl Place {
    /// The whole head has arrived, and the answer begins.
    pub(crate) fn answered(&self) {
        if let Some(tenure) = self.places.taken().places.get_mut(&self.number) {
            tenure.kept_until = Instant::now() + ANSWER;
        }
    }

    /// Completes when the connection at this place has to close.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + 'static {
        let over = self.over.clone();
        async move { over.notified().await }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().places.remove(&self.number);
        self.places.0.freed.notify_one();
    }
}
