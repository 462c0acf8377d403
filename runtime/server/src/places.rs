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
use tokio::task::AbortHandle;
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
    /// None until its connection is being served.
    task: Option<AbortHandle>,
}

/// A place that is taken. It is free again once this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    places: Places,
}

impl Places {
    /// A place for a connection that has just come, at the cost of whoever has had their time.
    pub(crate) async fn take(&self) -> Place {
        loop {
            let freed = self.0.freed.notified();
            self.make_room();
            let until = {
                let mut taken = self.taken();
                if taken.places.len() < PLACES {
                    return self.enter(&mut taken);
                }
                taken.first().map(|(_, kept_until)| kept_until)
            };
            tokio::select! {
                () = freed => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)) => {}
            }
        }
    }

    /// If all places are taken, hangs up on whoever has had their time the longest, if anybody has.
    fn make_room(&self) {
        if self.taken().places.len() >= PLACES {
            self.hang_up();
        }
    }

    /// Hangs up on whoever has had their time the longest, if anybody has.
    pub(crate) fn hang_up(&self) {
        // Ending a task may drop its place, which looks for the places.
        let gone = self.taken().out_of_time();
        if let Some(Tenure { task: Some(task), .. }) = gone {
            task.abort();
        }
    }

    /// Tells what serves the connection at a place: ending it hangs up.
    pub(crate) fn served_by(&self, number: u64, task: AbortHandle) {
        match self.taken().places.get_mut(&number) {
            Some(tenure) => tenure.task = Some(task),
            // It was quick, or has had to go before anybody knew how to tell it.
            None => task.abort(),
        }
    }

    fn enter(&self, taken: &mut Taken) -> Place {
        let number = taken.next;
        taken.next += 1;
        taken.places.insert(number, Tenure { kept_until: Instant::now() + HEAD, task: None });
        Place { number, places: self.clone() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Whoever has had their time first, and when.
    fn first(&self) -> Option<(u64, Instant)> {
        self.places
            .iter()
            .map(|(number, tenure)| (*number, tenure.kept_until))
            .min_by_key(|(_, until)| *until)
    }

    fn out_of_time(&mut self) -> Option<Tenure> {
        let (number, _) = self.first().filter(|(_, kept_until)| *kept_until <= Instant::now())?;
        self.places.remove(&number)
    }
}

impl Place {
    /// Its number, for [`Places::served_by`].
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The whole head is there: it is being answered.
    pub(crate) fn answered(&self) {
        if let Some(tenure) = self.places.taken().places.get_mut(&self.number) {
            tenure.kept_until = Instant::now() + ANSWER;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().places.remove(&self.number);
        self.places.0.freed.notify_one();
    }
}
