//! Each tenant's share of the machine: processors in turns, memory and connections by quotas.
//!
//! At most as many components compute at a time as there are processors. If several tenants want to compute,
//! each gets its part of the processors, however many components it runs. A tenant that is alone gets all of
//! them. A component gives its turn back when it waits for the host, and at each tick at the latest.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmtime::{Engine, EngineWeak};

use crate::budget::{ExecutionDisk, Handles, TenantDisk};
use crate::egress::Connections;
use crate::memory::SharedMemory;

/// How long a tenant still counts after its components wanted to compute. Between two chunks a job does other
/// work, and its processors should not go to another tenant in that time.
const COUNTS_FOR: Duration = Duration::from_millis(100);

/// How much of the machine a tenant's running components may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareLimits {
    /// The size of all their memories and tables, in bytes.
    pub memory_bytes_max: u64,
    /// How many of them may compute at a time. A number above the machine's processors means all of them.
    pub processors_max: usize,
    /// How much the executions that have not ended may have written, in bytes.
    pub disk_bytes_max: u64,
    /// How many files and folders these executions may have created.
    pub disk_files_max: u64,
    /// How many connections they may have open, including those that are kept for a further request.
    pub http_connections_max: u64,
}

impl Default for ShareLimits {
    /// 1 GiB of memory, all processors, 10 GiB in 100,000 files on the disk, and 256 connections.
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            processors_max: usize::MAX,
            disk_bytes_max: 10 << 30,
            disk_files_max: 100_000,
            http_connections_max: 256,
        }
    }
}

/// A tenant's share of the machine. Give all its components the same one. Cheap to clone.
#[derive(Clone)]
pub struct Share {
    pub(crate) memory: Arc<SharedMemory>,
    pub(crate) handles: Handles,
    disk: Arc<TenantDisk>,
    processors: Arc<Processors>,
    pub(crate) connections: Connections,
    /// The tenant's place among the parties.
    seat: Arc<Seat>,
}

/// A tenant's place among the parties. It is free again when nothing of the tenant runs and its share is
/// dropped.
struct Seat {
    processors: Arc<Processors>,
    party: usize,
}

/// The processors: which parties compute, and which wait for a turn.
pub(crate) struct Processors {
    count: usize,
    engine: EngineWeak,
    parties: Mutex<Vec<Party>>,
}

/// A tenant, as far as processors are concerned.
struct Party {
    /// How many of its components may compute at a time, however many processors are idle.
    max: usize,
    computing: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    last_wanted: Option<Instant>,
    /// The seat that owns this place. If the seat is dropped, the place is free.
    seat: Weak<Seat>,
}

/// A component's turn to compute. Dropping it ends the turn.
pub(crate) struct Turn {
    seat: Arc<Seat>,
}

/// A request for a turn.
pub(crate) enum Asked {
    Granted { _turn: Turn },
    Waits(oneshot::Receiver<Turn>),
}

impl Share {
    /// Makes a share of the processors, of the memory and of the file descriptors.
    pub(crate) fn new(
        processors: Arc<Processors>,
        memory: &Arc<SharedMemory>,
        handles: &Handles,
        max: ShareLimits,
    ) -> Self {
        let seat = Seat::take(&processors, max.processors_max);
        let memory = SharedMemory::part_of(memory, max.memory_bytes_max);
        let handles = handles.of_tenant();
        let disk = TenantDisk::new(max.disk_bytes_max, max.disk_files_max);
        let connections = Connections::new(max.http_connections_max, handles.clone());
        Self { memory, handles, disk, processors, connections, seat }
    }

    /// Sets how much the tenant's components may have from now on. They keep what they already have.
    pub fn set_limits(&self, max: ShareLimits) {
        self.memory.set_max(max.memory_bytes_max);
        self.disk.set_max(max.disk_bytes_max, max.disk_files_max);
        self.connections.set_max(max.http_connections_max);
        self.processors.lock()[self.seat.party].max = max.processors_max.max(1);
    }

    /// A new part of the tenant's disk for one execution; nothing is written yet.
    pub fn execution_disk(&self) -> ExecutionDisk {
        ExecutionDisk::new(self.disk.clone())
    }

    /// Asks for a turn.
    pub(crate) fn ask(&self) -> Asked {
        let (processors, party, now) = (&self.processors, self.seat.party, Instant::now());
        let mut parties = processors.lock();
        parties[party].last_wanted = Some(now);
        if parties[party].waiting.is_empty() && processors.has_room(&parties, party, now) {
            parties[party].computing += 1;
            return Asked::Granted { _turn: self.turn() };
        }
        let (sender, receiver) = oneshot::channel();
        parties[party].waiting.push_back(sender);
        let is_due = parties[party].computing < processors.part_of(&parties, party, now);
        drop(parties);
        if is_due {
            // A party has more than its part: all components are interrupted now and checked.
            if let Some(engine) = processors.engine.upgrade() {
                engine.increment_epoch();
            }
        }
        Asked::Waits(receiver)
    }

    fn turn(&self) -> Turn {
        Turn { seat: self.seat.clone() }
    }
}

impl Seat {
    /// Takes the first free place.
    fn take(processors: &Arc<Processors>, processors_max: usize) -> Arc<Self> {
        let mut parties = processors.lock();
        let free = parties.iter().position(|party| party.seat.strong_count() == 0);
        let party = free.unwrap_or(parties.len());
        let seat = Arc::new(Self { processors: processors.clone(), party });
        let new = Party {
            max: processors_max.max(1),
            computing: 0,
            waiting: VecDeque::new(),
            last_wanted: None,
            seat: Arc::downgrade(&seat),
        };
        match free {
            Some(free) => parties[free] = new,
            None => parties.push(new),
        }
        seat
    }
}

impl Processors {
    pub(crate) fn new(engine: &Engine, count: usize) -> Arc<Self> {
        Arc::new(Self { count: count.max(1), engine: engine.weak(), parties: Mutex::default() })
    }

    /// How many components of each party may compute at a time.
    fn part(&self, parties: &[Party], now: Instant) -> usize {
        let counts = |party: &&Party| {
            let is_recent = |at: Instant| now.saturating_duration_since(at) < COUNTS_FOR;
            let waits = party.waiting.iter().any(|waiting| !waiting.is_closed());
            party.computing > 0 || waits || party.last_wanted.is_some_and(is_recent)
        };
        self.count.div_ceil(parties.iter().filter(counts).count().max(1))
    }

    fn part_of(&self, parties: &[Party], party: usize, now: Instant) -> usize {
        self.part(parties, now).min(parties[party].max)
    }

    fn has_room(&self, parties: &[Party], party: usize, now: Instant) -> bool {
        let computing: usize = parties.iter().map(|party| party.computing).sum();
        computing < self.count && parties[party].computing < self.part_of(parties, party, now)
    }

    /// Gives turns to those who wait. The party that computes least gets the first turn.
    fn give_turns(self: &Arc<Self>, mut parties: MutexGuard<'_, Vec<Party>>, now: Instant) {
        let mut unclaimed = Vec::new();
        loop {
            let waits = |party: &usize| !parties[*party].waiting.is_empty();
            let may = (0..parties.len()).filter(waits).filter(|party| self.has_room(&parties, *party, now));
            let wanted = |party: &usize| (parties[*party].computing, parties[*party].last_wanted);
            let Some(party) = may.min_by_key(wanted) else { break };
            let Some(sender) = parties[party].waiting.pop_front() else { break };
            let Some(seat) = parties[party].seat.upgrade() else { continue };
            parties[party].computing += 1;
            // The component that waited may be gone. Its turn ends when the lock is free again.
            if let Err(turn) = sender.send(Turn { seat }) {
                unclaimed.push(turn);
            }
        }
        drop(parties);
        drop(unclaimed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Party>> {
        self.parties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Seat { processors, party } = &*self.seat;
        let (mut parties, now) = (processors.lock(), Instant::now());
        parties[*party].computing -= 1;
        parties[*party].last_wanted = Some(now);
        if parties.iter().any(|party| !party.waiting.is_empty()) {
            processors.give_turns(parties, now);
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("party", &self.seat.party).field("memory", &self.memory).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    fn shares(processors: usize, parties: usize) -> Vec<Share> {
        let processors = Processors::new(&engine(false).unwrap(), processors);
        let memory = SharedMemory::new(u64::MAX);
        let share =
            |_| Share::new(processors.clone(), &memory, &Handles::of_process(), ShareLimits::default());
        (0..parties).map(share).collect()
    }

    fn granted(share: &Share) -> Turn {
        match share.ask() {
            Asked::Granted { _turn: turn } => turn,
            Asked::Waits(_) => panic!("it has to wait"),
        }
    }

    fn waits(share: &Share) -> oneshot::Receiver<Turn> {
        match share.ask() {
            Asked::Waits(turn) => turn,
            Asked::Granted { .. } => panic!("it need not wait"),
        }
    }

    #[test]
    fn limits_change_while_components_run() {
        let [one, other] = &shares(2, 2)[..] else { unreachable!() };
        let _turn = granted(one);
        one.set_limits(ShareLimits { processors_max: 1, ..ShareLimits::default() });
        let _waits = waits(one);
        let _others = granted(other);
        one.set_limits(ShareLimits { memory_bytes_max: 10, ..ShareLimits::default() });
        assert_eq!(one.memory.max(), 10);
    }

    #[test]
    fn a_tenant_that_is_gone_leaves_its_place_to_the_next_one() {
        let processors = Processors::new(&engine(false).unwrap(), 2);
        let memory = SharedMemory::new(u64::MAX);
        let share =
            || Share::new(processors.clone(), &memory, &Handles::of_process(), ShareLimits::default());
        let (first, second) = (share(), share());
        // A turn that still computes keeps the place.
        let turn = granted(&first);
        drop(first);
        let third = share();
        drop(turn);
        let fourth = share();
        let places = [&second, &third, &fourth].map(|share| share.seat.party);
        assert_eq!((places, processors.lock().len()), ([1, 2, 0], 3));
    }

    #[test]
    fn alone_a_tenant_has_all_processors() {
        let [one, _idle] = &shares(2, 2)[..] else { unreachable!() };
        let _turns = (granted(one), granted(one));
        waits(one);
    }

    #[test]
    fn alone_as_well_a_tenant_has_no_more_than_its_quota() {
        let processors = Processors::new(&engine(false).unwrap(), 4);
        let max = ShareLimits { processors_max: 2, ..ShareLimits::default() };
        let [one, other] = [max, ShareLimits::default()].map(|max| {
            Share::new(processors.clone(), &SharedMemory::new(u64::MAX), &Handles::of_process(), max)
        });
        let _turns = (granted(&one), granted(&one));
        let mut third = waits(&one);
        let turns = (granted(&other), granted(&other));
        drop(turns);
        assert!(third.try_recv().is_err());
    }

    #[test]
    fn whoever_comes_later_gets_its_part_at_the_next_change() {
        let [flood, other] = &shares(2, 2)[..] else { unreachable!() };
        let (first, _second) = (granted(flood), granted(flood));
        let mut queue: Vec<_> = (0..50).map(|_| waits(flood)).collect();
        let mut turn = waits(other);
        drop(first);
        let turn = turn.try_recv().expect("the tenant that has nothing is the first");
        assert!(queue.iter_mut().all(|waiting| waiting.try_recv().is_err()));
        drop(turn);
        assert!(queue.iter_mut().all(|waiting| waiting.try_recv().is_err()), "its processor is kept for it");
        let _again = granted(other);
    }

    #[test]
    fn those_of_one_tenant_take_turns_in_order() {
        let [one] = &shares(1, 1)[..] else { unreachable!() };
        let turn = granted(one);
        let (mut second, third, mut fourth) = (waits(one), waits(one), waits(one));
        drop(third);
        drop(turn);
        let turn = second.try_recv().expect("it is next");
        assert!(fourth.try_recv().is_err());
        drop(turn);
        fourth.try_recv().expect("the one before it is gone");
    }
}
