//! Listeners of embedders: they hear what happens, and have no part in it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tells a listener. A listener that panics has not heard the event, and nothing else comes of that.
pub(crate) fn tell<E>(listener: &(dyn Fn(&E) + Send + Sync), event: &E) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(event))) {
        // The value of the panic may panic once more when it is dropped.
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
