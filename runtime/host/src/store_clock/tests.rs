//! Tests with machines whose clocks are wrong, or are set while they run.

use std::sync::Arc;

use stepbox_store::SqliteStore;

use super::*;

const LEASE_MS: u64 = 15_000;

/// A machine whose clocks are set by the test.
#[derive(Default)]
struct FakeMachine {
    boot_us: AtomicI64,
    wall_ahead_us: AtomicI64,
}

impl FakeMachine {
    fn pass_ms(&self, ms: i64) {
        self.boot_us.fetch_add(ms * 1_000, Ordering::Relaxed);
    }

    fn set_by_ms(&self, ms: i64) {
        self.wall_ahead_us.fetch_add(ms * 1_000, Ordering::Relaxed);
    }
}

impl Machine for Arc<FakeMachine> {
    fn boot_us(&self) -> i64 {
        self.boot_us.load(Ordering::Relaxed)
    }

    fn wall_us(&self) -> i64 {
        self.boot_us() + self.wall_ahead_us.load(Ordering::Relaxed)
    }

    fn told_ms(&self) -> i64 {
        self.wall_us() / 1_000
    }
}

fn local() -> (tempfile::TempDir, SqliteStore, StoreClock, Arc<FakeMachine>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("stepbox.db")).unwrap();
    let machine = Arc::new(FakeMachine::default());
    machine.set_by_ms(1_700_000_000_000);
    let clock = StoreClock::of(Box::new(machine.clone()));
    (folder, store, clock, machine)
}

#[tokio::test]
async fn notices_that_the_machines_clock_was_set_and_is_quiet_for_a_lease() {
    for (set_ms, expected) in [
        (3_600_000, Some(ClockStep::Forward)),
        (20_000, Some(ClockStep::Forward)),
        (1_001, Some(ClockStep::Forward)),
        (900, None),
        (-900, None),
        (-1_001, Some(ClockStep::Back)),
        (-3_600_000, Some(ClockStep::Back)),
    ] {
        let (_folder, store, clock, machine) = local();
        assert_eq!(clock.look(&store, LEASE_MS).await.unwrap().step, None);
        machine.pass_ms(500);
        machine.set_by_ms(set_ms);
        let before = clock.now();
        let look = clock.look(&store, LEASE_MS).await.unwrap();
        assert_eq!((look.step, look.is_local), (expected, true), "{set_ms}");
        assert_eq!(clock.now().0 - before.0, set_ms);
        assert_eq!(clock.is_quiet(), expected.is_some());
        machine.pass_ms(14_999);
        assert_eq!(clock.look(&store, LEASE_MS).await.unwrap().step, None, "it was set once");
        assert_eq!(clock.is_quiet(), expected.is_some());
        machine.pass_ms(1);
        assert!(!clock.is_quiet());
    }
}

#[tokio::test]
async fn what_takes_time_is_measured_by_a_clock_that_nobody_sets() {
    let (_folder, store, clock, machine) = local();
    let (ticks, now) = (clock.ticks_us(), clock.now());
    machine.set_by_ms(-3_600_000);
    machine.pass_ms(700);
    assert_eq!(clock.ticks_us() - ticks, 700_000);
    assert_eq!(clock.now().ms_since(now), 700, "until somebody looks");
    clock.look(&store, LEASE_MS).await.unwrap();
    assert_eq!(clock.ticks_us() - ticks, 700_000);
}

/// A database with its own clock. Only this clock counts, however the machine's clock is set.
struct Database {
    machine: Arc<FakeMachine>,
    ahead_us: AtomicI64,
    takes_ms: i64,
}

impl Database {
    async fn look(&self, clock: &StoreClock) -> Look {
        let before = clock.machine.boot_us();
        self.machine.pass_ms(self.takes_ms / 2);
        let told = Timestamp((self.machine.boot_us() + self.ahead_us.load(Ordering::Relaxed)) / 1_000);
        self.machine.pass_ms(self.takes_ms / 2);
        clock.heed(Some(told), (before, clock.machine.boot_us()), LEASE_MS)
    }
}

#[tokio::test]
async fn a_machine_whose_clock_is_wrong_goes_by_the_databases() {
    for wrong_ms in [3_600_000, -3_600_000, 20_000] {
        let machine = Arc::new(FakeMachine::default());
        machine.pass_ms(50_000);
        machine.set_by_ms(1_700_000_000_000 + wrong_ms);
        let clock = StoreClock::of(Box::new(machine.clone()));
        let ahead_us = AtomicI64::new(1_700_000_000_000_000);
        let database = Database { machine: machine.clone(), ahead_us, takes_ms: 300 };
        database.look(&clock).await;
        clock.begin_quiet_no_more();
        let right = || 1_700_000_000_000 + machine.boot_us() / 1_000;
        assert_eq!((clock.now().0, clock.skew_ms()), (right(), wrong_ms));

        // The machine's clock is set while it runs, and nothing changes.
        machine.set_by_ms(-2 * wrong_ms);
        machine.pass_ms(1_000);
        assert_eq!(database.look(&clock).await, Look { step: None, is_local: false });
        assert_eq!((clock.now().0, clock.skew_ms(), clock.is_quiet()), (right(), -wrong_ms, false));

        // The database's own clock is set.
        database.ahead_us.fetch_add(wrong_ms * 1_000, Ordering::Relaxed);
        let step = if wrong_ms > 0 { ClockStep::Forward } else { ClockStep::Back };
        assert_eq!(database.look(&clock).await.step, Some(step));
        assert!(clock.is_quiet());
    }
}

#[tokio::test]
async fn a_slow_answer_is_no_step() {
    let machine = Arc::new(FakeMachine::default());
    let clock = StoreClock::of(Box::new(machine.clone()));
    let quick = Database { machine: machine.clone(), ahead_us: AtomicI64::new(0), takes_ms: 2 };
    quick.look(&clock).await;
    // All of the time passed before the database answered.
    machine.pass_ms(8_000);
    let (before, after) = (machine.boot_us() - 8_000_000, machine.boot_us());
    let look = clock.heed(Some(Timestamp(after / 1_000)), (before, after), LEASE_MS);
    assert_eq!((look.step, clock.is_quiet()), (None, false));
}
