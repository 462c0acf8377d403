//! The slots of connections, and which connection loses its slot to a new one.
//!
//! A probe must be answered within a second, also if other clients are silent, send a byte now and then, or connect
//! again as soon as their connection is closed. So the server accepts connections as they come, and a new one never
//! waits for older ones to end. If all slots are taken, the server closes the connection whose time ended first:
//!
//! - A connection that has not sent the whole head of a request has [`HEAD`]. A probe sends its head at once, so it
//!   is never closed for this reason. Sending single bytes gains no time.
//! - A connection that is being answered has [`ANSWER`], so a page that waits for the store holds no slot that a
//!   probe needs.
//!
//! During these times a connection cannot lose its slot. While there are free slots, it may stay far longer. The
//! times limit the delay of a probe: with N connections before it, a probe waits for (N − slots) / slots times
//! [`HEAD`]. Reserved slots for probes would not help: only its head shows whether a connection is a probe, and a
//! hostile client can ask for the probe's page as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How many connections are served at a time. Each takes one of the 1024 descriptors that a process has by default. A
/// silent connection costs about 10 KB.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// How long a connection keeps its slot before it has sent a whole head.
const HEAD: Duration = Duration::from_millis(100);
/// How long a connection keeps its slot while it is being answered.
const ANSWER: Duration = Duration::from_millis(250);

/// The slots, shared by the task that accepts connections and the tasks that serve them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionSlots(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Taken>,
    /// A slot became free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    slots: BTreeMap<u64, Tenure>,
}

/// How long a slot is taken.
#[derive(Debug)]
struct Tenure {
    kept_until: Instant,
    /// Closes the connection. `None` once the connection was asked to close.
    over: Option<Arc<Notify>>,
}

/// A slot that is taken. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    number: u64,
    slots: ConnectionSlots,
    over: Arc<Notify>,
}

impl ConnectionSlots {
    /// Takes a slot for a new connection. If all are taken, the connection whose time ended first is closed.
    pub(crate) async fn take(&self) -> ConnectionSlot {
        loop {
            let freed = self.0.freed.notified();
            let until = {
                let mut taken = self.taken();
                if taken.slots.len() < CONNECTIONS_MAX {
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
    pub(crate) fn close_oldest(&self) {
        self.taken().make_room();
    }

    fn enter(&self, taken: &mut Taken) -> ConnectionSlot {
        let (number, over) = (taken.next, Arc::<Notify>::default());
        taken.next += 1;
        taken.slots.insert(number, Tenure { kept_until: Instant::now() + HEAD, over: Some(over.clone()) });
        ConnectionSlot { number, slots: self.clone(), over }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Closes the connection whose time ended first. Returns the moment to wait for if no time has ended yet. Returns
    /// `None` while a connection is closing: once it is closed, a slot and its descriptor are free.
    fn make_room(&mut self) -> Option<Instant> {
        if self.slots.values().any(|tenure| tenure.over.is_none()) {
            return None;
        }
        let first = self.slots.values_mut().min_by_key(|tenure| tenure.kept_until)?;
        if first.kept_until > Instant::now() {
            return Some(first.kept_until);
        }
        if let Some(over) = first.over.take() {
            over.notify_one();
        }
        None
    }
}

impl ConnectionSlot {
    /// The whole head has arrived, and the answer begins.
    pub(crate) fn answered(&self) {
        if let Some(tenure) = self.slots.taken().slots.get_mut(&self.number) {
            tenure.kept_until = Instant::now() + ANSWER;
        }
    }

    /// Completes when the connection at this slot has to close.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + 'static {
        let over = self.over.clone();
        async move { over.notified().await }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.taken().slots.remove(&self.number);
        self.slots.0.freed.notify_one();
    }
}
