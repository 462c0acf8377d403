//! Components that help to fill in forms: what they are told, what a person sees of their answers, and what hostile ones
//! can do.

use std::path::Path;

use serde_json::{Map, Value, json};
use stepbox::batch::form_answer::{FormAnswer, FormBlock, FormFailure};
use stepbox::batch::name::TenantId;
use stepbox::batch::visible::steers;
use stepbox::{Error, FormAsk, Policy, Stepbox, Tenant};
use stepbox_guest_artifacts::{hostile, steps};

use crate::support::{Installation, install, local};

const JOBS: &str = "jobs:
  described:
    type: export
    parameters:
      extends: csv_export
      properties:
        rows: { type: array, default: [] }
    steps:
      - name: export
        reader: { csv: { from: \"${parameters.source}\", delimiter: \"${parameters.sourceDelimiter}\" } }
        writer: { csv: { to: \"${parameters.storage}\" } }
      - name: after
        tasklet: describer
";

/// A question of the tab `what` to the component `describer`.
fn ask(what: &str, parameters: Value, source: Option<&str>) -> FormAsk {
    FormAsk {
        component: "describer".to_owned(),
        what: what.to_owned(),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
        source: source.map(str::to_owned),
        language: "en".to_owned(),
    }
}

async fn with_liar() -> Installation {
    let installation = Installation::new().await;
    installation.install(&[("describer", hostile::LIES_IN_FORMS)], JOBS).await;
    installation
}

async fn describe(tenant: &Tenant, ask: FormAsk) -> Result<FormAnswer, FormFailure> {
    tenant.describe_form("test", "described", ask).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The answer on one line: its first note, or the failure.
fn told(answer: &Result<FormAnswer, FormFailure>) -> String {
    match answer {
        Ok(answer) => match answer.blocks.first() {
            Some(FormBlock::Note { text, .. }) => text.clone(),
            other => format!("{other:?}"),
        },
        Err(failure) => format!("{}: {failure}", failure.code()),
    }
}

const BUSY: &str = "form-describers-busy: 2 other questions are being answered";

/// How a question ends that loops. On a machine that has no time for it, the clock is first.
fn is_too_slow(found: &str) -> bool {
    ["form-describer-ended: computed longer than 500 ms", "form-describer-ended: ran longer than 5000 ms"]
        .contains(&found)
}

/// Called by the test of the guest of this name.
pub(crate) async fn every_lie_leaves_the_form_without_help() {
    let installation = with_liar().await;
    let rows = [
        ("truth", "all is well"),
        ("eats", "form-describer-ended: out of memory: asked for "),
        ("panics", "form-describer-ended: panicked: "),
        ("refuses", r"form-describer-refused: <b>no</b>\u{1b}[31m\u{202e}\nerror: paper (`no-paper`)"),
        ("long", "form-answer-too-long: its answer has 1048589 bytes"),
        ("deep", "form-answer-invalid: its answer is wrong: it is not JSON: "),
        ("html", "<script>alert(1)</script><img src=x onerror=alert(2)>"),
        ("steers", r"\u{1b}]8;;javascript:alert(1)\u{7}click\u{1b}]8;;\u{7}\u{202e}\r\nevent: end"),
        ("unknown-key", "form-answer-invalid: its answer is wrong: `/blocks/0` has the key `html`"),
        ("no-json", "form-answer-invalid: its answer is wrong: it is not JSON: line 1, column 1"),
        ("files", "form-describer-ended: was ended: `describe` called `open-reader` of `stepbox:step/files@"),
        ("files-by-wasi", "Err("),
        ("http", "form-describer-ended: was ended: `describe` called `send` of `stepbox:step/http@"),
    ];
    let found = told(&describe(&installation.tenant, ask("spins", json!({}), None)).await);
    assert!(is_too_slow(&found), "{found}");
    for (what, expected) in rows {
        let found = told(&describe(&installation.tenant, ask(what, json!({}), None)).await);
        assert!(found.starts_with(expected), "{what}: {found:.300}");
        assert!(!found.chars().any(steers), "{what}: {found:.300}");
    }
}

#[tokio::test]
async fn three_at_once_are_answered_two_at_a_time() {
    let installation = with_liar().await;
    let tenant = &installation.tenant;
    let spin = |n: u32| describe(tenant, ask("spins", json!({ "n": n }), None));
    let (first, second, third, truth) =
        tokio::join!(spin(1), spin(2), spin(3), describe(tenant, ask("truth", json!({}), None)));
    let found = [first, second, third].map(|found| told(&found));
    assert!(found.iter().filter(|found| is_too_slow(found)).count() >= 2, "{found:?}");
    assert!(found.iter().all(|found| is_too_slow(found) || found == BUSY), "{found:?}");
    // It waited for a place, and either got one or says that there was none.
    let found = told(&truth);
    assert!(found == "all is well" || found == BUSY, "{found}");
}

/// The describers of one tenant take nothing that another tenant needs.
#[tokio::test]
async fn another_tenant_has_its_turn() {
    let folder = crate::support::tempdir().unwrap();
    let names = ["acme", "other"].map(|name| TenantId::new(name).unwrap());
    let mut builder = Stepbox::builder(folder.path().join("data"));
    for name in &names {
        builder = builder.tenant(name.clone(), Policy::own_machine(folder.path()));
    }
    let stepbox = builder.open().await.unwrap();
    let [acme, other] = names.map(|name| stepbox.tenant(&name).unwrap());
    for tenant in [&acme, &other] {
        install(tenant, folder.path(), &[("describer", hostile::LIES_IN_FORMS)], JOBS).await;
    }
    let spinning: Vec<_> = (0..6)
        .map(|n| {
            let acme = acme.clone();
            tokio::spawn(async move { told(&describe(&acme, ask("spins", json!({ "n": n }), None)).await) })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(told(&describe(&other, ask("truth", json!({}), None)).await), "all is well");
    assert!(spinning.iter().any(|spinning| !spinning.is_finished()), "they still spin");
    for spinning in spinning {
        let found = spinning.await.unwrap();
        assert!(is_too_slow(&found) || found == BUSY, "{found}");
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_answer() {
    let installation = with_liar().await;
    let random = async |parameters: Value| {
        told(&describe(&installation.tenant, ask("random", parameters, None)).await)
    };
    let first = random(json!({ "a": 1 })).await;
    assert_eq!(random(json!({ "a": 1 })).await, first, "it was kept");
    assert_ne!(random(json!({ "a": 2 })).await, first, "another question");
    // Another process has kept nothing.
    let reopened = installation.reopened(|builder| builder).await;
    assert_ne!(told(&describe(&reopened, ask("random", json!({ "a": 1 }), None)).await), first);
}

/// The columns come from the job's own reader, within the policy and from the beginning of the file.
#[tokio::test]
async fn a_component_is_told_the_columns_of_the_source() {
    let installation = with_liar().await;
    installation.write("in.csv", "sku;name\n1;chair\n");
    installation.write("long.csv", format!("sku;name;price\n{}", "1;chair;2\n".repeat(1 << 20)));
    installation.write("wide.csv", format!("{}\n1\n", "column;".repeat(1 << 14)));
    let header = async |parameters: Value, source: Option<&str>| {
        let text = told(&describe(&installation.tenant, ask("header", parameters, source)).await);
        text.split_once(": ")
            .map_or(text.clone(), |(_, header)| header.rsplit(": ").next().unwrap().to_owned())
    };
    let of = |name: &str| json!({ "source": local(installation.path(name)) });
    assert_eq!(header(of("in.csv"), Some("source")).await, "sku|name");
    assert_eq!(header(of("long.csv"), Some("source")).await, "sku|name|price");
    let mut with_delimiter = of("in.csv");
    with_delimiter["sourceDelimiter"] = json!(",");
    // A reader refuses a file that has another delimiter.
    assert_eq!(header(with_delimiter, Some("source")).await, "");
    // No source is named, or none that a reader takes, or none that can be read.
    for (parameters, source) in [
        (of("in.csv"), None),
        (of("in.csv"), Some("storage")),
        (of("in.csv"), Some("missing")),
        (of("missing.csv"), Some("source")),
        (of("wide.csv"), Some("source")),
        (of("data/stepbox.db"), Some("source")),
        (json!({ "source": local("/proc/self/environ") }), Some("source")),
        (json!({ "source": "${secrets.token}" }), Some("source")),
        (json!({ "source": { "type": "s3", "storage": "exchange", "file_path": "a" } }), Some("source")),
        (json!({ "source": [1] }), Some("source")),
        (json!({}), Some("source")),
    ] {
        assert_eq!(header(parameters.clone(), source).await, "", "{parameters} {source:?}");
    }
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_an_error() {
    let installation = with_liar().await;
    let tenant = &installation.tenant;
    let code = async |connector: &str, job: &str, ask: FormAsk| {
        tenant.describe_form(connector, job, ask).await.err().map(|error: Error| error.code())
    };
    let truth = || ask("truth", json!({}), None);
    assert_eq!(code("test", "described", truth()).await, None);
    assert_eq!(code("missing", "described", truth()).await, Some("not-found"));
    assert_eq!(code("test", "missing", truth()).await, Some("not-found"));
    let other = FormAsk { component: "missing".to_owned(), ..truth() };
    assert_eq!(code("test", "described", other).await, Some("not-found"));
    let language = FormAsk { language: "en\r\n".to_owned(), ..truth() };
    assert_eq!(code("test", "described", language).await, Some("form-question-invalid"));
    let long = Map::from_iter([("a".to_owned(), json!("x".repeat(256 << 10)))]);
    let long = FormAsk { parameters: long, ..truth() };
    assert_eq!(code("test", "described", long).await, Some("form-question-invalid"));
}

/// A component without the interface is found before it is asked, and leaves the form as it is.
#[tokio::test]
async fn an_upload_shows_whether_a_component_describes_forms() {
    let installation = Installation::new().await;
    for (component, expected) in
        [(steps::NORMALISE, true), (hostile::LIES_IN_FORMS, true), (steps::NOTIFY, false)]
    {
        let bytes = std::fs::read(component).unwrap();
        let inspected = installation.tenant.inspect_component(&bytes).await.unwrap();
        assert_eq!(inspected.description.describes_forms, expected, "{component}");
        assert_eq!(installation.tenant.upload_component(&bytes).await.unwrap().describes_forms(), expected);
    }
    installation.install(&[("describer", hostile::OWN_EXIT_STATUS)], JOBS).await;
    let found = told(&describe(&installation.tenant, ask("truth", json!({}), None)).await);
    assert_eq!(found, "form-describer-unfit: it does not describe forms");
}

/// The mapping of the worked example: suggested from the catalogue, and then done as suggested.
#[tokio::test]
async fn the_worked_example_suggests_a_mapping_and_follows_it() {
    let installation = Installation::new().await;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/csv-notify");
    let folder = installation.path("csv-notify");
    std::fs::create_dir_all(folder.join("steps")).unwrap();
    std::fs::copy(example.join("connector.yaml"), folder.join("connector.yaml")).unwrap();
    std::fs::copy(steps::NORMALISE, folder.join("steps/normalise.wasm")).unwrap();
    std::fs::copy(steps::NOTIFY, folder.join("steps/notify.wasm")).unwrap();
    installation.tenant.install_connector(&folder).await.unwrap_or_else(|error| panic!("{error}"));

    let (connector, job) = ("acme_csv_notify", "csv_product_export_notify");
    let source = local(example.join("data/catalogue.csv"));
    let ask = FormAsk {
        component: "normalise".to_owned(),
        ..ask("mapping", json!({ "source": source }), Some("source"))
    };
    let answer = installation.tenant.describe_form(connector, job, ask).await.unwrap().unwrap();
    let [FormBlock::Note { text, .. }, FormBlock::Table(table)] = &answer.blocks[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(text, "0 of 10 columns are mapped; the others keep their names.");
    let columns: Vec<_> =
        table.columns.iter().map(|column| (column.name.as_str(), column.options.len())).collect();
    assert_eq!((table.parameter.as_str(), columns), ("mapping", vec![("from", 10), ("to", 10), ("keep", 0)]));

    let parameters = json!({
        "source": source,
        "storage": local(installation.path("out.csv")),
        "urlToNotify": crate::support::nobodys_url(),
        "notifyFailureIsError": false,
        "mapping": table.defaults,
    });
    installation.run(job, parameters).await;
    let output = installation.read("out.csv");
    assert_eq!(
        output.lines().next().unwrap(),
        "identifier;name;name-de_DE;categories;enabled;price;weight;weight_unit;released_on;description"
    );
}
