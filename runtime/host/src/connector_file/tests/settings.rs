//! The settings of a step beside its elements: rows of keys, with their meaning or their error.

use serde_json::json;
use stepbox_batch::job::{Backoff, CheckpointInterval, ItemSettings, Rerun, RetryPolicy, SkipPolicy};
use stepbox_batch::pattern::Pattern;

use super::*;

/// A job with an item step and a tasklet step. The keys go below the first or the second step.
fn read(item_keys: &str, tasklet_keys: &str) -> Result<ConnectorFile, ConnectorFileError> {
    let indent = |keys: &str| keys.lines().map(|line| format!("        {line}\n")).collect::<String>();
    let text = format!(
        "connector: acme\ncomponents: {{ normalise: n.wasm }}\njobs:\n  a:\n    type: x\n    steps:\n\
         \u{20}     - name: move\n        reader: {{ csv: {{ from: i }} }}\n        processor: normalise\n        writer: {{ csv: {{ to: o }} }}\n{}\
         \u{20}     - name: wait\n        tasklet: pause\n{}",
        indent(item_keys),
        indent(tasklet_keys)
    );
    ConnectorFile::parse("c.yaml".into(), &text, &known())
}

fn steps(keys: &str, description: Value) -> Result<Vec<Step>, ConnectorFileError> {
    let known = component("item-processor", description);
    let connector = read(keys, "")?.into_connector(&BTreeMap::from([("normalise".to_owned(), known)]))?;
    Ok(connector.jobs.into_iter().next().unwrap().steps)
}

fn step(keys: &str) -> Step {
    steps(keys, json!({ "stateless": true })).unwrap().remove(0)
}

fn items(keys: &str) -> ItemSettings {
    match step(keys).kind {
        StepKind::Item { settings, .. } => *settings,
        StepKind::Tasklet { .. } => panic!("an item step"),
    }
}

fn patterns(texts: &[&str]) -> Option<Vec<Pattern>> {
    Some(texts.iter().copied().map(Pattern::new).collect())
}

#[test]
fn what_is_not_said_is_as_ever() {
    let step = step("");
    let as_ever = (RetryPolicy::default(), Rerun::UnlessCompleted, None, Default::default());
    assert_eq!((step.retry, step.rerun, step.start_limit, step.flow), as_ever);
    assert_eq!(items(""), ItemSettings::default());
}

#[test]
fn reads_how_items_move() {
    let found = items("workers: 64\nordered: false");
    assert_eq!(found, ItemSettings { workers: 64, ordered: false, ..ItemSettings::default() });
    assert!(items("workers: 2").ordered, "by default");

    let rows = [
        ("{ items: 100000 }", Some(100_000), 1000),
        ("{ seconds: 0.5 }", None, 500),
        ("{ items: 1, seconds: 3600 }", Some(1), 3_600_000),
        ("{ seconds: 0 }", None, 0),
    ];
    for (text, items_expected, ms) in rows {
        let found = items(&format!("checkpoint: {text}")).checkpoint;
        assert_eq!(found, CheckpointInterval { items: items_expected, ms }, "{text}");
    }

    let rows = [
        ("{ limit: 100 }", Some(100), None),
        ("{ limit: 0 }", Some(0), None),
        ("{ on: [\"bad-*\", ragged-row] }", None, patterns(&["bad-*", "ragged-row"])),
        ("{ limit: 1, on: [\"*\"] }", Some(1), patterns(&["*"])),
    ];
    for (text, limit, on) in rows {
        assert_eq!(items(&format!("skip: {text}")).skip, SkipPolicy { limit, share: None, on }, "{text}");
    }
    for share in ["5%", "0.25%", "100%"] {
        let found = items(&format!("skip: {{ limit: 7, share: {share} }}")).skip;
        assert_eq!(found, SkipPolicy { limit: Some(7), share: share.parse().ok(), on: None });
    }
}

#[test]
fn reads_what_is_tried_again() {
    let rows = [
        ("{ limit: 3 }", None, 1000, 60_000),
        ("{ limit: 3, on: [notification-refused] }", patterns(&["notification-refused"]), 1000, 60_000),
        ("{ limit: 3, backoff: { seconds: 0, seconds_max: 0.5 } }", None, 0, 500),
        ("{ limit: 3, backoff: { seconds: 120 } }", None, 120_000, 120_000),
        ("{ limit: 3, backoff: { seconds_max: 0.5 } }", None, 500, 500),
    ];
    for (text, on, ms, ms_max) in rows {
        let expected = RetryPolicy { limit: 3, on, backoff: Backoff { ms, ms_max } };
        assert_eq!(step(&format!("retry: {text}")).retry, expected, "{text}");
    }
    read("", "retry: { limit: 3 }\nrerun: always\nstart_limit: 2\nalways: true").unwrap();
}

#[test]
fn reads_what_a_restart_does() {
    let step = step("rerun: always\nstart_limit: 3");
    assert_eq!((step.rerun, step.start_limit), (Rerun::Always, Some(3)));
    assert_eq!(self::step("rerun: unless_completed").rerun, Rerun::UnlessCompleted);
}

/// The code, the place relative to the keys' first line and column, the message and the help.
fn told(error: &ConnectorFileError) -> String {
    let (line, column) = (error.line.unwrap_or_default(), error.column.unwrap_or_default());
    format!("{} {line}:{column} {} | {}", error.code, error.message, error.help)
}

fn refuses(keys: &str, expected: &str) {
    let error = read(keys, "").map(|_| ()).unwrap_err();
    assert_eq!(told(&error), expected, "{keys}");
}

#[test]
fn every_wrong_setting_has_a_place_and_a_next_action() {
    refuses(
        "workers: 0",
        "bad-setting 11:18 `workers` is 1 to 64 | more than the machine has cores gain nothing",
    );
    refuses(
        "chunk: 5\nworkers: 65",
        "bad-setting 12:18 `workers` is 1 to 64 | more than the machine has cores gain nothing",
    );
    refuses(
        "chunk: { seconds: 0 }",
        "bad-setting 11:27 `seconds` is more than 0 | `rows: 1` makes a chunk of each item",
    );
    refuses(
        "ordered: true",
        "setting-without-effect 11:18 `ordered` has no effect with one worker \
         | leave it out, or set `workers` to 2 or more",
    );
    refuses(
        "checkpoint: {}",
        "setting-without-effect 11:21 `checkpoint` says nothing \
         | give it `items`, `seconds` or both, or leave it out",
    );
    refuses(
        "checkpoint: { items: 0 }",
        "bad-setting 11:30 `items` is at least 1 | `seconds: 0` makes a checkpoint after every chunk",
    );
    for seconds in ["3600.1", "-1", ".nan", ".inf"] {
        refuses(
            &format!("checkpoint: {{ seconds: {seconds} }}"),
            "bad-setting 11:32 `seconds` is 0 to 3,600 | write a number of seconds, such as `0.5`",
        );
    }
    refuses(
        "checkpoint: { rows: 1 }",
        "connector-file-malformed 11:23 the key `rows` is not known here | known are `items`, `seconds`",
    );
    refuses(
        "skip: {}",
        "setting-without-effect 11:15 `skip` says nothing | give it `limit`, `share` or `on`, or leave it out",
    );
    for share in ["5", "101%", "a"] {
        refuses(
            &format!("skip: {{ share: \"{share}\" }}"),
            &format!(
                "bad-setting 11:24 `{share}` is no share from 0% to 100% \
                 | write the share of items that may be skipped: `share: 5%`; `100%` allows all"
            ),
        );
    }
    refuses(
        "skip: { on: [] }",
        "bad-setting 11:21 `on` names no code \
         | name codes or patterns; `limit: 0` allows no item to be set aside",
    );
    refuses(
        "skip: { on: [bad-date, Bad date] }",
        "bad-pattern 11:32 `Bad date` is no code: 1 to 100 lower-case letters, digits, `-`, `*` and `?` \
         | write a code such as `bad-date`, or a pattern such as `bad-*`",
    );
    refuses(
        "retry: {}",
        "bad-setting 11:16 `retry` has no `limit` | say how many retries the step has in all: `limit: 3`",
    );
    refuses(
        "retry: { limit: 0 }",
        "bad-setting 11:25 `limit` is at least 1 | leave `retry` out to try nothing again",
    );
    refuses(
        "retry: { limit: 1, on: [] }",
        "bad-setting 11:32 `on` names no code | name codes or patterns, or leave `on` out",
    );
    refuses(
        "retry: { limit: 1, on: [\"\"] }",
        "bad-pattern 11:33 `` is no code: 1 to 100 lower-case letters, digits, `-`, `*` and `?` \
         | write a code such as `bad-date`, or a pattern such as `bad-*`",
    );
    refuses(
        "retry: { limit: 1, backoff: {} }",
        "setting-without-effect 11:37 `backoff` says nothing \
         | give it `seconds`, `seconds_max` or both, or leave it out",
    );
    refuses(
        "retry: { limit: 1, backoff: { seconds: 5, seconds_max: 1 } }",
        "bad-setting 11:64 `seconds_max` is less than `seconds` \
         | `seconds` is the first wait; each retry in a row doubles it up to `seconds_max`",
    );
    refuses("start_limit: 0", "bad-setting 11:22 `start_limit` is at least 1 | leave it out to set no limit");
}

#[test]
fn a_tasklet_has_no_items_to_move() {
    for key in ["chunk: 5", "workers: 2", "checkpoint: { items: 1 }", "skip: { limit: 1 }"] {
        let error = read("", key).map(|_| ()).unwrap_err();
        let name = key.split(':').next().unwrap();
        let expected = format!(
            "step-incomplete 11:9 the step `wait` has a `tasklet` beside `{name}` \
             | an item step has `reader` and `writer`, a tasklet step has `tasklet`"
        );
        assert_eq!(told(&error), expected);
    }
}

#[test]
fn workers_need_a_processor_that_says_it_is_stateless() {
    for description in [json!({ "stateless": false }), json!({})] {
        assert!(steps("workers: 1", description.clone()).is_ok());
        let error = steps("partitions: 3", description.clone()).unwrap_err();
        assert!(
            told(&error).contains("so it cannot run in 3 parts | leave `partitions` out"),
            "{}",
            told(&error)
        );
        let error = steps("workers: 2", description).unwrap_err();
        assert_eq!(
            told(&error),
            "workers-need-stateless 9:20 the processor `normalise` does not say that it is stateless, so it \
             cannot have 2 workers | leave `workers` out, or say `stateless` in its `describe` if each call \
             depends on its own rows alone"
        );
    }
}
