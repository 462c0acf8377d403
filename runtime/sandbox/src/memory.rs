//! The memory that a component takes: its own memories and tables, and what the host keeps for it.
//!
//! Both go through one [`Account`]. wasmtime's own limiter counts each memory separately, so a component with
//! a hundred memories would get a hundred times the limit. Data that the host keeps (heads of requests,
//! pieces of bodies on their way, streams, listings) holds a [`Charge`], which gives the bytes back when it
//! is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use stepbox_batch::step_context::StepContext;
use wasmtime::ResourceLimiter;

/// The memory of one element of a table, in bytes.
const TABLE_ELEMENT_BYTES: u64 = 16;
/// The maximum number of core instances of a component. Interpreters with many extensions need dozens.
const INSTANCES_MAX: usize = 200;
/// The maximum number of memories of a component, and of its tables.
const MEMORIES_MAX: usize = 20;

/// The memory that several running components take together: those of one tenant, or all.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    /// The maximum, in bytes. For a tenant it changes with its policy.
    max: AtomicU64,
    used: AtomicU64,
    /// The larger memory that this is a part of; `None` for the memory of all components.
    whole: Option<Arc<Self>>,
}

impl SharedMemory {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { max: AtomicU64::new(max), used: AtomicU64::new(0), whole: None })
    }

    /// At most `max` bytes of `whole`, which other parts use as well.
    pub(crate) fn part_of(whole: &Arc<Self>, max: u64) -> Arc<Self> {
        Arc::new(Self { max: AtomicU64::new(max), used: AtomicU64::new(0), whole: Some(whole.clone()) })
    }

    /// Sets the maximum. Memory that is already taken stays taken.
    pub(crate) fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Takes memory if both this part and the whole have it. The error names the limit that was reached.
    fn take(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let max = self.max.load(Ordering::Relaxed);
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= max);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            let asked = bytes;
            return Err(match self.whole {
                Some(_) => OutOfMemory::Tenant { asked, max },
                None => OutOfMemory::AllTogether { asked, max },
            });
        }
        match &self.whole {
            Some(whole) => whole.take(bytes).inspect_err(|_| {
                self.used.fetch_sub(bytes, Ordering::Relaxed);
            }),
            None => Ok(()),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }
}

/// The memory of one component. It counts for the component, its tenant and all components. Cheap to clone;
/// all clones share the same counter.
#[derive(Debug, Clone)]
pub(crate) struct Account(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    max: u64,
    used: AtomicU64,
    shared: Arc<SharedMemory>,
    context: StepContext,
}

impl Account {
    pub(crate) fn new(max: u64, shared: Arc<SharedMemory>, context: StepContext) -> Self {
        Self(Arc::new(Taken { max, used: AtomicU64::new(0), shared, context }))
    }

    /// Takes `bytes` for as long as the charge lives. Takes nothing if the memory is not available.
    pub(crate) fn charge(&self, bytes: u64) -> Result<Charge, OutOfMemory> {
        self.take(bytes)?;
        Ok(Charge { account: self.clone(), bytes })
    }

    /// The step context of the component.
    pub(crate) fn context(&self) -> &StepContext {
        &self.0.context
    }

    fn take(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let taken = &self.0;
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= taken.max);
        taken
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|used| OutOfMemory::Component { asked: used.saturating_add(bytes), max: taken.max })?;
        taken.shared.take(bytes).inspect_err(|_| {
            taken.used.fetch_sub(bytes, Ordering::Relaxed);
        })?;
        taken.context.metering().took_memory(bytes);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        self.0.shared.give_back(bytes);
        self.0.context.metering().gave_memory_back(bytes);
    }
}

/// Memory that the host uses for a component. The owner of the data holds the charge, and dropping it gives
/// the bytes back.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Account,
    bytes: u64,
}

impl Charge {
    /// Changes the charge to `bytes`. On an error the charge stays as it is.
    pub(crate) fn cover(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.account.take(more)?,
            None => self.account.give_back(self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The same charge with `bytes` more.
    pub(crate) fn and(mut self, bytes: u64) -> Result<Self, OutOfMemory> {
        self.cover(self.bytes.saturating_add(bytes))?;
        Ok(self)
    }

    /// Makes shared bytes of `bytes`. They stay charged until the last owner drops them.
    pub(crate) fn hold(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Charged { bytes, _charge: self })
    }
}

struct Charged {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

/// Counts one component's memories and tables, and refuses growth above the limit.
///
/// `memory.grow` then returns failure, which programs may expect. But most programs abort, and say less than
/// the host knows here. So the last refusal is kept, for the failure that may follow.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    account: Account,
    /// The size of its memories and tables, in bytes. They never shrink.
    used: u64,
    refusal: Option<OutOfMemory>,
}

/// A component asked for more memory than it may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutOfMemory {
    #[error("out of memory: asked for {asked} of {max} bytes")]
    Component { asked: u64, max: u64 },
    #[error("out of memory: asked for {asked} bytes, and all of its tenant together may have {max} bytes")]
    Tenant { asked: u64, max: u64 },
    #[error(
        "out of memory: asked for {asked} bytes, and all running components together may have {max} bytes"
    )]
    AllTogether { asked: u64, max: u64 },
}

impl OutOfMemory {
    /// What to do about it. Raising a step's own limit does not help if other components have taken the
    /// memory.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Component { .. } => {
                "raise `limits.memory_bytes_max` of this step, or give it smaller chunks"
            }
            Self::Tenant { .. } => {
                "restart it when fewer of the tenant's jobs run, or let the operator raise the tenant's quota"
            }
            Self::AllTogether { .. } => "restart it when fewer jobs run",
        }
    }
}

impl MemoryMeter {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, used: 0, refusal: None }
    }

    /// Returns the refusal of the last growth, and clears it.
    pub(crate) fn take_refusal(&mut self) -> Option<OutOfMemory> {
        self.refusal.take()
    }

    fn grow(&mut self, bytes: u64) -> bool {
        self.refusal = self.account.take(bytes).err();
        if self.refusal.is_none() {
            self.used += bytes;
        }
        self.refusal.is_none()
    }
}

/// If the system does not deliver the memory after this allows it, the growth stays counted: such a component
/// soon ends.
impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // wasmtime refuses growth above the memory's own declared maximum in any case.
        let is_within_own = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(is_within_own && self.grow((desired - current) as u64))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_within_own = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(is_within_own && self.grow(((desired - current) as u64).saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }

    fn tables(&self) -> usize {
        MEMORIES_MAX
    }
}

impl Drop for MemoryMeter {
    fn drop(&mut self) {
        self.account.give_back(self.used);
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::log::NoLog;

    use super::*;
    use crate::testing::step_context;

    fn account(max: u64, shared: &Arc<SharedMemory>) -> Account {
        Account::new(max, shared.clone(), step_context(Arc::new(NoLog)))
    }

    fn meter(max: u64, shared: &Arc<SharedMemory>) -> MemoryMeter {
        MemoryMeter::new(account(max, shared))
    }

    #[test]
    fn counts_all_memories_and_tables_together() {
        let mut meter = meter(1000, &SharedMemory::new(10_000));
        assert!(meter.memory_growing(0, 400, None).unwrap());
        assert!(meter.memory_growing(0, 400, Some(400)).unwrap());
        assert!(meter.table_growing(0, 10, None).unwrap());
        assert!(!meter.memory_growing(400, 401, Some(400)).unwrap());
        assert_eq!(meter.take_refusal(), None, "its own maximum is nobody's fault");
        assert!(!meter.memory_growing(400, 500, None).unwrap());
        let refusal = meter.take_refusal().unwrap();
        assert_eq!(refusal.to_string(), "out of memory: asked for 1060 of 1000 bytes");
        assert!(!meter.table_growing(0, usize::MAX / 4, None).unwrap());
    }

    #[test]
    fn a_tenant_takes_its_part_and_leaves_the_rest() {
        let whole = SharedMemory::new(1000);
        let part = SharedMemory::part_of(&whole, 600);
        let mut first = meter(5000, &part);
        assert!(first.memory_growing(0, 500, None).unwrap());
        assert!(!first.memory_growing(500, 601, None).unwrap());
        let refusal = first.take_refusal().unwrap().to_string();
        assert!(refusal.ends_with("all of its tenant together may have 600 bytes"), "{refusal}");
        assert!(!first.memory_growing(500, 601, None).unwrap());
        assert!(first.take_refusal().unwrap().help().contains("the tenant's quota"));
        let mut other = meter(5000, &SharedMemory::part_of(&whole, 600));
        assert!(other.memory_growing(0, 500, None).unwrap());
        assert!(!other.memory_growing(500, 501, None).unwrap(), "the whole is used up");
        drop(first);
        assert!(other.memory_growing(500, 600, None).unwrap());
        assert_eq!((part.used.load(Ordering::Relaxed), whole.used.load(Ordering::Relaxed)), (0, 600));
    }

    #[test]
    fn counts_all_components_together_while_they_live() {
        let shared = SharedMemory::new(1000);
        let mut first = meter(900, &shared);
        assert!(first.memory_growing(0, 900, None).unwrap());
        let mut second = meter(900, &shared);
        assert!(!second.memory_growing(0, 200, None).unwrap());
        let refusal = second.take_refusal().unwrap().to_string();
        assert!(refusal.ends_with("all running components together may have 1000 bytes"), "{refusal}");
        drop(first);
        assert!(second.memory_growing(0, 200, None).unwrap());
    }

    #[test]
    fn what_the_host_keeps_is_memory_of_the_component_until_it_is_let_go() {
        let shared = SharedMemory::new(10_000);
        let account = account(1000, &shared);
        let mut meter = MemoryMeter::new(account.clone());
        assert!(meter.memory_growing(0, 400, None).unwrap());
        let mut charge = account.charge(500).unwrap();
        assert!(!meter.memory_growing(400, 501, None).unwrap(), "the rest is charged");
        assert_eq!(
            account.charge(101).unwrap_err().to_string(),
            "out of memory: asked for 1001 of 1000 bytes"
        );
        assert!(charge.cover(601).is_err());
        charge.cover(600).unwrap();
        charge.cover(100).unwrap();
        assert!(meter.memory_growing(400, 900, None).unwrap());
        drop(meter);
        assert_eq!(shared.used.load(Ordering::Relaxed), 100, "it outlives its component, and counts on");
        drop((charge, account));
        assert_eq!(shared.used.load(Ordering::Relaxed), 0);
    }
}
