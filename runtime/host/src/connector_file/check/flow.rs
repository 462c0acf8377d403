//! Where a job continues after each step. It only ever continues further down the file, so every job reaches
//! its end.

use stepbox_batch::job::{Always, Branch, Target, Transition};
use stepbox_batch::name::StepName;
use stepbox_batch::nearest::nearest;
use stepbox_batch::pattern::Pattern;

use super::super::{Mistake, part, shape};
use super::settings::{PATTERN_CHARACTERS_MAX, says_nothing};
use super::{CheckedStep, named};

/// These words may follow beside a step, so no step may have such a name.
pub(super) const RESERVED: [&str; 4] = ["next", "end", "fail", "stop"];

/// What follows each exit status, in the order of the file.
pub(super) fn transitions(
    step: &str,
    on: Option<&shape::Ordered<String>>,
) -> Result<Vec<Transition>, Mistake> {
    let Some(shape::Ordered(entries)) = on else { return Ok(Vec::new()) };
    if entries.is_empty() {
        return Err(says_nothing(&format!("{step}/on"), "on", "say what follows, such as `FAILED: end`"));
    }
    let mut transitions: Vec<Transition> = Vec::new();
    for (exit, to) in entries {
        let pointer = pointer(step, exit);
        if !(1..=PATTERN_CHARACTERS_MAX).contains(&exit.chars().count()) {
            let message = format!("an exit status or a pattern has 1 to {PATTERN_CHARACTERS_MAX} characters");
            return Err(Mistake::new("bad-pattern", pointer, message)
                .help("write an exit status such as `FAILED`, or a pattern such as `\"PART*\"`"));
        }
        let transition = Transition { exit: Pattern::new(exit), to: target(&pointer, to)? };
        refuse_covered(&pointer, &transitions, &transition)?;
        transitions.push(transition);
    }
    Ok(transitions)
}

fn target(pointer: &str, text: &str) -> Result<Target, Mistake> {
    Ok(match text {
        "next" => Target::Next,
        "end" => Target::End,
        "fail" => Target::Fail,
        "stop" => Target::Stop,
        name => Target::Step(named(pointer, StepName::new(name))?),
    })
}

/// Refuses a pattern that never applies. Exact codes have priority; of the patterns, the first that fits is
/// used.
fn refuse_covered(pointer: &str, above: &[Transition], transition: &Transition) -> Result<(), Mistake> {
    let exit = &transition.exit;
    match above.iter().find(|earlier| covers(&earlier.exit, exit)) {
        None => Ok(()),
        Some(earlier) => {
            let message =
                format!("`{exit}` never applies, since `{}` above fits all that it fits", earlier.exit);
            Err(Mistake::new("bad-flow", pointer, message).help("put it above, or leave it out"))
        }
    }
}

/// Whether `later` is never reached because of `earlier`. A pattern without `?` that fits the text of another
/// pattern fits everything that the other pattern fits, because its `*` also match the other's wildcards.
fn covers(earlier: &Pattern, later: &Pattern) -> bool {
    let is_beaten = !later.is_exact() && !earlier.as_str().contains('?') && earlier.fits(later.as_str());
    earlier == later || is_beaten
}

/// Whether a pattern fits every code.
fn fits_all(pattern: &Pattern) -> bool {
    pattern.as_str().chars().all(|c| c == '*')
}

/// Checks the paths through a job.
pub(super) fn check(steps: &[CheckedStep]) -> Result<(), Mistake> {
    let mut is_reached = vec![false; steps.len()];
    entry(steps, 0).into_iter().for_each(|first| is_reached[first] = true);
    for (index, step) in steps.iter().enumerate() {
        refuse_always_in_split(step)?;
        let targets = targets(steps, index)?;
        if !is_reached[index] && step.flow.always == Always::No {
            let message = format!("no path leads to the step `{}`", step.name);
            return Err(Mistake::new("unreachable-step", format!("{}/name", step.pointer), message)
                .help("let a step above lead to it, or give it `always: true`"));
        }
        targets.into_iter().chain(followers(steps, index)).for_each(|next| is_reached[next] = true);
    }
    Ok(())
}

fn refuse_always_in_split(step: &CheckedStep) -> Result<(), Mistake> {
    match &step.flow.branch {
        Some(Branch { split, .. }) if step.flow.always != Always::No => {
            let message = format!("the step `{}` is `always` inside the split `{split}`", step.name);
            Err(Mistake::new("bad-flow", format!("{}/always", step.pointer), message)
                .help("a branch ends with the first step that fails; put the step below the split"))
        }
        _ => Ok(()),
    }
}

/// The steps that a step names as followers.
fn targets(steps: &[CheckedStep], index: usize) -> Result<Vec<usize>, Mistake> {
    let mut targets = Vec::new();
    for Transition { exit, to } in &steps[index].flow.on {
        if let Target::Step(name) = to {
            let pointer = pointer(&steps[index].pointer, exit.as_str());
            targets.push(target_of(steps, index, &pointer, name)?);
        }
    }
    Ok(targets)
}

/// The position of the named step, if a step may lead to it.
fn target_of(steps: &[CheckedStep], index: usize, pointer: &str, name: &StepName) -> Result<usize, Mistake> {
    let step = &steps[index];
    let Some(target) = steps.iter().position(|other| other.name == *name) else {
        return Err(unknown(&steps[index..], pointer, name));
    };
    if target <= index {
        let message = match target == index {
            true => format!("the step `{name}` leads to itself"),
            false => format!("the step `{}` leads back to `{name}`", step.name),
        };
        return Err(Mistake::new("flow-cycle", pointer, message)
            .help("lead to a step further down, which rules circles out; `retry` tries a step again"));
    }
    if steps[target].flow.branch == step.flow.branch {
        return Ok(target);
    }
    let mistake = |message: String| Mistake::new("bad-flow", pointer, message);
    Err(match &steps[target].flow.branch {
        Some(Branch { split, .. }) => mistake(format!("the step `{name}` stands inside the split `{split}`"))
            .help("a split is entered as a whole, by `next` of the step above it"),
        None => mistake(format!("the step `{name}` stands outside of this branch"))
            .help("end the branch with `end` or `fail`; what follows the split stands below it"),
    })
}

fn unknown(below: &[CheckedStep], pointer: &str, name: &StepName) -> Mistake {
    let splits = below.iter().filter_map(|step| step.flow.branch.as_ref().map(|branch| &branch.split));
    if splits.clone().any(|split| split == name) {
        return Mistake::new("bad-flow", pointer, format!("`{name}` is a split"))
            .help("a split is entered by `next` of the step above it");
    }
    let known = below.iter().skip(1).map(|step| step.name.as_str()).chain(RESERVED);
    let help = match nearest(name.as_str(), known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "name a step further down, or write `next`, `end`, `fail` or `stop`".to_owned(),
    };
    Mistake::new("unknown-step", pointer, format!("the job has no step `{name}`")).help(help)
}

/// The steps that may follow a step without being named.
fn followers(steps: &[CheckedStep], index: usize) -> Vec<usize> {
    let step = &steps[index];
    let (leads_on, ends_well) = (leads_on(&step.flow.on), step.flow.on.iter().any(|on| on.to == Target::End));
    let Some(branch) = &step.flow.branch else {
        return if leads_on { entry(steps, index + 1) } else { Vec::new() };
    };
    let is_last = steps.get(index + 1).is_none_or(|next| next.flow.branch.as_ref() != Some(branch));
    let mut followers = Vec::new();
    if leads_on && !is_last {
        followers.push(index + 1);
    }
    if ends_well || (leads_on && is_last) {
        let is_beside =
            |step: &CheckedStep| step.flow.branch.as_ref().is_some_and(|b| b.split == branch.split);
        let rest = steps[index..].iter().take_while(|step| is_beside(step)).count();
        followers.extend(entry(steps, index + rest));
    }
    followers
}

/// Whether the step below follows for some exit status. The exit codes of a step are not known here, so only
/// a pattern that fits all codes excludes it.
fn leads_on(on: &[Transition]) -> bool {
    let is_ruled_out = on.iter().any(|transition| fits_all(&transition.exit));
    // A restart after a stop continues with the step below.
    on.iter().any(|transition| matches!(transition.to, Target::Next | Target::Stop)) || !is_ruled_out
}

/// Where a job enters a position: a step, or the first steps of all branches of a split.
fn entry(steps: &[CheckedStep], position: usize) -> Vec<usize> {
    let Some(step) = steps.get(position) else { return Vec::new() };
    let Some(Branch { split, .. }) = &step.flow.branch else { return vec![position] };
    let branch = |index: usize| steps[index].flow.branch.as_ref();
    let is_of_split = |index: &usize| branch(*index).is_some_and(|branch| branch.split == *split);
    let is_first = |index: &usize| *index == position || branch(*index) != branch(*index - 1);
    (position..steps.len()).take_while(is_of_split).filter(is_first).collect()
}

fn pointer(step: &str, exit: &str) -> String {
    format!("{step}/on/{}", part(exit))
}
