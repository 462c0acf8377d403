//! The same processor, once as native code and once as a component.

use serde_json::json;
use stepbox_guest_artifacts::steps;
use stepbox_tests::Native;

use crate::support::{Installation, counts, ending, local};

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
        builder.processor("native_normalise", |_| Ok(Box::new(Native::<normalise::Normalise>::default())))
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
