//! Each tenant's part of the machine: processors by turns, memory and connections by quotas.
//!
//! At most as many components compute at a time as there are processors. While several tenants want to,
//! each has its part of them, however many components it lets loose; alone, a tenant has them all. A
//! component gives its turn back whenever it waits for the host, and at the latest at the next tick.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmtime::{Engine, EngineWeak};

use crate::egress::{CONNECTIONS_MAX, Connections};
use crate::memory::SharedMemory;

/// How long a tenant counts after its components wanted to compute: between two chunks of a job other
/// work is done, and its processor should not have been given away by then.
const COUNTS_FOR: Duration = Duration::from_millis(100);

/// A tenant's part of the machine. Give all its components the same one; cheap to clone.
#[derive(Clone)]
pub struct Share {
    pub(crate) memory: Arc<SharedMemory>,
    processors: Arc<Processors>,
    pub(crate) connections: Connections,
    /// Which of the parties it is.
    party: usize,
}

/// Who computes, and who waits for it.
pub(crate) struct Processors {
    count: usize,
    engine: EngineWeak,
    parties: Mutex<Vec<Party>>,
}

/// A tenant, as far as processors go.
#[derive(Default)]
struct Party {
    computing: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    last_wanted: Option<Instant>,
}

/// A component's turn to compute. It ends when this is dropped.
pub(crate) struct Turn {
    processors: Arc<Processors>,
    party: usize,
}

/// A turn that was asked for.
pub(crate) enum Asked {
    Granted { _turn: Turn },
    Waits(oneshot::Receiver<Turn>),
}

impl Share {
    pub(crate) fn new(processors: Arc<Processors>, memory: Arc<SharedMemory>) -> Self {
        let mut parties = processors.lock();
        parties.push(Party::default());
        let party = parties.len() - 1;
        drop(parties);
        Self { memory, processors, connections: Connections::new(CONNECTIONS_MAX), party }
    }

    /// Lets all running components together have so many connections open at a time, those included that are
    /// kept for a further request; 256 if nothing is said.
    #[must_use]
    pub fn with_http_connections_max(self, max: u64) -> Self {
        Self { connections: Connections::new(max), ..self }
    }

    /// Asks for a turn.
    pub(crate) fn ask(&self) -> Asked {
        let (processors, now) = (&self.processors, Instant::now());
        let mut parties = processors.lock();
        parties[self.party].last_wanted = Some(now);
        if parties[self.party].waiting.is_empty() && processors.has_room(&parties, self.party, now) {
            parties[self.party].computing += 1;
            return Asked::Granted { _turn: self.turn() };
        }
        let (sender, receiver) = oneshot::channel();
        parties[self.party].waiting.push_back(sender);
        let is_due = parties[self.party].computing < processors.part(&parties, now);
        drop(parties);
        if is_due {
            // Somebody has more than their part: all are asked at once whether they may go on.
            if let Some(engine) = processors.engine.upgrade() {
                engine.increment_epoch();
            }
        }
        Asked::Waits(receiver)
    }

    fn turn(&self) -> Turn {
        Turn { processors: self.processors.clone(), party: self.party }
    }
}

impl Processors {
    pub(crate) fn new(engine: &Engine, count: usize) -> Arc<Self> {
        Arc::new(Self { count: count.max(1), engine: engine.weak(), parties: Mutex::default() })
    }

    /// How many components of one party may compute at a time.
    fn part(&self, parties: &[Party], now: Instant) -> usize {
        let counts = |party: &&Party| {
            let is_recent = |at: Instant| now.saturating_duration_since(at) < COUNTS_FOR;
            let waits = party.waiting.iter().any(|waiting| !waiting.is_closed());
            party.computing > 0 || waits || party.last_wanted.is_some_and(is_recent)
        };
        self.count.div_ceil(parties.iter().filter(counts).count().max(1))
    }

    fn has_room(&self, parties: &[Party], party: usize, now: Instant) -> bool {
        let computing: usize = parties.iter().map(|party| party.computing).sum();
        computing < self.count && parties[party].computing < self.part(parties, now)
    }

    /// Gives turns to those who wait, to the party first that has the fewest.
    fn give_turns(self: &Arc<Self>, mut parties: MutexGuard<'_, Vec<Party>>, now: Instant) {
        let mut unclaimed = Vec::new();
        loop {
            let waits = |party: &usize| !parties[*party].waiting.is_empty();
            let may = (0..parties.len()).filter(waits).filter(|party| self.has_room(&parties, *party, now));
            let wanted = |party: &usize| (parties[*party].computing, parties[*party].last_wanted);
            let Some(party) = may.min_by_key(wanted) else { break };
            let Some(sender) = parties[party].waiting.pop_front() else { break };
            parties[party].computing += 1;
            // Whoever waited may be gone. Its turn ends when the lock is free again.
            if let Err(turn) = sender.send(Turn { processors: self.clone(), party }) {
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
        let (mut parties, now) = (self.processors.lock(), Instant::now());
        parties[self.party].computing -= 1;
        parties[self.party].last_wanted = Some(now);
        if parties.iter().any(|party| !party.waiting.is_empty()) {
            self.processors.give_turns(parties, now);
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("party", &self.party).field("memory", &self.memory).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::engine;

    fn shares(processors: usize, parties: usize) -> Vec<Share> {
        let processors = Processors::new(&engine(false).unwrap(), processors);
        let share = |_| Share::new(processors.clone(), SharedMemory::new(u64::MAX));
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
    fn alone_a_tenant_has_all_processors() {
        let [one, _idle] = &shares(2, 2)[..] else { unreachable!() };
        let _turns = (granted(one), granted(one));
        waits(one);
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
