//! What a component's memories and tables take, all together.
//!
//! wasmtime's own limiter counts each memory by itself, so a component with a hundred of them would
//! get a hundred times the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stepbox_batch::step_context::StepContext;
use wasmtime::ResourceLimiter;

/// What a table takes for one element, in bytes.
const TABLE_ELEMENT_BYTES: u64 = 16;
/// How many core instances a component may have. Interpreters with many extensions need dozens.
const INSTANCES_MAX: usize = 200;
/// How many memories a component may have, and how many tables.
const MEMORIES_MAX: usize = 20;

/// The memory that several running components take together: all of a tenant, or all there are.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    max: u64,
    used: AtomicU64,
    /// What it is a part of.
    whole: Option<Arc<Self>>,
}

impl SharedMemory {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicU64::new(0), whole: None })
    }

    /// At most `max` bytes of a whole that others take from as well.
    pub(crate) fn part_of(whole: &Arc<Self>, max: u64) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicU64::new(0), whole: Some(whole.clone()) })
    }

    /// Takes memory if this and the whole have it, or else says what is too much.
    fn take(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.max);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            let (asked, max) = (bytes, self.max);
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

/// Counts one component's memory, and refuses what is too much.
///
/// `memory.grow` then answers "no", as a program may expect. Most abort on that, with less to say than
/// is known here: so the last refusal is kept, for the failure that may follow.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    max: u64,
    used: u64,
    shared: Arc<SharedMemory>,
    context: StepContext,
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
    /// What to do about it: a step's own limit is of no use where others have taken what there is.
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
    pub(crate) fn new(max: u64, shared: Arc<SharedMemory>, context: StepContext) -> Self {
        Self { max, used: 0, shared, context, refusal: None }
    }

    /// What was last refused since the last time this was asked.
    pub(crate) fn take_refusal(&mut self) -> Option<OutOfMemory> {
        self.refusal.take()
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let asked = self.used.saturating_add(bytes);
        let taken = if asked > self.max {
            Err(OutOfMemory::Component { asked, max: self.max })
        } else {
            self.shared.take(bytes)
        };
        if taken.is_ok() {
            self.used = asked;
            self.context.metering().took_memory(bytes);
        }
        self.refusal = taken.err();
        self.refusal.is_none()
    }
}

/// Growth that the system then fails to deliver stays counted: such a component is near its end.
impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Past its own declared maximum it gets nothing anyway.
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
        self.shared.give_back(self.used);
        self.context.metering().gave_memory_back(self.used);
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::log::NoLog;

    use super::*;
    use crate::testing::step_context;

    fn step() -> StepContext {
        step_context(Arc::new(NoLog))
    }

    #[test]
    fn counts_all_memories_and_tables_together() {
        let mut meter = MemoryMeter::new(1000, SharedMemory::new(10_000), step());
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
        let mut first = MemoryMeter::new(5000, part.clone(), step());
        assert!(first.memory_growing(0, 500, None).unwrap());
        assert!(!first.memory_growing(500, 601, None).unwrap());
        let refusal = first.take_refusal().unwrap().to_string();
        assert!(refusal.ends_with("all of its tenant together may have 600 bytes"), "{refusal}");
        assert!(!first.memory_growing(500, 601, None).unwrap());
        assert!(first.take_refusal().unwrap().help().contains("the tenant's quota"));
        let mut other = MemoryMeter::new(5000, SharedMemory::part_of(&whole, 600), step());
        assert!(other.memory_growing(0, 500, None).unwrap());
        assert!(!other.memory_growing(500, 501, None).unwrap(), "the whole is used up");
        drop(first);
        assert!(other.memory_growing(500, 600, None).unwrap());
        assert_eq!((part.used.load(Ordering::Relaxed), whole.used.load(Ordering::Relaxed)), (0, 600));
    }

    #[test]
    fn counts_all_components_together_while_they_live() {
        let shared = SharedMemory::new(1000);
        let mut first = MemoryMeter::new(900, shared.clone(), step());
        assert!(first.memory_growing(0, 900, None).unwrap());
        let mut second = MemoryMeter::new(900, shared.clone(), step());
        assert!(!second.memory_growing(0, 200, None).unwrap());
        let refusal = second.take_refusal().unwrap().to_string();
        assert!(refusal.ends_with("all running components together may have 1000 bytes"), "{refusal}");
        drop(first);
        assert!(second.memory_growing(0, 200, None).unwrap());
    }
}
