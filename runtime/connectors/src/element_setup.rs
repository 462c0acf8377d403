//! What an element is made from, whether Stepbox brings the element or an embedder registers it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use stepbox_batch::clock::{Clock, Timestamp};
use stepbox_batch::error::ElementError;
use stepbox_batch::name::TenantId;
use stepbox_batch::step_context::StepContext;

use crate::folders::Folders;
use crate::reach::{Input, Reach};

/// What a native element is made from. Cheap to clone but for its options.
#[derive(Clone)]
pub struct ElementSetup {
    /// The element's options from the connector file, with their templates expanded; an object, empty without options.
    pub options: Value,
    /// What the element may touch, by the policy of its tenant. Whoever opens files in another way goes around the policy.
    pub reach: Reach,
    /// Whose job it is.
    pub tenant: TenantId,
    /// The time, as the installation has it.
    pub clock: Arc<dyn Clock>,
    /// Tells when the element's work is to end.
    pub cancellation: Cancellation,
}

impl ElementSetup {
    /// The value of an option; `None` if it is missing or null.
    pub fn option(&self, name: &str) -> Option<&Value> {
        self.options.get(name).filter(|value| !value.is_null())
    }

    /// Opens the file that an option names, for reading: see [`Reach::open_input`]. Call this when the element is opened,
    /// not when it is made.
    pub fn open_input(&self, option: &'static str, context: &StepContext) -> Result<Input, ElementError> {
        self.reach.open_input(option, self.option(option).unwrap_or(&Value::Null), context)
    }

    /// For an element whose options are checked and that is never opened.
    pub(crate) fn to_check(options: Value) -> Self {
        Self {
            options,
            reach: Folders::beneath(Vec::<String>::new()).into(),
            tenant: TenantId::new("nobody").expect("it is a name"),
            clock: Arc::new(Stopped),
            cancellation: Cancellation::default(),
        }
    }
}

/// Without its options: a parameter of the job may stand in them.
impl fmt::Debug for ElementSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ElementSetup");
        shown.field("tenant", &self.tenant).field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// A clock that stands.
struct Stopped;

#[async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn ticks_us(&self) -> u64 {
        0
    }

    async fn sleep_ms(&self, _: u64) {}
}

/// Tells an element that its work is to end. By default that is never.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Option<StepContext>);

impl Cancellation {
    /// Of a step that runs.
    pub fn of(context: &StepContext) -> Self {
        Self(Some(context.clone()))
    }

    /// Whether a stop or a pause was requested. The engine honours it between chunks; an element that works longer
    /// returns what it has.
    pub fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(StepContext::should_stop)
    }
}
