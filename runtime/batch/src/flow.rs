//! Which step of a job follows another.

use std::ops::Range;

use crate::execution::status::{BatchStatus, ExitStatus};
use crate::job::{Always, Step, Target};
use crate::name::StepName;

/// The unit that runs next: a step, or the branches of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// The step at a position.
    Step(usize),
    /// A split with the positions of each branch.
    Split {
        /// Its name.
        name: StepName,
        /// The positions of each branch; at least two branches.
        branches: Vec<Range<usize>>,
    },
}

impl Unit {
    /// The unit at `position`.
    pub fn at(steps: &[Step], position: usize) -> Self {
        let Some(first) = &steps[position].flow.branch else { return Self::Step(position) };
        let mut branches: Vec<Range<usize>> = Vec::new();
        let mut number = None;
        for (at, step) in steps.iter().enumerate().skip(position) {
            let Some(branch) = step.flow.branch.as_ref().filter(|branch| branch.split == first.split) else {
                break;
            };
            if number != Some(branch.number) {
                number = Some(branch.number);
                branches.push(at..at);
            }
            if let Some(last) = branches.last_mut() {
                last.end = at + 1;
            }
        }
        Self::Split { name: first.split.clone(), branches }
    }

    /// The position after the unit.
    pub fn end(&self) -> usize {
        match self {
            Self::Step(position) => position + 1,
            Self::Split { branches, .. } => branches.last().map_or(0, |last| last.end),
        }
    }
}

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// The next step in the order of the job.
    Next,
    /// The step at a position.
    Step(usize),
    /// No step: the job, or the branch, ends in this status.
    End(BatchStatus),
}

/// What follows a step that ended with this status, and whether a transition of the step decided it.
///
/// If so, a failure counts as handled.
pub fn after(steps: &[Step], position: usize, status: BatchStatus, exit: &ExitStatus) -> (Follows, bool) {
    let own = match status {
        BatchStatus::Completed | BatchStatus::Failed => target(&steps[position], &exit.code),
        _ => None, // a stop ends a job, whatever transitions its steps have
    };
    match own {
        Some(Target::Next) => (Follows::Next, true),
        Some(Target::End) => (Follows::End(BatchStatus::Completed), true),
        Some(Target::Fail) => (Follows::End(BatchStatus::Failed), true),
        Some(Target::Stop) => (Follows::End(BatchStatus::Stopped), true),
        Some(Target::Step(name)) => {
            let found = steps.iter().position(|step| step.name == *name);
            (found.map_or(Follows::End(BatchStatus::Failed), Follows::Step), true)
        }
        None if status == BatchStatus::Completed => (Follows::Next, false),
        None => (Follows::End(status), false),
    }
}

/// The target of a step for an exit code. An exact code is preferred to a pattern.
fn target<'a>(step: &'a Step, code: &str) -> Option<&'a Target> {
    let on = &step.flow.on;
    let exact = on.iter().find(|transition| transition.exit.is_exact() && transition.exit.as_str() == code);
    exact.or_else(|| on.iter().find(|transition| transition.exit.fits(code))).map(|transition| &transition.to)
}

/// What happens to a step that the flow did not lead to, after the flow has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// The step has no `always`: the flow alone decides about it, and has decided.
    Nothing,
    /// It runs.
    Runs,
    /// It runs when the execution is resumed.
    Waits,
    /// It does not run, because the execution is stopped.
    ///
    /// A restart runs it.
    IsStopped,
}

/// What users or the runtime have asked of an execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// A stop.
    pub stop: bool,
    /// A pause at a checkpoint.
    pub pause: bool,
}

/// Decides about a step by the status in which the flow has ended, which is not PAUSED, and by the requests.
pub fn afterwards(always: Always, ended: BatchStatus, requests: Requests) -> Afterwards {
    match always {
        Always::No => Afterwards::Nothing,
        Always::Yes => Afterwards::Runs,
        Always::UnlessStopped if requests.stop || ended == BatchStatus::Stopped => Afterwards::IsStopped,
        Always::UnlessStopped if requests.pause => Afterwards::Waits,
        Always::UnlessStopped => Afterwards::Runs,
    }
}

/// The worse of two statuses: of the branches of a split, or of a job and the steps that ran after its end.
pub fn worst(one: BatchStatus, other: BatchStatus) -> BatchStatus {
    let severity = |status| match status {
        BatchStatus::Completed => 0,
        BatchStatus::Paused => 1,
        BatchStatus::Stopped => 2,
        BatchStatus::Failed => 3,
        _ => 4,
    };
    if severity(other) > severity(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{
        Branch, Element, ElementSource, GrantRequest, LimitOverrides, Rerun, RetryPolicy, StepFlow, StepKind,
        Transition,
    };
    use crate::pattern::Pattern;

    /// Steps in a short notation: `a`, `b:COMPLETED=next,*=c`, `x/both.0` for a step in a split.
    fn steps(words: &str) -> Vec<Step> {
        words.split_whitespace().map(step).collect()
    }

    fn step(words: &str) -> Step {
        let (name, on) = words.split_once(':').unwrap_or((words, ""));
        let (name, branch) = name.split_once('/').map_or((name, None), |(name, branch)| (name, Some(branch)));
        let branch = branch.and_then(|branch| branch.split_once('.')).map(|(split, number)| Branch {
            split: StepName::new(split).unwrap(),
            number: number.parse().unwrap(),
        });
        let transition = |text: &str| {
            let (exit, to) = text.split_once('=').unwrap();
            let to = match to {
                "next" => Target::Next,
                "end" => Target::End,
                "fail" => Target::Fail,
                "stop" => Target::Stop,
                name => Target::Step(StepName::new(name).unwrap()),
            };
            Transition { exit: Pattern::new(exit), to }
        };
        let on = on.split(',').filter(|text| !text.is_empty()).map(transition).collect();
        let tasklet = Element { source: ElementSource::Native("t".to_owned()), options: None };
        Step {
            name: StepName::new(name).unwrap(),
            kind: StepKind::Tasklet { tasklet },
            grants: GrantRequest::default(),
            limits: LimitOverrides::default(),
            retry: RetryPolicy::default(),
            rerun: Rerun::default(),
            start_limit: None,
            flow: StepFlow { on, always: Always::No, branch },
        }
    }

    #[test]
    fn follows_the_steps_own_words_before_the_rule() {
        use BatchStatus::*;
        let rows = [
            ("a b", Completed, "COMPLETED", (Follows::Next, false)),
            ("a b", Failed, "FAILED", (Follows::End(Failed), false)),
            ("a:FAILED=c b c", Failed, "FAILED", (Follows::Step(2), true)),
            ("a:FAILED=c b c", Completed, "COMPLETED", (Follows::Next, false)),
            ("a:*=end,PARTIAL=c b c", Completed, "PARTIAL", (Follows::Step(2), true)),
            ("a:P*=end,*=c b c", Completed, "PARTIAL", (Follows::End(Completed), true)),
            ("a:COMPLETED=fail b", Completed, "COMPLETED", (Follows::End(Failed), true)),
            ("a:COMPLETED=stop b", Completed, "COMPLETED", (Follows::End(Stopped), true)),
            ("a:FAILED=next b", Failed, "FAILED", (Follows::Next, true)),
            ("a:*=next b", Stopped, "STOPPED", (Follows::End(Stopped), false)),
        ];
        for (words, status, code, expected) in rows {
            let found = after(&steps(words), 0, status, &ExitStatus::new(code));
            assert_eq!(found, expected, "{words} {status} {code}");
        }
    }

    /// The table of docs/step-authors.md.
    #[test]
    fn what_runs_whatever_happened_depends_on_how_the_flow_ended() {
        use Afterwards::*;
        use BatchStatus::{Completed, Failed, Stopped};
        let none = Requests::default();
        let stop = Requests { stop: true, pause: false };
        let pause = Requests { stop: false, pause: true };
        let both = Requests { stop: true, pause: true };
        let rows = [
            // how the flow ended, and the requests: `true`, `unless_stopped`
            (Completed, none, Runs, Runs),
            (Failed, none, Runs, Runs),
            (Stopped, stop, Runs, IsStopped),
            (Stopped, none, Runs, IsStopped),
            (Failed, stop, Runs, IsStopped),
            (Completed, stop, Runs, IsStopped),
            (Failed, pause, Runs, Waits),
            (Completed, pause, Runs, Waits),
            (Failed, both, Runs, IsStopped),
        ];
        for (ended, requests, yes, unless_stopped) in rows {
            let found = |always| afterwards(always, ended, requests);
            assert_eq!(found(Always::No), Nothing, "{ended} {requests:?}");
            assert_eq!(found(Always::Yes), yes, "{ended} {requests:?}");
            assert_eq!(found(Always::UnlessStopped), unless_stopped, "{ended} {requests:?}");
        }
    }

    #[test]
    fn takes_steps_of_a_split_together() {
        let steps = steps("a b/both.0 c/both.0 d/both.1 e/other.0 f/other.1 g");
        let found: Vec<_> = [0, 1, 4, 6].map(|position| Unit::at(&steps, position)).into();
        let split = |name, branches: &[Range<usize>]| Unit::Split {
            name: StepName::new(name).unwrap(),
            branches: branches.to_vec(),
        };
        let expected =
            [Unit::Step(0), split("both", &[1..3, 3..4]), split("other", &[4..5, 5..6]), Unit::Step(6)];
        assert_eq!(found, expected);
        assert_eq!(expected.map(|unit| unit.end()), [1, 4, 6, 7]);
    }
}
