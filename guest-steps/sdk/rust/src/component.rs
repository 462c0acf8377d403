//! The code behind the export macros: the contract's exports, which call the drivers.

use std::any::Any;
use std::cell::RefCell;

use crate::form::describe_form;
use crate::raw::{describe, form, partitioner, processor, reader, task, types, writer};
use crate::{
    Description, Exit, FormDescriber, PartitionedReader, Processor, ProcessorDriver, Reader, ReaderDriver,
    StepError,
};
use crate::{Tasklet, Writer, WriterDriver, contract, run_tasklet, split};

/// A component: a step and the crate that it is built from.
pub trait Exported {
    /// The step.
    type Step;
    /// Its crate.
    const CRATE: Crate;
    /// Adds the step's own facts to the description that the crate gives.
    fn describe(about: Description) -> Description;
}

/// A component that describes forms.
pub trait ExportedForm {
    /// What answers the questions.
    type Form: FormDescriber;
}

/// What Cargo knows about a step's crate.
pub struct Crate {
    /// The crate's name, with underscores.
    pub name: &'static str,
    /// The crate's version: a semantic version.
    pub version: &'static str,
    /// The crate's description: one sentence.
    pub description: &'static str,
}

thread_local! {
    /// The open driver. A component has one element, and the runtime opens it once.
    static DRIVER: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

fn set_driver(driver: impl Any) {
    DRIVER.set(Some(Box::new(driver)));
}

fn with_driver<D: Any, T>(call: impl FnOnce(&mut D) -> Result<T, StepError>) -> Result<T, types::StepError> {
    DRIVER.with_borrow_mut(|driver| {
        let driver = driver.as_mut().and_then(|driver| driver.downcast_mut());
        let driver =
            driver.ok_or_else(|| StepError::new("not-open", "the element was called before its `open`"))?;
        Ok(call(driver)?)
    })
}

impl<C: Exported> describe::Guest for C {
    fn describe() -> types::Description {
        C::describe(C::CRATE.describe()).into()
    }
}

impl<C: Exported<Step: Processor + 'static>> processor::Guest for C {
    fn open(setup: types::Setup) -> Result<Vec<String>, types::StepError> {
        let (driver, header) = ProcessorDriver::<C::Step>::open(setup.into())?;
        set_driver(driver);
        Ok(header)
    }

    fn process(rows: types::Rows) -> Result<processor::Outcome, types::StepError> {
        let outcome = with_driver(|driver: &mut ProcessorDriver<C::Step>| driver.process(rows.into()))?;
        let skipped = outcome.skipped.into_iter().map(Into::into).collect();
        Ok(processor::Outcome { rows: outcome.rows.into(), skipped, filtered: outcome.filtered })
    }

    fn checkpoint() -> Result<Vec<u8>, types::StepError> {
        with_driver(ProcessorDriver::<C::Step>::checkpoint)
    }

    fn close() -> Result<(), types::StepError> {
        with_driver(ProcessorDriver::<C::Step>::close)
    }
}

impl<C: Exported<Step: Reader + 'static>> reader::Guest for C {
    fn open(setup: types::Setup) -> Result<Vec<String>, types::StepError> {
        let (driver, header) = ReaderDriver::<C::Step>::open(setup.into())?;
        set_driver(driver);
        Ok(header)
    }

    fn read(max_rows: u32, max_bytes: u32) -> Result<reader::Chunk, types::StepError> {
        let chunk = with_driver(|driver: &mut ReaderDriver<C::Step>| driver.read(max_rows, max_bytes))?;
        let unreadable = chunk.unreadable.into_iter().map(Into::into).collect();
        Ok(reader::Chunk { rows: chunk.rows.into(), unreadable, more: chunk.more })
    }

    fn checkpoint() -> Result<Vec<u8>, types::StepError> {
        with_driver(ReaderDriver::<C::Step>::checkpoint)
    }

    fn close() -> Result<(), types::StepError> {
        with_driver(ReaderDriver::<C::Step>::close)
    }
}

impl<C: Exported<Step: PartitionedReader>> partitioner::Guest for C {
    fn split(setup: types::Setup, parts: u32) -> Result<Option<Vec<Vec<u8>>>, types::StepError> {
        Ok(split::<C::Step>(&setup.into(), parts)?)
    }
}

impl<C: ExportedForm> form::Guest for C {
    fn describe(question: form::Question) -> Result<String, types::StepError> {
        Ok(describe_form::<C::Form>(question.into())?)
    }
}

impl<C: Exported<Step: Writer + 'static>> writer::Guest for C {
    fn open(setup: types::Setup) -> Result<(), types::StepError> {
        set_driver(WriterDriver::<C::Step>::open(setup.into())?);
        Ok(())
    }

    fn write(rows: types::Rows) -> Result<Vec<types::Skipped>, types::StepError> {
        let skipped = with_driver(|driver: &mut WriterDriver<C::Step>| driver.write(&rows.into()))?;
        Ok(skipped.into_iter().map(Into::into).collect())
    }

    fn checkpoint() -> Result<Vec<u8>, types::StepError> {
        with_driver(WriterDriver::<C::Step>::checkpoint)
    }

    fn complete() -> Result<(), types::StepError> {
        with_driver(WriterDriver::<C::Step>::complete)
    }
}

impl<C: Exported<Step: Tasklet>> task::Guest for C {
    fn run(setup: types::Setup) -> Result<Option<String>, types::StepError> {
        match run_tasklet::<C::Step>(&setup.into())? {
            Exit::Completed => Ok(None),
            Exit::Own(status) => Ok(Some(status)),
        }
    }
}

impl Crate {
    fn describe(&self) -> Description {
        Description {
            name: self.name.replace('_', "-"),
            version: self.version.to_owned(),
            summary: self.description.to_owned(),
            ..Description::default()
        }
    }
}

impl From<types::Setup> for contract::Setup {
    fn from(setup: types::Setup) -> contract::Setup {
        let types::Setup { header, parameters, checkpoint } = setup;
        contract::Setup { header, parameters, checkpoint }
    }
}

impl From<form::Question> for contract::Question {
    fn from(question: form::Question) -> contract::Question {
        let form::Question { what, parameters, header, language } = question;
        contract::Question { what, parameters, header, language }
    }
}

impl From<types::Rows> for contract::Rows {
    fn from(rows: types::Rows) -> contract::Rows {
        let types::Rows { data, ends, nulls } = rows;
        contract::Rows { data, ends, nulls }
    }
}

impl From<contract::Rows> for types::Rows {
    fn from(rows: contract::Rows) -> types::Rows {
        let contract::Rows { data, ends, nulls } = rows;
        types::Rows { data, ends, nulls }
    }
}

impl From<contract::Skipped> for types::Skipped {
    fn from(skipped: contract::Skipped) -> types::Skipped {
        let contract::Skipped { row, code, reason } = skipped;
        types::Skipped { row, code, reason }
    }
}

impl From<contract::Unreadable> for reader::Unreadable {
    fn from(unreadable: contract::Unreadable) -> reader::Unreadable {
        let contract::Unreadable { code, reason, place, item } = unreadable;
        reader::Unreadable { code, reason, place, item }
    }
}

impl From<StepError> for types::StepError {
    fn from(error: StepError) -> types::StepError {
        let StepError { code, message, retryable } = error;
        types::StepError { code, message, retryable }
    }
}

impl From<Description> for types::Description {
    fn from(about: Description) -> types::Description {
        let Description { name, version, summary, parameters, grants, columns_in, columns_out, stateless } =
            about;
        types::Description { name, version, summary, parameters, grants, columns_in, columns_out, stateless }
    }
}
