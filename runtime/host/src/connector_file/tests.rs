//! What a connector file may contain, and the message for each mistake: rows of files and messages.

mod flow;
mod forms;
mod outputs;
mod settings;

use std::collections::BTreeSet;

use serde_json::json;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::element::Role;
use stepbox_batch::name::Digest;

use super::*;

fn known() -> Known {
    let schema = json!({
        "properties": {
            "storage": { "type": "object" },
            "delimiter": { "enum": [",", ";"], "default": ";" },
        },
        "required": ["storage"],
    });
    Known {
        schemas: BTreeMap::from([("csv_export".to_owned(), schema)]),
        forms: BTreeMap::new(),
        native: vec![
            (Role::Reader, "csv".to_owned(), Some(&["from", "delimiter"])),
            (Role::Writer, "csv".to_owned(), Some(&["to", "delimiter"])),
            (Role::Tasklet, "pause".to_owned(), None),
        ],
        secrets: BTreeSet::from(["crm_token".to_owned()]),
    }
}

/// A component as the store returns it.
fn component(world: &str, description: Value) -> Component {
    Component {
        digest: Digest::from_bytes([1; 32]),
        name: "normalise".to_owned(),
        version: "1.0.0".to_owned(),
        world: world.to_owned(),
        size_bytes: 1,
        uploaded_at: Timestamp(0),
        description,
        signer: None,
    }
}

const GOOD: &str = "\
connector: acme
label: Acme Connector
components:
  normalise: steps/normalise.wasm
  notify: steps/notify.wasm
jobs:
  acme_export:
    type: export
    parameters:
      extends: csv_export
      properties:
        url: { type: string, format: uri }
      required: [url]
    steps:
      - name: export
        reader: { csv: { from: \"${parameters.storage}\" } }
        processor: normalise
        writer: { csv: { to: \"${parameters.storage}\", delimiter: \"${parameters.delimiter}\" } }
        chunk: 500
      - name: wait
        tasklet: notify
        grants:
          http: [\"POST ${parameters.url}\"]
          files: { inbox: read /srv/in }
        limits: { time_ms_max: 2000 }
";

#[test]
fn takes_names_and_versions_for_uploaded_components_and_the_rest_for_files() {
    for (written, expected) in [
        ("normalise@1.2.0", ComponentSource::Uploaded("normalise@1.2.0".to_owned())),
        ("normalise@1.2.0-dev+3", ComponentSource::Uploaded("normalise@1.2.0-dev+3".to_owned())),
        ("normalise@1.2.0.wasm", ComponentSource::File("normalise@1.2.0.wasm".into())),
        ("steps@1/normalise", ComponentSource::File("steps@1/normalise".into())),
        ("normalise", ComponentSource::File("normalise".into())),
    ] {
        let text = GOOD.replace("steps/normalise.wasm", written);
        let file = ConnectorFile::parse("c/connector.yaml".into(), &text, &known()).unwrap();
        assert_eq!(file.components().next(), Some(("normalise", &expected)), "{written}");
    }
}

#[test]
fn reads_a_connector() {
    let file = ConnectorFile::parse("c/connector.yaml".into(), GOOD, &known()).unwrap();
    let components: Vec<_> = file.components().collect();
    let path = ComponentSource::File("steps/normalise.wasm".into());
    assert_eq!(components[0], ("normalise", &path));

    let description = json!({ "stateless": true, "columns_in": ["price", "date"] });
    let known = component("item-processor", description);
    let digest = known.digest.clone();
    let notify = component("tasklet", json!({}));
    let components = BTreeMap::from([("normalise".to_owned(), known), ("notify".to_owned(), notify)]);
    let connector = file.into_connector(&components).unwrap();
    let job = &connector.jobs[0];
    assert_eq!((connector.label.as_str(), job.label.as_str()), ("Acme Connector", "acme_export"));
    assert_eq!(job.parameters["required"], json!(["storage", "url"]));
    assert_eq!(job.components().map(|c| &c.digest).collect::<Vec<_>>(), [&digest, &digest]);
    let StepKind::Item { processors, settings, .. } = &job.steps[0].kind else { panic!("an item step") };
    assert_eq!((settings.chunk.rows, settings.chunk.bytes), (500, 256 << 10));
    let ElementSource::Component(pinned) = &processors[0].source else { panic!("a component") };
    let columns = ["price", "date"].map(str::to_owned).to_vec();
    assert_eq!((pinned.is_stateless, &pinned.columns_in), (true, &Some(columns)), "as it describes itself");
    assert_eq!(job.steps[1].limits.time_ms_max, Some(2000));
    assert_eq!(job.steps[1].grants.files["inbox"], "read /srv/in");
}

#[test]
fn a_component_must_fit_its_role() {
    let file = ConnectorFile::parse("connector.yaml".into(), GOOD, &known()).unwrap();
    let known = BTreeMap::from([("normalise".to_owned(), component("tasklet", json!({})))]);
    let error = file.into_connector(&known).unwrap_err();
    assert_eq!(
        error.to_string(),
        "connector.yaml, line 17, column 20: the component `normalise` is of the world `tasklet`; a processor needs `item-processor`"
    );
}

#[test]
fn a_step_in_parts_needs_a_component_that_can_split() {
    let text = "connector: acme\ncomponents: { normalise: n.wasm }\njobs:\n  a:\n    type: x\n    steps:\n      \
                - { name: move, reader: normalise, writer: { csv: { to: o } }, partitions: 4 }";
    let read_with = |world: &str| {
        let file = ConnectorFile::parse("c.yaml".into(), text, &known()).unwrap();
        file.into_connector(&BTreeMap::from([("normalise".to_owned(), component(world, json!({})))]))
    };
    assert!(read_with("partitioned-item-reader").is_ok());
    let error = read_with("item-reader").unwrap_err();
    assert_eq!(
        (error.code, error.line, error.message.as_str(), error.help.as_str()),
        (
            "cannot-split",
            Some(7),
            "the component `normalise` is of the world `item-reader`, so it cannot split what it reads",
            "leave `partitions` out, or read with a component of the world `partitioned-item-reader`"
        )
    );
    let error = read_with("item-writer").unwrap_err();
    assert_eq!(
        error.message,
        "the component `normalise` is of the world `item-writer`; a reader needs `item-reader` or \
         `partitioned-item-reader`"
    );
}

/// Replaces a part of the good file, and compares the message with `expected`.
fn check(part: &str, replacement: &str, expected: &str) {
    assert!(GOOD.contains(part), "the good file has {part}");
    let text = GOOD.replacen(part, replacement, 1);
    let found = match ConnectorFile::parse("connector.yaml".into(), &text, &known()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => {
            let mut help = if error.help.is_empty() { String::new() } else { format!(" | {}", error.help) };
            help.extend(error.remedies.iter().map(|remedy| format!(" | {remedy:?}")));
            format!("{} {error}{help}", error.code).replacen("connector.yaml, ", "", 1)
        }
    };
    assert_eq!(found, expected, "{replacement}");
}

#[test]
fn every_mistake_has_a_place_and_a_next_action() {
    check(
        "    type: export",
        "    typ: export",
        "connector-file-malformed line 8, column 5: the key `typ` is not known here | did you mean `type`?",
    );
    check(
        "label: Acme",
        "colour: Acme",
        "connector-file-malformed line 2, column 1: the key `colour` is not known here \
         | known are `connector`, `label`, `components`, `rights`, `jobs`",
    );
    check(
        "    type: export\n",
        "",
        "connector-file-malformed line 13, column 5: the key `type` is missing beside this one",
    );
    check(
        "connector: acme",
        "connector: ac-me",
        "bad-name line 1, column 12: the connector code `ac-me` holds the character `-`; allowed are letters, digits and `_`",
    );
    check(
        "extends: csv_export",
        "extends: csv_exprot",
        "unknown-job line 10, column 16: there is no job `csv_exprot` to extend | did you mean `csv_export`?",
    );
    check(
        "{ type: string, format: uri }",
        "{ type: strin }",
        "bad-schema line 12, column 22: at `/properties/url/type`: \"strin\" is not valid under any of the schemas listed in the 'anyOf' keyword",
    );
    check(
        "url: { type: string, format: uri }",
        "delimiter: { enum: [x] }",
        "bad-schema line 12, column 28: at `/properties/delimiter/enum`: `csv_export` defines the parameter `delimiter`; \
         only its default, title and description may be changed",
    );
    check(
        "      - name: wait",
        "      - name: export",
        "step-name-taken line 20, column 15: the job `acme_export` has two steps called `export` \
         | give each step of a job its own name",
    );
    check(
        "processor: normalise",
        "processor: normalize",
        "unknown-element line 17, column 20: there is no processor `normalize` | did you mean `normalise`?",
    );
    check(
        "reader: { csv: { from: ",
        "reader: { csv: { form: ",
        "unknown-option line 16, column 32: the reader `csv` has no option `form` | did you mean `from`?",
    );
    check(
        "\"${parameters.delimiter}\"",
        "\"${parameters.delimeter}\"",
        "bad-template line 18, column 66: the job has no parameter `delimeter` | did you mean `delimiter`?",
    );
    check(
        "tasklet: notify",
        "reader: csv",
        "step-incomplete line 20, column 9: the step `wait` has a `reader` but no `writer` \
         | an item step has `reader` and `writer`, a tasklet step has `tasklet`",
    );
    check(
        "chunk: 500",
        "chunk: 0",
        "bad-chunk line 19, column 16: a chunk has 1 to 1,000,000 rows and 1 byte to 8 MiB",
    );
    check(
        "inbox: read /srv/in",
        "inbox: /srv/in",
        "bad-grant line 24, column 27: `/srv/in` is no grant for a folder: it is not a \
         word and a path | write it like `read /srv/inbox` or `write /srv/outbox`",
    );
    check(
        "POST ${parameters.url}",
        "${parameters.url}",
        "bad-grant line 23, column 18: `${parameters.url}` is no grant for HTTP: it is not a \
         method and a URL | write it like `POST https://api.example.com`, `* http://localhost:8080` or `GET \
         https://*.example.com/feed/*`",
    );
    check(
        "POST ${parameters.url}",
        "POST https://*/*",
        "bad-grant line 23, column 18: `POST https://*/*` is no grant for HTTP: `*` may only stand for the first part \
         of a name: `*.example.com` | write it like `POST https://api.example.com`, `* http://localhost:8080` or `GET \
         https://*.example.com/feed/*`",
    );
    check(
        "inbox: read /srv/in",
        "inbox: \"${parameters.url}\"",
        "bad-grant line 24, column 27: `${parameters.url}` is no grant for a folder: it is not a word and a path | write \
         it like `read /srv/inbox` or `write /srv/outbox`",
    );
    check(
        "time_ms_max: 2000",
        "time_ms_max: 0",
        "bad-limit line 25, column 32: `time_ms_max` is at least 1; limits cannot be switched off",
    );
    check(
        "steps/normalise.wasm",
        "steps/../a@1.wasm",
        "bad-component-path line 4, column 14: `steps/../a@1.wasm` is not a path inside the connector's folder",
    );
    check(
        "steps/normalise.wasm",
        "../normalise.wasm",
        "bad-component-path line 4, column 14: `../normalise.wasm` is not a path inside the connector's folder",
    );
}

/// These mistakes would otherwise be found by the first run, or never.
#[test]
fn what_cannot_run_or_has_no_effect_is_refused() {
    check(
        "reader: { csv: { from: \"${parameters.storage}\" } }",
        "reader: csv",
        "missing-option line 16, column 17: the reader `csv`: the option `from` is missing | add `from` to the element \
         in the connector file",
    );
    check(
        "\"${parameters.delimiter}\"",
        "'||'",
        "bad-option line 18, column 66: the writer `csv`: the option `delimiter` is \"||\", which is not one printable \
         ASCII character or tab | correct the option, or the parameter that it takes",
    );
    check(
        "tasklet: notify",
        "tasklet: pause",
        "bad-grant line 23, column 11: no element of this step is a component, so its grants have no effect | leave them \
         out",
    );
    check(
        "\"POST ${parameters.url}\"",
        "\"POST ${parameters.url:-example.com}\"",
        "bad-grant line 23, column 18: `example.com` cannot stand for `${parameters.url:-example.com}`: it is no URL | \
         give the parameter a value that fits; the author of the job can constrain it with `pattern`",
    );
    check(
        "required: [url]",
        "required: [url, urls]",
        "bad-schema line 13, column 17: at `/required/2`: `urls` is required, but `properties` does not describe it, so \
         nobody could give a value for it; did you mean `url`?",
    );
    check(
        "format: uri",
        "patern: x",
        "bad-schema line 12, column 38: at `/properties/url/patern`: `patern` is no keyword of JSON Schema, so it would \
         check nothing; did you mean `pattern`?",
    );
    check(
        "type: export",
        "type: Our Exports",
        "bad-name line 8, column 11: the type `Our Exports` holds the character ` `; allowed are letters, digits, `_`, \
         `-` and `.` | write a text for people as the job's `label`",
    );
}

/// A caller may give the parameter a value; a run without a value fails at the step.
#[test]
fn a_parameter_of_a_grant_that_may_be_left_out_is_told() {
    let optional = |text: &str| {
        let file = ConnectorFile::parse("c.yaml".into(), text, &known()).unwrap();
        let normalise = component("item-processor", json!({ "consumes": ["price", "date"] }));
        let components = [("normalise", normalise), ("notify", component("tasklet", json!({})))];
        let components = components.map(|(name, component)| (name.to_owned(), component)).into();
        let connector = file.into_connector(&components).unwrap();
        let found = optional_in_grants(&connector.jobs[0]);
        found.into_iter().map(|(step, name)| format!("{step}/{name}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(optional(GOOD), "");
    assert_eq!(optional(&GOOD.replace("      required: [url]\n", "")), "wait/url");
}

/// An optional parameter once made a grant impossible, even if the template had a default for it.
#[test]
fn a_grant_has_a_default_in_its_template() {
    let optional = GOOD.replace("      required: [url]\n", "");
    for grant in
        ["POST ${parameters.url:-https://example.com/hook}", "POST https://${parameters.url:-example.com}/"]
    {
        let text = optional.replace("POST ${parameters.url}", grant);
        ConnectorFile::parse("c.yaml".into(), &text, &known()).unwrap();
    }
    let text = GOOD.replace("read /srv/in", "\"read ${parameters.url:-inbox}\"");
    ConnectorFile::parse("c.yaml".into(), &text, &known()).unwrap();
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = GOOD.replace("delimiter: \"${parameters.delimiter}\"", "delimeter: 1, too: 2");
    let text =
        text.replace("time_ms_max: 2000", "time_ms_max: 0").replace("{ csv: { from:", "{ csv: { form:");
    let error = ConnectorFile::parse("c.yaml".into(), &text, &known()).unwrap_err();
    let told: Vec<_> = std::iter::once(&error).chain(&error.others).map(|e| (e.line, e.code)).collect();
    let unknown = "unknown-option";
    let expected = [(16, unknown), (18, unknown), (18, unknown), (25, "bad-limit")];
    assert_eq!(told, expected.map(|(line, code)| (Some(line), code)));
}

/// The options of a component must match the schema in its description.
#[test]
fn the_options_of_a_component_are_those_that_it_describes() {
    let check = |options: &str, expected: &[&str]| {
        let text = GOOD.replace("processor: normalise", &format!("processor: {{ normalise: {options} }}"));
        let file = ConnectorFile::parse("c.yaml".into(), &text, &known()).unwrap();
        let schema =
            json!({ "properties": { "how": { "enum": ["fast", "slow"] }, "url": { "type": "string" } } });
        let components = BTreeMap::from([
            ("normalise".to_owned(), component("item-processor", json!({ "parameters": schema }))),
            ("notify".to_owned(), component("tasklet", json!({ "parameters": null }))),
        ]);
        let error = file.into_connector(&components).err();
        let told = error.iter().flat_map(|error| std::iter::once(error).chain(&error.others));
        assert_eq!(told.map(|error| error.message.clone()).collect::<Vec<_>>(), expected, "{options}");
    };
    let not = "the component `normalise` does not take these options: ";
    check("{ how: fast, url: \"${parameters.url}\" }", &[]);
    check("{ how: \"${parameters.url}\" }", &[]);
    let two = [
        format!("{not}/hwo: is not a known parameter; did you mean `how`?"),
        format!("{not}/url: 7 is not of type \"string\""),
    ];
    check("{ hwo: fast, url: 7 }", &[&two[0], &two[1]]);
}

#[test]
fn parameters_that_no_step_takes_are_known() {
    let unused = |reader: &str| {
        let text = format!(
            "connector: a\ncomponents: {{ normalise: n.wasm }}\njobs:\n  b:\n    type: x\n    parameters: \
             {{ properties: {{ used: {{}}, unused: {{}} }} }}\n    steps:\n      - {{ name: s, reader: {reader}, writer: {{ \
             csv: {{ to: \"${{parameters.used}}\" }} }} }}\n"
        );
        let file = ConnectorFile::parse("c.yaml".into(), &text, &known()).unwrap();
        let reader = BTreeMap::from([("normalise".to_owned(), component("item-reader", json!({})))]);
        let connector = file.into_connector(&reader).unwrap();
        connector.jobs[0].unused_parameters().join(" ")
    };
    assert_eq!(unused("{ csv: { from: i } }"), "unused");
    assert_eq!(unused("{ normalise: { from: i } }"), "unused");
    assert_eq!(unused("normalise"), "", "it is given all of them");
}

/// Only the options of a component may name a secret, and the secret must exist.
#[test]
fn a_secret_may_be_named_in_the_options_of_a_component_alone() {
    let with_options = |options: &str| format!("processor: {{ normalise: {options} }}");
    let check_options =
        |options: &str, expected: &str| check("processor: normalise", &with_options(options), expected);
    check_options("{ token: \"${secrets.crm_token}\" }", "accepted");
    check_options("{ headers: [ { authorization: \"Bearer ${secrets.crm_token}\" } ] }", "accepted");
    check_options(
        "{ headers: [ { authorization: \"Bearer ${secrets.crm_tokn}\" } ] }",
        "secret-unknown line 17, column 63: the policy has no secret `crm_tokn` | did you mean `crm_token`? \
         | AddSecret { secret: \"crm_tokn\" }",
    );
    check_options(
        "{ token: \"${secrets.shop}\" }",
        "secret-unknown line 17, column 42: the policy has no secret `shop` | AddSecret { \
         secret: \"shop\" }",
    );
    check_options(
        "{ token: \"${secrets}\" }",
        "bad-template line 17, column 42: `${secrets}` is not understood; a template is `${parameters.name}`, \
         `${secrets.name}` or `${steps.name.output}`",
    );
    let help = "only the options of a component may name a secret: `tasklet: { notify: { token: \"${secrets.NAME}\" } }`";
    for (part, replacement, place) in [
        (
            "delimiter: \"${parameters.delimiter}\"",
            "delimiter: \"${secrets.crm_token}\"",
            "line 18, column 66",
        ),
        ("POST ${parameters.url}", "POST https://${secrets.crm_token}", "line 23, column 18"),
        ("inbox: read /srv/in", "inbox: \"read /srv/${secrets.crm_token}\"", "line 24, column 27"),
        ("format: uri }", "default: \"x ${secrets.crm_token}\" }", "line 12, column 39"),
    ] {
        let message = "the secret `crm_token` cannot be named here";
        check(part, replacement, &format!("secret-misplaced {place}: {message} | {help}"));
    }
}

#[test]
fn malformed_yaml_is_placed() {
    let error = ConnectorFile::parse("c.yaml".into(), "connector: acme\njobs: [", &known()).unwrap_err();
    assert_eq!((error.code, error.line), ("connector-file-malformed", Some(2)), "{error}");
    let twice = "connector: a\nconnector: b\njobs: {}\n";
    let error = ConnectorFile::parse("c.yaml".into(), twice, &known()).unwrap_err();
    assert_eq!((error.code, error.line), ("connector-file-malformed", Some(2)), "{error}");
}

#[test]
fn a_job_needs_steps_and_a_connector_jobs() {
    let text = "connector: a\njobs:\n  b:\n    type: x\n    steps: []\n";
    let error = ConnectorFile::parse("c.yaml".into(), text, &known()).unwrap_err();
    assert_eq!(error.to_string(), "c.yaml, line 5, column 12: the job `b` has no steps");
    let error = ConnectorFile::parse("c.yaml".into(), "connector: a\njobs: {}\n", &known()).unwrap_err();
    assert_eq!(error.to_string(), "c.yaml, line 2, column 7: the connector has no jobs");
}
