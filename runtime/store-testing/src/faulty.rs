//! A store that fails on purpose, the same way for the same seed.
//!
//! A store may fail its callers in these ways: it refuses, it is busy, it is slow, or it does the work and the
//! answer is lost.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use stepbox_batch::execution::Counts;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{JobRepository, RepositoryError, Result};

use crate::interposed::{Call, Interposed, Interposer};

/// How often a late call yields to others at most.
const YIELDS_MAX: u64 = 20;

/// A store that fails on purpose.
pub type FaultyStore<S> = Interposed<S, Faults>;

impl<S: JobRepository> FaultyStore<S> {
    /// Makes a store in which `rate` of 1000 calls have a fault.
    ///
    /// The seed decides which calls, and which faults.
    pub fn new(store: S, seed: u64, rate: u32) -> Self {
        Self { store, interposer: Faults::new(seed, rate) }
    }
}

/// Decides which calls fail, and how.
#[derive(Debug)]
pub struct Faults {
    rate: u64,
    numbers: Mutex<Numbers>,
    /// The counts that were saved with a step's last checkpoint.
    committed: Mutex<BTreeMap<(JobExecutionId, u32), Counts>>,
}

/// A generator of numbers that are the same on every machine.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// What happens to a call before or after the store.
enum Fate {
    Passes,
    IsLate { yields: u64 },
    MeetsABusyStore,
    Fails,
}

impl Faults {
    fn new(seed: u64, rate: u32) -> Self {
        // The state must not be 0, because it would stay 0. The multiplication makes the first numbers of small
        // seeds differ.
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            numbers.below(2);
        }
        Self { rate: u64::from(rate), numbers: Mutex::new(numbers), committed: Mutex::default() }
    }

    /// The counts that the store accepted with a step's last checkpoint, even if the caller got an error.
    pub fn committed(&self, id: JobExecutionId, position: u32) -> Option<Counts> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).get(&(id, position)).copied()
    }

    fn fate(&self, fates: u64) -> Fate {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        // This is asked twice for each call.
        if numbers.below(2000) >= self.rate {
            return Fate::Passes;
        }
        match numbers.below(fates) {
            0 => Fate::IsLate { yields: 1 + numbers.below(YIELDS_MAX) },
            1 => Fate::Fails,
            _ => Fate::MeetsABusyStore,
        }
    }

    async fn meet(&self, fate: Fate, call: Call<'_>, when: &str) -> Result<()> {
        let detail = format!("a fault {when} `{}`", call.name());
        match fate {
            Fate::Passes => Ok(()),
            Fate::IsLate { yields } => {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Fate::MeetsABusyStore => Err(RepositoryError::Busy { detail }),
            Fate::Fails => Err(RepositoryError::Unavailable { store: "faulty".to_owned(), detail }),
        }
    }
}

#[async_trait]
impl Interposer for Faults {
    async fn before(&self, call: Call<'_>) -> Result<()> {
        self.meet(self.fate(3), call, "before").await
    }

    async fn after(&self, call: Call<'_>) -> Result<()> {
        if let Call::Save(lease, save) = call
            && let (Some(step), Some(_)) = (save.step, save.checkpoint)
        {
            let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
            committed.insert((lease.id, step.position), step.counts);
        }
        // A busy store has done nothing.
        self.meet(self.fate(2), call, "after").await
    }
}
