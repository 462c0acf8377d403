//! Prints what is being done, and how long it took, since some stages take minutes.

use std::time::{Duration, Instant};

/// Work in stages, each announced before it begins.
pub(crate) struct Stages {
    begun: Instant,
    done: u32,
}

impl Stages {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), done: 0 }
    }

    /// Runs a stage. A stage that fails ends the work, and has printed the error itself.
    pub(crate) fn stage<T>(
        &mut self,
        title: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.done += 1;
        let (number, begun) = (self.done, Instant::now());
        println!("\n=== {number}. {title}");
        let result = work();
        match &result {
            Ok(_) => println!("--- {number}. done in {}", words(begun.elapsed())),
            Err(_) => println!("--- {number}. FAILED after {}", words(begun.elapsed())),
        }
        result
    }

    /// All stages have succeeded.
    pub(crate) fn end(self, what: &str) {
        println!("\n{what} in {}", words(self.begun.elapsed()));
    }
}

/// `3.2 s`, `4 min 12 s`.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(words(Duration::from_millis(3210)), "3.2 s");
        assert_eq!(words(Duration::from_millis(252_900)), "4 min 12 s");
    }
}
