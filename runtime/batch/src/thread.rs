//! Work on a thread of its own, where it may block.
//!
//! Such a thread cannot be ended from outside. A run that has waited long enough leaves the thread behind. The
//! thread does not belong to the runtime, so neither the end of the program nor the end of the runtime waits for
//! it. The [`Gate`](crate::gate::Gate) of its step decides what the thread may still change.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Work on a thread of its own.
///
/// If this handle is dropped, the work ends at its next await point. If the work does not reach one, the thread is
/// left behind.
#[derive(Debug)]
pub struct OwnThread<T> {
    outcome: oneshot::Receiver<T>,
    /// Dropped with this handle; that is the signal to end.
    _held: oneshot::Sender<()>,
}

/// The work panicked: a defect in its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Starts work on a thread of its own.
///
/// Needs a Tokio runtime.
///
/// # Panics
///
/// Panics if the machine cannot start another thread.
pub fn on_own_thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> OwnThread<T> {
    let (held, let_go) = oneshot::channel::<()>();
    let (done, outcome) = oneshot::channel();
    let runtime = Handle::current();
    let until_let_go = async move {
        tokio::select! {
            biased;
            _ = let_go => None,
            outcome = work => Some(outcome),
        }
    };
    let run = move || {
        // A panic ends the thread. The missing outcome shows it.
        if let Some(outcome) = runtime.block_on(until_let_go) {
            let _ = done.send(outcome);
        }
    };
    thread::Builder::new().name("stepbox-step".to_owned()).spawn(run).expect("the machine has a thread left");
    OwnThread { outcome, _held: held }
}

impl<T> Future for OwnThread<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.map_err(|_| Panicked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn brings_back_what_the_work_comes_to() {
        assert_eq!(on_own_thread(async { 7 }).await, Ok(7));
        assert_eq!(on_own_thread(async { panic!("a defect") }).await, Err::<(), _>(Panicked));
    }

    #[tokio::test]
    async fn ends_when_nobody_waits_any_more() {
        let (held, mut let_go) = oneshot::channel::<()>();
        let work = on_own_thread(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(let_go.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        drop(work);
        assert!(let_go.await.is_err(), "the work was dropped");
    }

    /// Regression: the runtime waited for the thread, and so did the program.
    #[test]
    fn a_thread_that_never_returns_keeps_no_runtime_from_ending() {
        let (_never, forever) = std::sync::mpsc::channel::<()>();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async { drop(on_own_thread(async move { forever.recv() })) });
        drop(runtime);
    }
}
