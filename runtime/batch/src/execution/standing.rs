//! Which request is allowed for an execution, decided from a few stored values.
//!
//! Functions from values to values: every store calls them inside its transaction, so all stores decide alike.

use super::lease::is_held;
use super::status::BatchStatus::{self, *};
use crate::clock::Timestamp;
use crate::flow::Requests;
use crate::name::JobExecutionId;
use crate::ports::error::{RepositoryError, Result};

/// The outcome of a stop request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// A worker holds the execution and will see the request.
    Requested,
    /// No worker had begun it; it is STOPPED now.
    StoppedAtOnce,
}

/// The outcome of a pause request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseRequest {
    /// A worker holds the execution and will see the request.
    Requested,
    /// No worker had it; it is PAUSED now.
    PausedAtOnce,
}

/// The stored values of an execution that decide which requests are allowed.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Which execution.
    pub id: JobExecutionId,
    /// Its status.
    pub status: BatchStatus,
    /// Whether its job may be stopped by a request.
    pub stoppable: bool,
    /// When its lease ends; `None` while no worker holds a lease.
    pub lease_expires_at: Option<Timestamp>,
    /// Whether it was set aside because it could be neither run nor rescued.
    ///
    /// If so, no worker holds it.
    pub is_set_aside: bool,
    /// Whether it is a part of another execution's step.
    pub is_part: bool,
    /// What was requested.
    pub requests: Requests,
}

impl Standing {
    /// Whether a worker may take its lease.
    pub fn claim(&self, now: Timestamp) -> Result<()> {
        match self.status {
            status if self.is_set_aside && !status.has_ended() => self.refuse("it is set aside"),
            Starting | Paused if self.is_part && self.requests.pause => {
                self.refuse("it pauses with its whole")
            }
            Starting | Paused if self.is_held(now) => self.refuse("another worker has claimed it"),
            Starting | Paused => Ok(()),
            Started | Stopping | Pausing => self.refuse("a worker has begun it"),
            Completed | Stopped | Failed | Abandoned | Unknown => self.refuse("it has ended"),
        }
    }

    /// What a stop request does to it.
    pub fn stop(&self, now: Timestamp) -> Result<StopRequest> {
        match self.status {
            status if status.has_ended() => self.refuse("it has ended"),
            _ if self.is_set_aside => Ok(StopRequest::StoppedAtOnce),
            _ if !self.stoppable => self.refuse("its job is not stoppable"),
            Starting | Paused if !self.is_held(now) => Ok(StopRequest::StoppedAtOnce),
            _ => Ok(StopRequest::Requested),
        }
    }

    /// What a pause request does to it.
    pub fn pause(&self, now: Timestamp) -> Result<PauseRequest> {
        match self.status {
            status if status.has_ended() => self.refuse("it has ended"),
            _ if self.is_set_aside => self.refuse("it is set aside"),
            _ if self.is_part => self.refuse("it is a part of another execution; pause that one"),
            _ if !self.stoppable => self.refuse("its job is not stoppable"),
            Stopping => self.refuse("it is to stop"),
            _ if self.requests.stop => self.refuse("it is to stop"),
            Starting | Paused if !self.is_held(now) => Ok(PauseRequest::PausedAtOnce),
            _ => Ok(PauseRequest::Requested),
        }
    }

    /// Whether it may wait in the queue again after a pause. `waits` says whether it waits there now.
    pub fn resume(&self, waits: bool, now: Timestamp) -> Result<()> {
        match self.status {
            status if self.is_set_aside && !status.has_ended() => self.refuse("it is set aside"),
            _ if self.is_part => self.refuse("it is a part of another execution; resume that one"),
            Paused if self.is_held(now) => self.refuse("a worker has claimed it"),
            Paused if waits => self.refuse("it waits for a worker already"),
            Paused => Ok(()),
            _ => self.refuse("only an execution that is PAUSED can be resumed"),
        }
    }

    /// Whether a person may abandon it.
    pub fn abandon(&self, now: Timestamp) -> Result<()> {
        match self.status {
            status if self.is_set_aside && !status.has_ended() => Ok(()),
            Starting | Paused if self.is_held(now) => self.refuse("a worker has claimed it; stop it first"),
            status if status.may_become(Abandoned) => Ok(()),
            Abandoned => self.refuse("it is given up already"),
            Completed => self.refuse("there is nothing to give up"),
            _ => self.refuse("a worker is on it; stop it first"),
        }
    }

    /// Whether another execution may continue it.
    pub fn restart(&self) -> Result<()> {
        match self.status {
            Stopped | Failed => Ok(()),
            _ => self.refuse("only a STOPPED or FAILED one can be restarted"),
        }
    }

    /// Whether its worker may save this status.
    pub fn become_status(&self, next: BatchStatus) -> Result<()> {
        if next == self.status || self.status.may_become(next) {
            return Ok(());
        }
        self.refuse(match next {
            Completed => "it cannot become COMPLETED",
            Starting => "it cannot become STARTING",
            Started => "it cannot become STARTED",
            Stopping => "it cannot become STOPPING",
            Stopped => "it cannot become STOPPED",
            Failed => "it cannot become FAILED",
            Abandoned => "it cannot become ABANDONED",
            Unknown => "it cannot become UNKNOWN",
            Pausing => "it cannot become PAUSING",
            Paused => "it cannot become PAUSED",
        })
    }

    /// Whether it has not begun, or is PAUSED, and no worker holds it.
    pub fn is_free_to_begin(&self, now: Timestamp) -> bool {
        matches!(self.status, Starting | Paused) && !self.is_held(now)
    }

    fn is_held(&self, now: Timestamp) -> bool {
        is_held(self.lease_expires_at, now)
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T> {
        Err(RepositoryError::WrongStatus { id: self.id, status: self.status, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per status: the answers with a lease that is free (or has expired), and with a lease that is held.
    #[test]
    fn answers_for_each_status() {
        let rows = [
            (Starting, "claim=ok stop=at-once pause=at-once resume=no abandon=ok"),
            (Started, "claim=no stop=requested pause=requested resume=no abandon=no"),
            (Stopping, "claim=no stop=requested pause=no resume=no abandon=no"),
            (Pausing, "claim=no stop=requested pause=requested resume=no abandon=no"),
            (Paused, "claim=ok stop=at-once pause=at-once resume=ok abandon=ok"),
            (Stopped, "claim=no stop=no pause=no resume=no abandon=ok"),
            (Failed, "claim=no stop=no pause=no resume=no abandon=ok"),
            (Unknown, "claim=no stop=no pause=no resume=no abandon=ok"),
            (Completed, "claim=no stop=no pause=no resume=no abandon=no"),
            (Abandoned, "claim=no stop=no pause=no resume=no abandon=no"),
        ];
        let held_rows = [
            (Starting, "claim=no stop=requested pause=requested resume=no abandon=no"),
            (Paused, "claim=no stop=requested pause=requested resume=no abandon=no"),
        ];
        for (status, free) in rows {
            let held = held_rows.iter().find(|(known, _)| *known == status).map_or(free, |(_, held)| held);
            let answers = |lease_expires_at| told_of(Standing { lease_expires_at, ..standing(status) });
            assert_eq!(answers(None), free, "{status}, never claimed");
            assert_eq!(answers(Some(Timestamp(10))), free, "{status}, lease over");
            assert_eq!(answers(Some(Timestamp(11))), held, "{status}, held");
        }
    }

    fn standing(status: BatchStatus) -> Standing {
        Standing {
            id: JobExecutionId(1),
            status,
            stoppable: true,
            lease_expires_at: None,
            is_set_aside: false,
            is_part: false,
            requests: Requests::default(),
        }
    }

    /// No worker begins an execution that is set aside, and a person may end it in any status.
    #[test]
    fn what_is_set_aside_is_only_ended() {
        for status in [Starting, Started, Stopping, Pausing, Paused] {
            let standing = Standing { stoppable: false, is_set_aside: true, ..standing(status) };
            let expected = "claim=no stop=at-once pause=no resume=no abandon=ok";
            assert_eq!(told_of(standing), expected, "{status}");
        }
    }

    /// What a part, a job that is not stoppable and an execution with requests differ in.
    #[test]
    fn requests_and_parts_decide() {
        let (stop, pause) = (Requests { stop: true, pause: false }, Requests { stop: false, pause: true });
        let paused = standing(Paused);
        let rows = [
            (
                Standing { requests: stop, ..standing(Started) },
                "claim=no stop=requested pause=no resume=no abandon=no",
            ),
            (
                Standing { requests: pause, ..paused },
                "claim=ok stop=at-once pause=at-once resume=ok abandon=ok",
            ),
            (Standing { stoppable: false, ..paused }, "claim=ok stop=no pause=no resume=ok abandon=ok"),
            (Standing { is_part: true, ..paused }, "claim=ok stop=at-once pause=no resume=no abandon=ok"),
            (
                Standing { is_part: true, requests: pause, ..paused },
                "claim=no stop=at-once pause=no resume=no abandon=ok",
            ),
        ];
        for (standing, expected) in rows {
            assert_eq!(told_of(standing), expected, "{standing:?}");
        }
        assert!(paused.resume(true, Timestamp(10)).is_err(), "it waits already");
    }

    fn told_of(standing: Standing) -> String {
        let now = Timestamp(10);
        let claim = standing.claim(now).map_or("no", |()| "ok");
        let stop = match standing.stop(now) {
            Ok(StopRequest::StoppedAtOnce) => "at-once",
            Ok(StopRequest::Requested) => "requested",
            Err(_) => "no",
        };
        let pause = match standing.pause(now) {
            Ok(PauseRequest::PausedAtOnce) => "at-once",
            Ok(PauseRequest::Requested) => "requested",
            Err(_) => "no",
        };
        let resume = standing.resume(false, now).map_or("no", |()| "ok");
        let abandon = standing.abandon(now).map_or("no", |()| "ok");
        format!("claim={claim} stop={stop} pause={pause} resume={resume} abandon={abandon}")
    }
}
