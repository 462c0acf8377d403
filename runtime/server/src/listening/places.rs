//! The places of connections that last: how many there are, and which one makes room for another.
//!
//! A connection that is being answered keeps its place. One that waits for a request may lose it: the one that has waited
//! longest, first among those of an address that has more than its share. So silent clients cannot keep others out, and
//! one address cannot take all places.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

/// How long a new connection keeps its place although it has asked for nothing.
const GRACE: Duration = Duration::from_millis(200);

/// How many connections may be about to end.
const ENDING_MAX: usize = 128;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacesMax {
    pub(crate) all: usize,
    pub(crate) of_an_address: usize,
}

/// The places of a server.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: PlacesMax,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    /// How many requests of it are being answered.
    answering: usize,
    idle_since: Instant,
    over: Option<Arc<Notify>>,
}

/// A place that is taken. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    places: Places,
    over: Arc<Notify>,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Place>);

impl Places {
    pub(crate) fn new(max: PlacesMax) -> Self {
        Self(Arc::new(Shared { max, taken: Mutex::default() }))
    }

    /// Takes a place; `None` if all are taken by connections that are being answered.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let of_it = |connection: &Connection| connection.address == address && connection.over.is_some();
        if taken.connections.values().filter(|connection| of_it(connection)).count()
            >= self.0.max.of_an_address
            && !taken.make_room(of_it)
        {
            return None;
        }
        if taken.connections.len() >= self.0.max.all + ENDING_MAX {
            // Those that were asked to end have not ended yet.
            return None;
        }
        let living = taken.connections.values().filter(|connection| connection.over.is_some()).count();
        if living >= self.0.max.all && !taken.make_room(|_| true) {
            return None;
        }
        taken.next += 1;
        let (number, over) = (taken.next, Arc::new(Notify::new()));
        let connection =
            Connection { address, answering: 0, idle_since: Instant::now(), over: Some(over.clone()) };
        taken.connections.insert(number, connection);
        Some(Place { number, places: self.clone(), over })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Asks the connection to end that has waited longest for a request. Returns whether there is one.
    fn make_room(&mut self, among: impl Fn(&Connection) -> bool) -> bool {
        let idle = self
            .connections
            .values_mut()
            .filter(|connection| connection.over.is_some() && connection.answering == 0 && among(connection));
        let Some(longest) = idle.min_by_key(|connection| connection.idle_since) else { return false };
        if longest.idle_since.elapsed() < GRACE {
            return false;
        }
        if let Some(over) = longest.over.take() {
            over.notify_one();
        }
        true
    }
}

impl Place {
    /// Ends when the place is needed for another connection.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let over = self.over.clone();
        async move { over.notified().await }
    }

    /// A request has begun.
    pub(crate) fn answering(self: &Arc<Self>) -> Answering {
        if let Some(connection) = self.places.taken().connections.get_mut(&self.number) {
            connection.answering += 1;
        }
        Answering(self.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(connection) = self.0.places.taken().connections.get_mut(&self.0.number) {
            connection.answering -= 1;
            connection.idle_since = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_waited_longest_makes_room() {
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let places = Places::new(PlacesMax { all: 3, of_an_address: 2 });
        let first = Arc::new(places.take(one).unwrap());
        tokio::time::advance(Duration::from_millis(1)).await;
        let second = Arc::new(places.take(one).unwrap());
        assert!(places.take(one).is_none(), "both are new");
        let third = places.take(other).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let busy = first.answering();
        let _fourth = places.take(one).expect("the second makes room");
        second.over().await;
        drop((busy, second));
        drop(third);
        let _fifth = places.take(other).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_are_answered_keep_their_places() {
        let places = Places::new(PlacesMax { all: 2, of_an_address: 2 });
        let address = IpAddr::from([10, 0, 0, 1]);
        let taken: Vec<_> = (0..2).map(|_| Arc::new(places.take(address).unwrap())).collect();
        let busy: Vec<_> = taken.iter().map(Place::answering).collect();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(places.take(IpAddr::from([10, 0, 0, 2])).is_none());
        drop(busy);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(places.take(IpAddr::from([10, 0, 0, 2])).is_some());
    }
}
