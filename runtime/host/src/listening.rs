//! Listeners of embedders: they receive events, and cannot change what happens.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Sends an event to a listener. If the listener panics, it loses the event, and nothing else happens.
pub(crate) fn tell<E>(listener: &(dyn Fn(&E) + Send + Sync), event: &E) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(event))) {
        // The value of the panic may panic again when it is dropped.
        std::mem::forget(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Again;

    impl Drop for Again {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    #[test]
    fn a_listener_that_panics_costs_nothing() {
        tell(&|_| panic!("a defect"), &1);
        tell(&|_| panic_any(Again), &1);
    }
}
