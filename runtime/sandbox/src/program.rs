//! A compiled component, ready to run as an element or a tasklet.

use std::fmt;

use stepbox_batch::element::{ItemProcessor, ItemReader, ItemWriter, Tasklet};
use stepbox_batch::form_answer::{FormFailure, FormQuestion};
use stepbox_batch::name::Digest;

use crate::machine::Loaded;
use crate::setup::ComponentSetup;
use crate::share::Share;
use crate::v0_1::adapters::{SandboxedProcessor, SandboxedReader, SandboxedTasklet, SandboxedWriter};
use crate::v0_1::adapters::{describe_form, describes_forms};

/// A compiled component. Cheap to clone; it can run many times, also at the same time.
#[derive(Clone)]
pub struct Program {
    loaded: Loaded,
    replaces_other_code: bool,
}

/// A program makes any kind of element, whatever its world. If its world does not have that element, opening
/// it fails, as with everything else that can be wrong with it. The code that installs a job compares worlds
/// before.
impl Program {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self { loaded, replaces_other_code: false }
    }

    /// The same program, marked as compiled again because the cache had code that this installation did not
    /// make.
    pub(crate) fn in_place_of_other_code(self) -> Self {
        Self { replaces_other_code: true, ..self }
    }

    /// Whether the component was compiled again because the cache had code for it that this installation did
    /// not make.
    ///
    /// Such code is damaged, or it is an attempt to have foreign code run.
    pub fn replaces_other_code(&self) -> bool {
        self.replaces_other_code
    }

    /// The digest of the component that was compiled.
    pub fn digest(&self) -> &Digest {
        self.loaded.digest()
    }

    /// Whether it answers questions about forms.
    pub fn describes_forms(&self) -> bool {
        describes_forms(self.loaded.pre())
    }

    /// Asks it about the form of a job. Returns the text of its answer, which may be any text so far:
    /// [`FormAnswer::parse`](stepbox_batch::form_answer::FormAnswer::parse) checks it.
    ///
    /// The call gets nothing but the question and its own small limits. It counts for the share's memory and
    /// processors.
    pub async fn describe_form(&self, share: Share, question: &FormQuestion) -> Result<String, FormFailure> {
        describe_form(&self.loaded, share, question).await
    }

    /// A reader that is not open yet.
    pub fn reader(&self, setup: ComponentSetup) -> impl ItemReader + use<> {
        SandboxedReader::new(self.loaded.clone(), setup)
    }

    /// A processor that is not open yet.
    pub fn processor(&self, setup: ComponentSetup) -> impl ItemProcessor + use<> {
        SandboxedProcessor::new(self.loaded.clone(), setup)
    }

    /// A writer that is not open yet.
    pub fn writer(&self, setup: ComponentSetup) -> impl ItemWriter + use<> {
        SandboxedWriter::new(self.loaded.clone(), setup)
    }

    /// A tasklet that does not run yet.
    pub fn tasklet(&self, setup: ComponentSetup) -> impl Tasklet + use<> {
        SandboxedTasklet::new(self.loaded.clone(), setup)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", self.digest()).finish_non_exhaustive()
    }
}
