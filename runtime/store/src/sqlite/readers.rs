//! A few connections that only read. With a write-ahead log they see the last commit while the next one is being
//! made, so readers never wait for writers.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use stepbox_batch::ports::Result;
use tokio::sync::Semaphore;

use super::trouble::{Outcome, Place};
use super::{migrate, open};

/// The connections, opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    place: Arc<Place>,
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(place: Arc<Place>) -> Self {
        let free = Semaphore::new(place.options.readers_max.max(1));
        Self { place, idle: Arc::default(), free: Arc::new(free) }
    }

    /// Reads in one transaction, so everything in the answer is as of the same moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.free.clone().acquire_owned().await;
        let permit = permit.map_err(|_| self.place.unavailable("it is closed"))?;
        let (place, idle) = (self.place.clone(), self.idle.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let outcome = read_with(&place, &idle, work);
            drop(permit);
            place.explain(outcome)
        });
        match reading.await {
            Ok(outcome) => outcome,
            Err(defect) => Err(self.place.unavailable(format!("reading it ended early: {defect}"))),
        }
    }
}

fn read_with<T>(
    place: &Place,
    idle: &Mutex<Vec<Connection>>,
    work: impl FnOnce(&Connection) -> Outcome<T>,
) -> Outcome<T> {
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut db = kept.map_or_else(|| open::open_reader(place), Ok)?;
    // A connection that fails is dropped: the next call opens a new one.
    let outcome = read_once(&mut db, place, work)?;
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
    Ok(outcome)
}

fn read_once<T>(
    db: &mut Connection,
    place: &Place,
    work: impl FnOnce(&Connection) -> Outcome<T>,
) -> Outcome<T> {
    let transaction = db.transaction()?;
    migrate::refuse_newer(&transaction, place)?;
    work(&transaction)
}
