//! A compiled component, ready to run as an element or a tasklet.

use std::fmt;
use std::sync::Arc;

use stepbox_batch::name::Digest;
use wasmtime::component::InstancePre;

use crate::sandbox::Inner;
use crate::setup::ComponentSetup;
use crate::state::StepState;
use crate::v0_1::adapters::{SandboxedProcessor, SandboxedReader, SandboxedTasklet, SandboxedWriter};

/// A compiled component. Cheap to clone; it can run many times, also at once.
#[derive(Clone)]
pub struct Program {
    sandbox: Arc<Inner>,
    compiled: Arc<Compiled>,
    replaces_other_code: bool,
}

/// What is shared by all runs of a component.
pub(crate) struct Compiled {
    pub(crate) digest: Digest,
    pub(crate) pre: InstancePre<StepState>,
}

/// An element can be made of any component. Whether its world has such an element is found out when it
/// is opened, like everything else that may be wrong with it; whoever installs a job compares worlds.
impl Program {
    pub(crate) fn new(sandbox: Arc<Inner>, compiled: Arc<Compiled>) -> Self {
        Self { sandbox, compiled, replaces_other_code: false }
    }

    /// The same, compiled again because what the cache had was not what this installation had made.
    pub(crate) fn in_place_of_other_code(self) -> Self {
        Self { replaces_other_code: true, ..self }
    }

    /// Whether it was compiled again because the cache had other code for it than this installation had made. That is
    /// damage, or somebody's attempt to have their code run.
    pub fn replaces_other_code(&self) -> bool {
        self.replaces_other_code
    }

    /// The digest of the component it was compiled from.
    pub fn digest(&self) -> &Digest {
        &self.compiled.digest
    }

    /// A reader that is not open yet.
    pub fn reader(&self, setup: ComponentSetup) -> SandboxedReader {
        SandboxedReader::new(self.clone(), setup)
    }

    /// A processor that is not open yet.
    pub fn processor(&self, setup: ComponentSetup) -> SandboxedProcessor {
        SandboxedProcessor::new(self.clone(), setup)
    }

    /// A writer that is not open yet.
    pub fn writer(&self, setup: ComponentSetup) -> SandboxedWriter {
        SandboxedWriter::new(self.clone(), setup)
    }

    /// A tasklet that does not run yet.
    pub fn tasklet(&self, setup: ComponentSetup) -> SandboxedTasklet {
        SandboxedTasklet::new(self.clone(), setup)
    }

    pub(crate) fn sandbox(&self) -> &Inner {
        &self.sandbox
    }

    pub(crate) fn pre(&self) -> &InstancePre<StepState> {
        &self.compiled.pre
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", self.digest()).finish_non_exhaustive()
    }
}
