//! The gate between a step's elements and everything that they may change.
//!
//! An element that does not return in time is left behind with its thread. From then on the gate is closed: nothing
//! that the element does is saved, counted or shown, and no file gets its final name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The gate of one attempt at a step.
///
/// Cheap to clone; all clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_closed: AtomicBool,
    /// Held while something is saved.
    saving: tokio::sync::Mutex<()>,
    /// How often something moved: a call of an element began or ended, or bytes were read from or written to a
    /// file.
    moves: AtomicU64,
    /// The calls of elements that have not returned, the oldest first.
    calls: Mutex<Vec<(u64, Arc<str>)>>,
}

/// The right to save something.
///
/// A gate that closes waits until this right is given back.
#[derive(Debug)]
pub(crate) struct SavePass<'a>(
    #[expect(dead_code, reason = "held for as long as it is there")] tokio::sync::MutexGuard<'a, ()>,
);

/// A call of an element that has not returned; dropped when it returns.
#[derive(Debug)]
pub struct Call {
    gate: Gate,
    number: u64,
}

impl Gate {
    /// Whether the elements were left behind.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::SeqCst)
    }

    /// Allows the caller to save something; `None` if the gate is closed.
    pub(crate) async fn pass(&self) -> Option<SavePass<'_>> {
        let saving = self.0.saving.lock().await;
        (!self.is_closed()).then_some(SavePass(saving))
    }

    /// Closes the gate for good, after a save in progress has ended.
    pub async fn close(&self) {
        let _saved = self.0.saving.lock().await;
        self.0.is_closed.store(true, Ordering::SeqCst);
    }

    /// Remembers that a call of an element begins.
    pub fn call(&self, who: &Arc<str>) -> Call {
        let number = self.0.moves.fetch_add(1, Ordering::Relaxed);
        self.calls().push((number, who.clone()));
        Call { gate: self.clone(), number }
    }

    /// Notes that something moved within a call.
    pub fn moved(&self) {
        self.0.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something has moved so far.
    ///
    /// While the number stays the same, nothing moves.
    pub fn moves(&self) -> u64 {
        self.0.moves.load(Ordering::Relaxed)
    }

    /// The element whose call has lasted longest; `None` if there is no call.
    pub fn waits_for(&self) -> Option<Arc<str>> {
        self.calls().first().map(|(_, who)| who.clone())
    }

    fn calls(&self) -> MutexGuard<'_, Vec<(u64, Arc<str>)>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.gate.calls().retain(|(number, _)| *number != self.number);
        self.gate.moved();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closes_once_what_is_being_saved_has_been() {
        let gate = Gate::default();
        let saving = gate.pass().await.expect("it is open");
        let closing = tokio::spawn({
            let gate = gate.clone();
            async move { gate.close().await }
        });
        tokio::task::yield_now().await;
        assert!(!gate.is_closed());
        drop(saving);
        closing.await.expect("no panic");
        assert!(gate.is_closed() && gate.pass().await.is_none());
    }

    #[test]
    fn knows_whose_call_is_under_way_and_that_something_moves() {
        let (gate, reader, writer) = (Gate::default(), Arc::from("reader"), Arc::from("writer"));
        let first = gate.call(&reader);
        let before = gate.moves();
        let second = gate.call(&writer);
        assert!(gate.moves() > before);
        assert_eq!(gate.waits_for().as_deref(), Some("reader"));
        drop(first);
        assert_eq!(gate.waits_for().as_deref(), Some("writer"));
        drop(second);
        assert_eq!((gate.waits_for(), gate.moves()), (None, 4));
    }
}
