//! Outputs of earlier steps, in options and grants: `${steps.export.output}`. On every path to the step that
//! names an output, the other step must already have completed. Otherwise the template needs a default.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;
use stepbox_batch::element::Role;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::job::{Always, Branch, Target};
use stepbox_batch::nearest::nearest;
use stepbox_batch::template::{self, OutputName};

use super::super::{Mistake, Mistakes, part};
use super::{CheckedElement, CheckedStep, CheckedStepKind, Known};

/// Positions of steps.
type Steps = BTreeSet<usize>;

pub(super) fn check(steps: &[CheckedStep], known: &Known) -> Result<(), Mistakes> {
    let before = completed_before(steps);
    let wrong = steps.iter().enumerate().flat_map(|(index, step)| {
        let names = names(step).into_iter();
        let check = |(pointer, name): (String, OutputName)| {
            check_name(steps, known, (index, &before[index]), &pointer, &name)
        };
        names.map(check).map(|checked| checked.map_err(Mistakes::from)).collect::<Vec<_>>()
    });
    Mistakes::none_in(wrong).map(drop)
}

/// All outputs that a step names, with their places.
fn names(step: &CheckedStep) -> Vec<(String, OutputName)> {
    let mut found = Vec::new();
    for element in elements(step) {
        if let Some(options) = &element.options {
            collect(&format!("{}/{}", element.pointer, part(&element.name)), options, &mut found);
        }
    }
    for (name, grant) in &step.grants.files {
        collect(&format!("{}/grants/files/{}", step.pointer, part(name)), &Value::from(&**grant), &mut found);
    }
    found
}

fn elements(step: &CheckedStep) -> Vec<&CheckedElement> {
    match &step.kind {
        CheckedStepKind::Item { reader, processors, writer, .. } => {
            [reader].into_iter().chain(processors).chain([writer]).collect()
        }
        CheckedStepKind::Tasklet { tasklet } => vec![tasklet],
    }
}

fn collect(pointer: &str, value: &Value, found: &mut Vec<(String, OutputName)>) {
    match value {
        Value::String(_) => {
            let names = template::names(value).unwrap_or_default().outputs;
            found.extend(names.into_iter().map(|name| (pointer.to_owned(), name)));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| collect(&format!("{pointer}/{index}"), item, found));
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(key, item)| collect(&format!("{pointer}/{}", part(key)), item, found));
        }
        _ => {}
    }
}

fn check_name(
    steps: &[CheckedStep],
    known: &Known,
    (index, before): (usize, &Steps),
    pointer: &str,
    name: &OutputName,
) -> Result<(), Mistake> {
    let bad = |message: String| Mistake::new("bad-template", pointer, message);
    let Some(other) = steps.iter().position(|other| other.name.as_str() == name.step) else {
        let above = steps[..index].iter().map(|step| step.name.as_str());
        let help = nearest(&name.step, above).map(|nearest| format!("did you mean `{nearest}`?"));
        return Err(bad(format!("the job has no step `{}`", name.step)).help(help.unwrap_or_default()));
    };
    let step = &steps[other];
    check_writer(step, known, name).map_err(|(message, help)| bad(message).help(help))?;
    if other >= index {
        return Err(bad(format!("the step `{}` does not run before this one", step.name))
            .help("name the output of a step above"));
    }
    if are_beside(step, &steps[index]) {
        return Err(bad(format!("the step `{}` runs beside this one", step.name))
            .help("put this step below the split"));
    }
    if before.contains(&other) || name.has_default {
        return Ok(());
    }
    let default = format!("`${{steps.{}.{}:-default}}`", name.step, name.property);
    let message = match steps[index].flow.always {
        Always::No => format!("a way leads here on which the step `{}` has not completed", step.name),
        _ => format!("an `always` step runs also if the step `{}` has not completed", step.name),
    };
    Err(bad(message).help(format!("write what stands for it then: {default}")))
}

/// Whether the step has an output that can be named. The error says what prevents it and how to correct it.
fn check_writer(step: &CheckedStep, known: &Known, name: &OutputName) -> Result<(), (String, String)> {
    let help = || "name a step with one of the writers `csv` and `jsonl`".to_owned();
    let CheckedStepKind::Item { writer, .. } = &step.kind else {
        return Err((format!("the step `{}` is a tasklet, of which no output is known", step.name), help()));
    };
    let mut natives = known.native.iter();
    let native = natives.find(|(role, known, _)| *role == Role::Writer && *known == writer.name);
    let writes_files = native.is_some_and(|(_, _, options)| options.is_some_and(|all| all.contains(&"to")));
    if writer.is_component || !writes_files {
        let message = format!(
            "the writer `{}` of the step `{}` does not say what it has written",
            writer.name, step.name
        );
        return Err((message, help()));
    }
    let lines = writer.options.as_ref().and_then(|options| options.get("lines_per_file"));
    // The value of a parameter is known only in a run.
    if name.property == "output" && lines.is_some_and(Value::is_number) {
        let message = format!("the step `{}` may write several files (`lines_per_file`)", step.name);
        return Err((
            message,
            "leave out `lines_per_file`, or grant a component the folder of the files".to_owned(),
        ));
    }
    Ok(())
}

fn are_beside(one: &CheckedStep, other: &CheckedStep) -> bool {
    match (&one.flow.branch, &other.flow.branch) {
        (Some(one), Some(other)) => one.split == other.split && one.number != other.number,
        _ => false,
    }
}

/// For each step, the steps that have certainly completed when it begins.
fn completed_before(steps: &[CheckedStep]) -> Vec<Steps> {
    let mut ways = Ways { steps, before: vec![None; steps.len()] };
    ways.follow(0..steps.len(), Steps::new());
    // A step that always runs may begin after any other step, so nothing is certain.
    let always = |index: usize| steps[index].flow.always != Always::No;
    let before = ways.before.into_iter().enumerate();
    before.map(|(index, found)| found.filter(|_| !always(index)).unwrap_or_default()).collect()
}

/// All paths through a job, step by step. Every path leads down the file.
struct Ways<'a> {
    steps: &'a [CheckedStep],
    /// `None` for a step that no path leads to.
    before: Vec<Option<Steps>>,
}

impl Ways<'_> {
    /// Follows all paths through a range that is entered at its beginning. Returns the steps that have
    /// completed at the end of the range on every path that leads there without a failure; `None` if there is
    /// no such path.
    fn follow(&mut self, range: Range<usize>, completed: Steps) -> Option<Steps> {
        let mut end = None;
        let mut at = range.start;
        self.lead(at, &range, &completed, &mut end);
        while at < range.end {
            let is_whole_job = range == (0..self.steps.len());
            let Some(before) = self.before[at].clone() else {
                at += 1;
                continue;
            };
            match self.steps[at].flow.branch.clone().filter(|_| is_whole_job) {
                Some(branch) => {
                    let (after, next) = self.split(at, &branch, &before);
                    if let Some(after) = after {
                        self.lead(next, &range, &after, &mut end);
                    }
                    at = next;
                }
                None => {
                    self.step(at, &range, &before, &mut end);
                    at += 1;
                }
            }
        }
        end
    }

    /// Follows the branches of a split, which runs as a whole. Returns the steps that have completed after
    /// it, and the position after it.
    fn split(&mut self, first: usize, of: &Branch, before: &Steps) -> (Option<Steps>, usize) {
        let number = |index: usize| {
            let branch = self.steps.get(index)?.flow.branch.as_ref();
            branch.filter(|branch| branch.split == of.split).map(|branch| branch.number)
        };
        let end = (first..).find(|&index| number(index).is_none()).unwrap_or(first);
        let mut begins: Vec<_> =
            (first..end).filter(|&at| at == first || number(at) != number(at - 1)).collect();
        begins.push(end);
        let mut after = Some(before.clone());
        for branch in begins.windows(2) {
            let completed = self.follow(branch[0]..branch[1], before.clone());
            after = after.zip(completed).map(|(after, completed)| &after | &completed);
        }
        (after, end)
    }

    /// Follows the transitions of a step.
    fn step(&mut self, at: usize, range: &Range<usize>, before: &Steps, end: &mut Option<Steps>) {
        let completed: Steps = before | &Steps::from([at]);
        let step = &self.steps[at];
        let of_step = |code: &str| target(step, code);
        let ways: Vec<(Target, &Steps)> = match &step.kind {
            CheckedStepKind::Item { .. } => {
                let well = of_step(ExitStatus::COMPLETED).unwrap_or(Target::Next);
                // A restart runs failed steps again, even after a stop. So a stop does not lead to the next
                // step.
                let badly = of_step(ExitStatus::FAILED).filter(|to| *to != Target::Stop);
                [Some((well, &completed)), badly.map(|to| (to, before))].into_iter().flatten().collect()
            }
            // A tasklet has its own exit statuses, and no output.
            CheckedStepKind::Tasklet { .. } => {
                let own = step.flow.on.iter().map(|transition| transition.to.clone());
                own.chain([Target::Next]).map(|to| (to, before)).collect()
            }
        };
        for (to, completed) in ways {
            match to {
                Target::Next | Target::Stop => self.lead(at + 1, range, completed, end),
                Target::End => self.lead(range.end, range, completed, end),
                Target::Step(name) => {
                    if let Some(index) = self.steps.iter().position(|step| step.name == name) {
                        self.lead(index, range, completed, end);
                    }
                }
                Target::Fail => {}
            }
        }
    }

    /// Adds a path that leads to a position.
    fn lead(&mut self, to: usize, range: &Range<usize>, completed: &Steps, end: &mut Option<Steps>) {
        let place = if to < range.end { &mut self.before[to] } else { end };
        *place = Some(match place.take() {
            Some(other) => &other & completed,
            None => completed.clone(),
        });
    }
}

/// The target of an exit code. The exact code has priority over patterns.
fn target(step: &CheckedStep, code: &str) -> Option<Target> {
    let on = &step.flow.on;
    let exact = on.iter().find(|transition| transition.exit.is_exact() && transition.exit.as_str() == code);
    exact
        .or_else(|| on.iter().find(|transition| transition.exit.fits(code)))
        .map(|transition| transition.to.clone())
}
