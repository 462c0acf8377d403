//! The clock of an installation: the store's time, continued with a clock of this machine that cannot be set.
//!
//! Several processes compare leases, delays and ages, so all of them must use one clock. With a database,
//! this is the database's clock, which is read regularly. With a file, it is the clock of the only machine.
//! Between two readings, and for durations, the kernel's clock since its start is used. No person and no time
//! server can set that clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stepbox_batch::clock::{Clock, Timestamp};
use stepbox_batch::ports::{Installation, RepositoryError};

/// A difference above this value, in milliseconds, means that the store's clock was set, or that a machine's
/// clock is wrong.
pub(crate) const STEP_MS: u64 = 1_000;

/// The clocks of the machine.
pub(crate) trait Machine: Send + Sync + 'static {
    /// Microseconds since the kernel started, including the time while the machine slept.
    fn boot_us(&self) -> i64;

    /// The machine's current time, in microseconds since 1970.
    fn wall_us(&self) -> i64;

    /// The current time in milliseconds, as programs read it.
    fn told_ms(&self) -> i64;
}

/// The machine that this program runs on.
#[derive(Debug)]
struct ThisMachine;

impl Machine for ThisMachine {
    fn boot_us(&self) -> i64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let clock = rustix::time::ClockId::Monotonic;
        micros(rustix::time::clock_gettime(clock))
    }

    fn wall_us(&self) -> i64 {
        micros(rustix::time::clock_gettime(rustix::time::ClockId::Realtime))
    }

    fn told_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::useless_conversion, reason = "the kernel's numbers are smaller on some machines")]
fn micros(time: rustix::time::Timespec) -> i64 {
    let seconds = i64::from(time.tv_sec).saturating_mul(1_000_000);
    seconds.saturating_add(i64::from(time.tv_nsec) / 1_000)
}

/// The current time for a store.
pub(crate) struct StoreClock {
    machine: Box<dyn Machine>,
    /// The store's time at the start of the kernel, in microseconds.
    started_us: AtomicI64,
    /// Until this tick, the process leaves executions alone that look lost. By then, every living worker has
    /// sent a heartbeat.
    quiet_until_us: AtomicU64,
}

/// The result of reading the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether the store's clock was set forward or back by more than a second.
    pub step: Option<ClockStep>,
    /// Whether all living processes use the clock of this machine.
    pub is_local: bool,
}

/// How the store's clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockStep {
    /// Leases look as if they had expired.
    Forward,
    /// Leases look as if they lasted longer.
    Back,
}

impl Default for StoreClock {
    fn default() -> Self {
        Self::of(Box::new(ThisMachine))
    }
}

impl StoreClock {
    /// A clock that uses the machine's time until a store has been asked.
    fn of(machine: Box<dyn Machine>) -> Self {
        let started_us = machine.wall_us().saturating_sub(machine.boot_us());
        Self { machine, started_us: AtomicI64::new(started_us), quiet_until_us: AtomicU64::new(0) }
    }

    /// Asks the store for the time. A store without a clock of its own has the machine's time. If the clock
    /// was set since the last look, this process is quiet for the time of a lease.
    pub(crate) async fn look(
        &self,
        store: &dyn Installation,
        lease_ms: u64,
    ) -> Result<Look, RepositoryError> {
        let before = self.machine.boot_us();
        let told = store.store_now().await?;
        Ok(self.heed(told, (before, self.machine.boot_us()), lease_ms))
    }

    /// Uses the time that the store returned between these two ticks, if the store has a clock.
    fn heed(&self, told: Option<Timestamp>, (before, after): (i64, i64), lease_ms: u64) -> Look {
        // About half of the time of the call passed before the answer.
        let found = match told {
            Some(Timestamp(ms)) => ms.saturating_mul(1_000) - (before + (after - before) / 2),
            None => self.machine.wall_us() - after,
        };
        let doubt_us = if told.is_some() { (after - before) / 2 } else { 0 };
        let moved_us = found - self.started_us.swap(found, Ordering::Relaxed);
        let is_step = moved_us.unsigned_abs() > STEP_MS * 1_000 + doubt_us.unsigned_abs();
        let step = is_step.then_some(if moved_us > 0 { ClockStep::Forward } else { ClockStep::Back });
        if step.is_some() {
            let until = self.ticks_us().saturating_add(lease_ms.saturating_mul(1_000));
            self.quiet_until_us.store(until, Ordering::Relaxed);
        }
        Look { step, is_local: told.is_none() }
    }

    /// Ends the quiet time. The first time that a store returns is not a change of its clock, because this
    /// process has written nothing yet.
    pub(crate) fn begin_quiet_no_more(&self) {
        self.quiet_until_us.store(0, Ordering::Relaxed);
    }

    /// Whether no execution may count as lost only because its lease has expired.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ticks_us() < self.quiet_until_us.load(Ordering::Relaxed)
    }

    /// By how many milliseconds the clock of this machine is ahead of the store's clock.
    pub(crate) fn skew_ms(&self) -> i64 {
        self.machine.told_ms().saturating_sub(self.now().0)
    }
}

#[async_trait]
impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        let us = self.started_us.load(Ordering::Relaxed).saturating_add(self.machine.boot_us());
        Timestamp(us.div_euclid(1_000))
    }

    fn ticks_us(&self) -> u64 {
        u64::try_from(self.machine.boot_us()).unwrap_or(0)
    }

    async fn sleep_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl std::fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreClock").field("now", &self.now()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
