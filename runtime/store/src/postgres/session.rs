//! A connection that is lent to a caller, and dropped at the first doubt.

use deadpool::managed::Object;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Db;
use super::maker::Maker;
use super::trouble::{Outcome, Trouble};

/// A connection that is lent to a caller. It is given back only if all work on it is complete: not after an error,
/// and not if the caller stopped waiting in the middle.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<Object<Maker>>,
    is_in_doubt: bool,
    /// The place is given back after the connection.
    _place: OwnedSemaphorePermit,
}

impl Session {
    pub(super) fn of(connection: Object<Maker>, place: OwnedSemaphorePermit) -> Self {
        Self { connection: Some(connection), is_in_doubt: true, _place: place }
    }

    /// Notes that nothing is in progress on the connection.
    pub(super) fn give_back(mut self) {
        self.is_in_doubt = false;
    }

    /// Gives the connection back, unless it failed.
    pub(super) fn settle<T>(self, outcome: Outcome<T>) -> Outcome<T> {
        if matches!(outcome, Ok(_) | Err(Trouble::Repository(_))) {
            self.give_back();
        }
        outcome
    }

    /// Ends a transaction: commits it, or rolls it back.
    pub(super) async fn end<T>(self, outcome: Outcome<T>) -> Outcome<T> {
        let answer = match outcome {
            Ok(answer) => {
                self.run("COMMIT").await?;
                Ok(answer)
            }
            Err(Trouble::Repository(refusal)) => {
                self.run("ROLLBACK").await?;
                Err(Trouble::Repository(refusal))
            }
            // After any other error the connection is dropped, and the transaction with it.
            Err(trouble) => return Err(trouble),
        };
        self.give_back();
        answer
    }
}

impl std::ops::Deref for Session {
    type Target = Db;

    fn deref(&self) -> &Db {
        self.connection.as_ref().expect("it is there until the session ends")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take_if(|_| self.is_in_doubt) {
            drop(Object::take(connection));
        }
    }
}
