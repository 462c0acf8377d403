//! Who is being served, and who has to go when others come.
//!
//! A probe must be answered within a second whoever else is there: whoever keeps silent, drips, or comes again at once
//! when hung up on. So connections are taken as they come, and never wait for those before them to end. When all places
//! are taken, whoever has had their time the longest is hung up on:
//!
//! - Whoever has not sent the whole head of a request has [`HEAD`]. A probe sends its head at once, so it is never
//!   among them, and bytes that drip win no time.
//! - Whoever is being answered has [`ANSWER`]: a page that waits for the store holds no place that a probe needs.
//!
//! The times are what a place cannot be taken for, and while there are places, everybody may stay far longer. They make
//! the delay of a probe a matter of arithmetic: with N who come before it, it waits for (N − places) / places times
//! [`HEAD`]. Places that are kept free for probes would not help: which connection is a probe shows with its head, and
//! whoever wants to be in the way can ask for the probe's page as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How many connections are served at a time, and so how many descriptors they take, of the 1024 that a process has by
/// default. A silent one costs some 10 KB.
pub(crate) const PLACES: usize = 256;
/// How long a place is kept for whoever has not sent a whole head.
const HEAD: Duration = Duration::from_millis(100);
/// How long a place is kept for whoever is being answered.
const ANSWER: Duration = Duration::from_millis(250);

/// The places, shared by whoever takes connections and those who serve them.
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

/// For how long a place is taken.
#[derive(Debug)]
struct Tenure {
    kept_until: Instant,
    /// Tells whoever has it to go. None once that was told.
    over: Option<Arc<Notify>>,
}

/// A place that is taken. It is free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    places: Places,
    over: Arc<Notify>,
}

impl Places {
    /// A place for a connection that has just come, at the cost of whoever has had their time.
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

    /// Hangs up on whoever has had their time the longest, if anybody has.
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
    /// Has whoever has had their time the longest go. Until when to wait if nobody has; none while somebody is going:
    /// a place is free, and its descriptor too, once they are gone.
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
    /// The whole head is there: it is being answered.
    pub(crate) fn answered(&self) {
        if let Some(tenure) = self.places.taken().places.get_mut(&self.number) {
            tenure.kept_until = Instant::now() + ANSWER;
        }
    }

    /// Comes to its end when whoever has this place is to go.
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
