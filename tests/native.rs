//! A component's own code, run natively in the engine: the remaining difference is the sandbox.

use std::marker::PhantomData;

use async_trait::async_trait;
use stepbox::batch::element::{ItemProcessor, Opening, SetAside, SkippedRow};
use stepbox::batch::error::{ElementError, Halt};
use stepbox::batch::rows::Rows;
use stepbox_step::contract;
use stepbox_step::{Processor, ProcessorDriver};

/// A guest's processor in place of a native one: the SDK's own driver, without a sandbox.
pub struct Native<P: Processor> {
    driver: Option<ProcessorDriver<P>>,
    columns: usize,
    processor: PhantomData<fn() -> P>,
}

impl<P: Processor> Default for Native<P> {
    /// A processor that is not open yet.
    fn default() -> Self {
        Self { driver: None, columns: 0, processor: PhantomData }
    }
}

fn failed(error: stepbox_step::StepError) -> ElementError {
    ElementError::failed("native", format!("{error:?}"))
}

#[async_trait]
impl<P: Processor + Send + 'static> ItemProcessor for Native<P> {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        let setup = contract::Setup {
            header: opening.header.to_vec(),
            parameters: opening.context.run().parameters_text.clone(),
            checkpoint: None,
        };
        let (driver, header) = ProcessorDriver::open(setup).map_err(failed)?;
        self.columns = header.len();
        self.driver = Some(driver);
        Ok(header)
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        let rows = contract::Rows {
            data: rows.data().to_vec(),
            ends: rows.ends().to_vec(),
            nulls: rows.nulls().to_vec(),
        };
        let outcome = self.driver.as_mut().expect("it is open").process(rows).map_err(failed)?;
        let contract::Rows { data, ends, nulls } = outcome.rows;
        *output = Rows::from_parts(self.columns, data, ends, nulls).expect("the driver is honest");
        let skipped = outcome.skipped.into_iter();
        let skipped = skipped.map(|s| SkippedRow { row: s.row, code: s.code, reason: s.reason }).collect();
        Ok(SetAside { skipped, filtered: outcome.filtered })
    }
}
