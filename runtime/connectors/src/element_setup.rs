//! The setup from which an element is made, for the elements of Stepbox and for those that an embedder registers.

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

/// The setup of a native element.
///
/// A setup is cheap to clone, except for its options.
#[derive(Clone)]
pub struct ElementSetup {
    /// The element's options from the connector file, with their templates expanded.
    ///
    /// The object is empty without options.
    pub options: Value,
    /// The files that the element may open, by the policy of its tenant.
    ///
    /// An element that opens files in another way bypasses the policy.
    pub reach: Reach,
    /// The tenant whose job the element works for.
    pub tenant: TenantId,
    /// The clock of the installation.
    pub clock: Arc<dyn Clock>,
    /// Shows whether the element's work must end.
    pub cancellation: Cancellation,
}

impl ElementSetup {
    /// The value of an option; `None` if the option is missing or null.
    pub fn option(&self, name: &str) -> Option<&Value> {
        self.options.get(name).filter(|value| !value.is_null())
    }

    /// Opens the file that an option names, for reading: see [`Reach::open_input`]. Call this when the element is
    /// opened, not when it is made.
    pub fn open_input(&self, option: &'static str, context: &StepContext) -> Result<Input, ElementError> {
        self.reach.open_input(option, self.option(option).unwrap_or(&Value::Null), context)
    }

    /// A setup for an element that is made only to check its options. Such an element is never opened.
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

/// Shown without the options: they may contain a parameter of the job.
impl fmt::Debug for ElementSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ElementSetup");
        shown.field("tenant", &self.tenant).field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// A clock that always shows the same time.
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

/// Shows an element whether its work must end.
///
/// The default never ends the work.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Option<StepContext>);

impl Cancellation {
    /// The cancellation of a step that runs.
    pub fn of(context: &StepContext) -> Self {
        Self(Some(context.clone()))
    }

    /// Whether a stop or a pause was requested.
    ///
    /// The engine honours the request between chunks. An element that works longer must ask here, and return what it
    /// has.
    pub fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(StepContext::should_stop)
    }
}
