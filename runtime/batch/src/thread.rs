//! Work on a thread of its own, where it may block.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Work under way on a thread of its own. Dropping it ends the work at the next point where it waits.
#[derive(Debug)]
pub struct OwnThread<T> {
    work: JoinHandle<Option<T>>,
    /// Dropped with this handle, which is the signal to end.
    _held: oneshot::Sender<()>,
}

/// The work panicked: a defect of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Starts work on a thread of its own. Needs a Tokio runtime.
pub fn on_own_thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> OwnThread<T> {
    let (held, let_go) = oneshot::channel::<()>();
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        runtime.block_on(async move {
            tokio::select! {
                biased;
                _ = let_go => None,
                outcome = work => Some(outcome),
            }
        })
    });
    OwnThread { work, _held: held }
}

impl<T> Future for OwnThread<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.work).poll(context).map(|joined| joined.ok().flatten().ok_or(Panicked))
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
}
