//! Stored numbers that statements must contain as literals.
//!
//! A partial index (`WHERE state = 0`) is used only if the statement has the same number as a literal, in
//! PostgreSQL and in SQLite. So these numbers cannot be parameters. Each is a literal, for `concat!`.

/// [`QueueState::Waiting`](stepbox_batch::execution::queue::QueueState::Waiting).
macro_rules! waiting {
    () => {
        "0"
    };
}

/// [`QueueState::Delayed`](stepbox_batch::execution::queue::QueueState::Delayed).
macro_rules! delayed {
    () => {
        "1"
    };
}

/// [`QueueState::Claimed`](stepbox_batch::execution::queue::QueueState::Claimed).
macro_rules! claimed {
    () => {
        "2"
    };
}

/// [`QueueState::Paused`](stepbox_batch::execution::queue::QueueState::Paused).
macro_rules! paused {
    () => {
        "3"
    };
}

/// [`BatchStatus::Completed`](stepbox_batch::execution::status::BatchStatus::Completed).
macro_rules! completed {
    () => {
        "1"
    };
}

/// Each [`BatchStatus`](stepbox_batch::execution::status::BatchStatus) that has ended. Only SQLite's statements need it.
#[cfg(feature = "sqlite")]
macro_rules! ended {
    () => {
        "1, 5, 6, 7, 8"
    };
}

/// Each [`BatchStatus`](stepbox_batch::execution::status::BatchStatus) in which a worker holds the execution.
macro_rules! running {
    () => {
        "3, 4, 9"
    };
}

#[cfg(feature = "sqlite")]
pub(crate) use ended;
pub(crate) use {claimed, completed, delayed, paused, running, waiting};

#[cfg(test)]
mod tests {
    use stepbox_batch::execution::queue::QueueState;
    use stepbox_batch::execution::status::BatchStatus;

    #[test]
    fn are_those_of_the_domain() {
        let those = |is_one: fn(BatchStatus) -> bool| {
            let found = BatchStatus::ALL.into_iter().filter(|status| is_one(*status));
            found.map(|status| status.number().to_string()).collect::<Vec<_>>().join(", ")
        };
        let rows = [
            (waiting!(), QueueState::Waiting.number().to_string()),
            (delayed!(), QueueState::Delayed.number().to_string()),
            (claimed!(), QueueState::Claimed.number().to_string()),
            (paused!(), QueueState::Paused.number().to_string()),
            (completed!(), BatchStatus::Completed.number().to_string()),
            (ended!(), those(BatchStatus::has_ended)),
            (running!(), those(BatchStatus::is_running)),
        ];
        for (literal, expected) in rows {
            assert_eq!(literal, expected);
        }
    }
}
