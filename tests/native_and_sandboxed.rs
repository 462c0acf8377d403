//! The same processor, once as native code and once as a component.

use std::marker::PhantomData;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::element::{ItemProcessor, Opening, SkippedRow};
use stepbox::batch::error::ElementError;
use stepbox::batch::rows::Rows;
use stepbox_guest_artifacts::steps;
use stepbox_step::contract;
use stepbox_step::{Processor, ProcessorDriver};

use crate::support::{Installation, counts, ending, local};

/// A guest's processor in the place of a native one: the SDK's own driver, without a sandbox.
struct Native<P: Processor> {
    driver: Option<ProcessorDriver<P>>,
    columns: usize,
    processor: PhantomData<fn() -> P>,
}

impl<P: Processor> Native<P> {
    fn new() -> Self {
        Self { driver: None, columns: 0, processor: PhantomData }
    }
}

fn failed(error: stepbox_step::StepError) -> ElementError {
    ElementError::failed("native", format!("{error:?}"))
}

#[async_trait]
impl<P: Processor + Send + 'static> ItemProcessor for Native<P> {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, ElementError> {
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

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<Vec<SkippedRow>, ElementError> {
        let rows = contract::Rows {
            data: rows.data().to_vec(),
            ends: rows.ends().to_vec(),
            nulls: rows.nulls().to_vec(),
        };
        let outcome = self.driver.as_mut().expect("it is open").process(rows).map_err(failed)?;
        let contract::Rows { data, ends, nulls } = outcome.rows;
        *output = Rows::from_parts(self.columns, data, ends, nulls).expect("the driver is honest");
        let skipped = outcome.skipped.into_iter();
        Ok(skipped.map(|s| SkippedRow { row: s.row, code: s.code, reason: s.reason }).collect())
    }
}

const JOBS: &str = r#"
jobs:
  sandboxed:
    type: export
    parameters: &parameters
      extends: csv_export
      properties:
        decimalSeparator: { type: string, default: "," }
        dateFormat: { type: string, default: d.M.yy }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}" } }
        chunk: 7
  native:
    type: export
    parameters: *parameters
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: native_normalise
        writer: { csv: { to: "${parameters.storage}" } }
"#;

#[tokio::test]
async fn give_byte_identical_output() {
    let installation = Installation::with(|builder| {
        builder.processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::new())))
    })
    .await;
    installation.install(&[("normalise", steps::NORMALISE)], JOBS).await;
    let mut text = "sku,price,released_on,note\n".to_owned();
    for row in 0..5000 {
        let sku = if row % 97 == 0 { String::new() } else { format!("s{row}") };
        let date = if row % 89 == 0 {
            "2023-02-30".to_owned()
        } else {
            format!("20{:02}-0{}-1{}", row % 80, row % 9 + 1, row % 10)
        };
        text.push_str(&format!("{sku},-{row}.5{row},{date},\"é \"\"{row}\"\",\n\"\n"));
    }
    installation.write("in.csv", text);
    let mut outputs = Vec::new();
    for job in ["native", "sandboxed"] {
        let out = format!("{job}.csv");
        let parameters = json!({ "source": local("in.csv"), "storage": local(&out) });
        let execution = installation.run(job, parameters).await;
        assert_eq!(ending(&execution), "COMPLETED");
        let warnings = installation.tenant.warnings(execution.id).await.unwrap();
        let warnings: Vec<_> = warnings.into_iter().map(|w| (w.code, w.reason, w.place, w.item)).collect();
        outputs.push((counts(&execution, 0), warnings, installation.read(&out)));
    }
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0].0, "read=5000 written=4892 filtered=0 skipped=108");
}
