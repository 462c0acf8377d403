//! Outputs of earlier steps: which outputs a step may name.

use super::*;

/// A job of steps, with one line for each: `name: keys` is a step that writes a file. A line that begins with
/// `-` or a blank is YAML. The last step reads the output that the template names.
fn read(lines: &[&str], template: &str, keys: &str) -> Result<(), ConnectorFileError> {
    let step = |line: &&str| match line.split_once(' ') {
        _ if line.starts_with([' ', '-']) => format!("      {line}\n"),
        Some((name, keys)) => format!("      - {{ name: {name}, {MOVES}, {keys} }}\n"),
        None => format!("      - {{ name: {line}, {MOVES} }}\n"),
    };
    let steps: String = lines.iter().map(step).collect();
    let last =
        format!("{{ name: last, reader: {{ csv: {{ from: \"{template}\" }} }}, writer: {TO} {keys} }}");
    let text = format!("connector: acme\njobs:\n  a:\n    type: x\n    steps:\n{steps}      - {last}\n");
    let mut known = known();
    known.native[1].2 = Some(&["to", "lines_per_file"]);
    ConnectorFile::parse("c.yaml".into(), &text, &known).map(drop)
}

const TO: &str = "{ csv: { to: o.csv } }";
const MOVES: &str = "reader: { csv: { from: i.csv } }, writer: { csv: { to: o.csv } }";
const A: &str = "${steps.a.output}";

fn accepts(lines: &[&str], template: &str, keys: &str) {
    assert_eq!(
        read(lines, template, keys).map_err(|error| error.to_string()),
        Ok(()),
        "{lines:?} {template}"
    );
}

fn refuses(lines: &[&str], template: &str, keys: &str, expected: &str) {
    let error = read(lines, template, keys).unwrap_err();
    assert_eq!(
        format!("{} {} | {}", error.code, error.message, error.help),
        expected,
        "{lines:?} {template}"
    );
}

/// A split of two branches with one step each, `a` and `b`.
fn split(of_a: &str) -> [String; 4] {
    [
        "- split: both".to_owned(),
        "  branches:".to_owned(),
        format!("    - [ {{ name: a, {MOVES}{of_a} }} ]"),
        format!("    - [ {{ name: b, {MOVES} }} ]"),
    ]
}

#[test]
fn a_step_that_has_completed_on_every_way_is_named() {
    accepts(&["a"], A, "");
    accepts(&["a", "b"], A, "");
    accepts(&["a on: { FAILED: b, \"*\": last }", "b on: { \"*\": end }"], A, "");
    accepts(&["a on: { COMPLETED: last, \"*\": b }", "b on: { \"*\": fail }"], A, "");
    accepts(&["a on: { FAILED: stop, \"*\": next }"], A, "");
    accepts(&["a", "b on: { \"*\": next }"], A, "");
    accepts(
        &["- { name: t, tasklet: pause, on: { \"P*\": c } }", "a on: {\"*\": fail}", "c"],
        "${steps.c.output}",
        "",
    );
    accepts(&split("").each_ref().map(String::as_str), A, "");
    // If the step may not have completed, the template has a default.
    accepts(&["a on: { FAILED: next }"], "${steps.a.output:-other.csv}", "");
    accepts(&["a"], "${steps.a.output:-other.csv}", ", always: true");
    accepts(&["a on: { FAILED: next }"], "${steps.a.folder:-.}", "");
}

#[test]
fn a_step_that_may_not_have_completed_is_refused() {
    let way = "bad-template a way leads here on which the step `a` has not completed | write what stands for it then: \
               `${steps.a.output:-default}`";
    refuses(&["a on: { FAILED: next }"], A, "", way);
    refuses(&["a on: { \"*\": next }"], A, "", way);
    refuses(&["a on: { FAILED: b }", "b"], A, "", way);
    refuses(&["- { name: t, tasklet: pause, on: { \"P*\": last } }", "a"], A, "", way);
    refuses(&split(", on: { FAILED: end }").each_ref().map(String::as_str), A, "", way);
    let always = "bad-template an `always` step runs also if the step `a` has not completed | write what stands for it \
                  then: `${steps.a.output:-default}`";
    refuses(&["a"], A, ", always: true", always);
    refuses(&["a"], A, ", always: unless_stopped", always);
}

#[test]
fn a_step_that_has_no_output_is_refused() {
    refuses(
        &["import"],
        "${steps.imprt.output}",
        "",
        "bad-template the job has no step `imprt` | did you mean `import`?",
    );
    let itself =
        "bad-template the step `last` does not run before this one | name the output of a step above";
    refuses(&["a"], "${steps.last.output}", "", itself);
    let beside = format!("{{ name: b, reader: {{ csv: {{ from: \"{A}\" }} }}, writer: {TO} }}");
    let lines = split("").map(|line| line.replace(&format!("{{ name: b, {MOVES} }}"), &beside));
    let expected = "bad-template the step `a` runs beside this one | put this step below the split";
    refuses(&lines.each_ref().map(String::as_str), "i.csv", "", expected);
    let tasklet = "bad-template the step `a` is a tasklet, of which no output is known | name a step with one of the \
                   writers `csv` and `jsonl`";
    refuses(&["- { name: a, tasklet: pause }"], A, "", tasklet);
    let series =
        "- { name: a, reader: { csv: { from: i.csv } }, writer: { csv: { to: o.csv, lines_per_file: 10 } } }";
    let several = "bad-template the step `a` may write several files (`lines_per_file`) | leave out `lines_per_file`, \
                   or grant a component the folder of the files";
    refuses(&[series], A, "", several);
    accepts(&[series], "${steps.a.folder}", "");
    let other = "bad-template `${steps.a.status}` is not understood; a template is `${parameters.name}`, \
                 `${secrets.name}` or `${steps.name.output}` | ";
    refuses(&["a"], "${steps.a.status}", "", other);
}
