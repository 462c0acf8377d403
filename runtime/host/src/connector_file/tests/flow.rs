//! The paths through a job: rows of steps, with their meaning or their error.

use stepbox_batch::job::{Always, Branch, Target};

use super::*;

/// A job of tasklet steps, with one line for each: `name: keys`, or a line of YAML that is put below `steps`
/// unchanged.
fn read(lines: &[&str]) -> Result<Vec<Step>, ConnectorFileError> {
    let step = |line: &&str| match line.split_once(' ') {
        Some((name, keys)) if !line.starts_with([' ', '-']) => {
            format!("      - {{ name: {name}, tasklet: pause, {keys} }}\n")
        }
        None => format!("      - {{ name: {line}, tasklet: pause }}\n"),
        _ => format!("      {line}\n"),
    };
    let steps: String = lines.iter().map(step).collect();
    let text = format!("connector: acme\njobs:\n  a:\n    type: x\n    steps:\n{steps}");
    let connector =
        ConnectorFile::parse("c.yaml".into(), &text, &known())?.into_connector(&BTreeMap::new())?;
    Ok(connector.jobs.into_iter().next().unwrap().steps)
}

fn refuses(lines: &[&str], expected: &str) {
    let error = read(lines).map(|_| ()).unwrap_err();
    let (line, column) = (error.line.unwrap_or_default(), error.column.unwrap_or_default());
    let found = format!("{} {line}:{column} {} | {}", error.code, error.message, error.help);
    assert_eq!(found, expected, "{lines:?}");
}

/// Two branches: the first with the given steps, the second with one step, `c`.
fn split(first: &str) -> [String; 4] {
    let (split, branches) = ("- split: both".to_owned(), "  branches:".to_owned());
    [split, branches, format!("    - [ {first} ]"), "    - [ { name: c, tasklet: pause } ]".to_owned()]
}

fn with_split(above: &[&str], first: &str, below: &[&str]) -> Vec<String> {
    let above = above.iter().map(|line| (*line).to_owned());
    above.chain(split(first)).chain(below.iter().map(|line| (*line).to_owned())).collect()
}

fn read_all(lines: &[String]) -> Result<Vec<Step>, ConnectorFileError> {
    read(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refuses_all(lines: &[String], expected: &str) {
    refuses(&lines.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

const A: &str = "{ name: a, tasklet: pause }";
const B: &str = "{ name: b, tasklet: pause }";

#[test]
fn keeps_the_order_in_which_transitions_are_written() {
    let steps =
        read(&["a on: { \"PART*\": end, COMPLETED: next, FAILED: c, \"*\": fail }", "b", "c always: true"])
            .unwrap();
    let c = Target::Step(steps[2].name.clone());
    let found: Vec<_> = steps[0].flow.on.iter().map(|on| (on.exit.as_str(), on.to.clone())).collect();
    let expected = [("PART*", Target::End), ("COMPLETED", Target::Next), ("FAILED", c), ("*", Target::Fail)];
    assert_eq!(found, expected);
    assert_eq!(
        steps.iter().map(|step| step.flow.always).collect::<Vec<_>>(),
        [Always::No, Always::No, Always::Yes]
    );
    assert!(steps.iter().all(|step| step.flow.branch.is_none()));
}

#[test]
fn accepts_every_way_down() {
    let rows: &[&[&str]] = &[
        &["a", "b", "c"],
        &["a on: { FAILED: c, \"*\": next }", "b", "c"],
        &["a on: { \"*\": c }", "b always: true", "c"],
        &["a on: { COMPLETED: end, FAILED: fail }", "b"], // a step may have other exit statuses
        &["a on: { \"?*\": end }", "b"],
        &["a on: { \"A*\": end, \"AB\": fail, \"*\": next }", "b"], // an exact code has priority
        &["a on: { \"A?\": end, \"A*\": fail }", "b"],
        &["a on: { FAILED: next }"],
    ];
    for lines in rows {
        assert_eq!(read(lines).map(|steps| steps.len()).map_err(|error| error.to_string()), Ok(lines.len()));
    }
}

#[test]
fn every_wrong_way_has_a_place_and_a_next_action() {
    refuses(
        &["import", "notify on: { FAILED: recovr }", "recover"],
        "unknown-step 7:55 the job has no step `recovr` | did you mean `recover`?",
    );
    refuses(
        &["a on: { FAILED: cleanup }", "b"],
        "unknown-step 6:50 the job has no step `cleanup` \
         | name a step further down, or write `next`, `end`, `fail` or `stop`",
    );
    refuses(
        &["a on: { FAILED: \"a b\" }"],
        "bad-name 6:50 the step name `a b` holds the character ` `; allowed are letters, digits, `_` and `-` | ",
    );
    let help = "lead to a step further down, which rules circles out; `retry` tries a step again";
    refuses(&["a on: { FAILED: a }"], &format!("flow-cycle 6:50 the step `a` leads to itself | {help}"));
    refuses(
        &["a", "b", "c on: { FAILED: a }"],
        &format!("flow-cycle 8:50 the step `c` leads back to `a` | {help}"),
    );
    refuses(
        &["a on: { \"*\": c }", "b", "c"],
        "unreachable-step 7:17 no path leads to the step `b` \
         | let a step above lead to it, or give it `always: true`",
    );
    refuses(
        &["a on: { FAILED: end, \"*\": fail }", "b"],
        "unreachable-step 7:17 no path leads to the step `b` \
         | let a step above lead to it, or give it `always: true`",
    );
    refuses(
        &["a on: { \"*\": end, \"PART*\": fail }", "b always: true"],
        "bad-flow 6:61 `PART*` never applies, since `*` above fits all that it fits \
         | put it above, or leave it out",
    );
    refuses(
        &["a on: {}"],
        "setting-without-effect 6:40 `on` says nothing \
         | say what follows, such as `FAILED: end`, or leave it out",
    );
    refuses(
        &["a on: { \"\": end }"],
        "bad-pattern 6:46 an exit status or a pattern has 1 to 100 characters \
         | write an exit status such as `FAILED`, or a pattern such as `\"PART*\"`",
    );
    refuses(
        &["a", "next"],
        "bad-name 7:17 `next` says where a job goes on, and names no step | give it another name",
    );
    refuses(
        &["- { tasklet: pause }"],
        "step-incomplete 6:9 a step has no `name` | give each step of a job its own name",
    );
}

/// YAML itself refuses a key that occurs twice.
#[test]
fn an_exit_status_has_one_transition() {
    let error = read(&["a on: { FAILED: end, FAILED: fail }"]).unwrap_err();
    assert_eq!(error.code, "connector-file-malformed");
    assert!(error.message.contains("FAILED"), "{error}");
}

#[test]
fn tells_the_steps_of_a_split_one_after_the_other() {
    let first = format!("{{ name: a, tasklet: pause, on: {{ FAILED: end, NOOP: b }} }}, {B}");
    let steps = read_all(&with_split(&["before"], &first, &["after"])).unwrap();
    let found: Vec<_> = steps
        .iter()
        .map(|step| match &step.flow.branch {
            Some(Branch { split, number }) => format!("{} {split} {number}", step.name),
            None => step.name.to_string(),
        })
        .collect();
    assert_eq!(found, ["before", "a both 0", "b both 0", "c both 1", "after"]);
}

#[test]
fn a_split_may_come_first_and_ends_where_its_branches_end() {
    let ended = "{ name: a, tasklet: pause, on: { \"*\": end } }";
    assert!(read_all(&with_split(&[], A, &["after"])).is_ok());
    assert!(read_all(&with_split(&[], ended, &["after"])).is_ok());
    refuses_all(
        &with_split(&["before on: { \"*\": end }"], A, &[]),
        "unreachable-step 9:23 no path leads to the step `a` \
         | let a step above lead to it, or give it `always: true`",
    );
    refuses_all(
        &with_split(&[], &format!("{ended}, {B}"), &[]),
        "unreachable-step 8:70 no path leads to the step `b` \
         | let a step above lead to it, or give it `always: true`",
    );
}

#[test]
fn no_way_leads_into_a_split_or_out_of_a_branch() {
    let into = "a split is entered as a whole, by `next` of the step above it";
    let out = "end the branch with `end` or `fail`; what follows the split stands below it";
    let to = |name: &str| format!("{{ name: a, tasklet: pause, on: {{ FAILED: {name} }} }}");
    refuses_all(
        &with_split(&["before on: { FAILED: c }"], A, &[]),
        &format!("bad-flow 6:55 the step `c` stands inside the split `both` | {into}"),
    );
    refuses_all(
        &with_split(&["before on: { FAILED: both }"], A, &[]),
        "bad-flow 6:55 `both` is a split | a split is entered by `next` of the step above it",
    );
    refuses_all(
        &with_split(&[], &to("c"), &[]),
        &format!("bad-flow 8:56 the step `c` stands inside the split `both` | {into}"),
    );
    refuses_all(
        &with_split(&[], &to("after"), &["after"]),
        &format!("bad-flow 8:56 the step `after` stands outside of this branch | {out}"),
    );
    refuses_all(
        &with_split(&[], "{ name: a, tasklet: pause, always: true }", &[]),
        "bad-flow 8:50 the step `a` is `always` inside the split `both` \
         | a branch ends with the first step that fails; put the step below the split",
    );
}

#[test]
fn a_split_is_a_name_and_branches() {
    refuses(
        &["- split: both", "  branches:", &format!("    - [ {A} ]")],
        "bad-split 8:11 the split `both` has fewer than two branches \
         | give it a branch for each list of steps that runs beside the others",
    );
    refuses_all(
        &with_split(&[], "", &[]),
        "bad-split 8:13 a branch of the split `both` has no steps | give it at least one step",
    );
    refuses_all(
        &with_split(&[], "{ split: inner, branches: [] }", &[]),
        "bad-split 8:15 a split stands inside the split `both` \
         | splits do not nest: give the outer one more branches, or put one below the other",
    );
    for half in ["- { split: both }", "- { branches: [] }"] {
        refuses(
            &[half],
            "bad-split 6:9 a split has both `split`, its name, and `branches` \
             | write `split: both`, and below it `branches` with a list of steps for each",
        );
    }
    refuses(
        &["- { split: both, branches: [], always: true }"],
        "bad-split 6:46 a split has no `always` \
         | a split is a name and `branches`; `always` belongs to a step of a branch",
    );
    let taken = "the job `a` has two steps called `both` | give each step of a job its own name";
    refuses_all(&with_split(&["both"], A, &[]), &format!("step-name-taken 7:16 {taken}"));
    refuses_all(
        &with_split(&[], "{ name: both, tasklet: pause }", &[]),
        &format!("step-name-taken 8:23 {taken}"),
    );
    refuses_all(
        &with_split(&[], "{ name: c, tasklet: pause }", &[]),
        "step-name-taken 9:23 the job `a` has two steps called `c` | give each step of a job its own name",
    );
}
