//! The settings of a step beside its elements, for people: only those that differ from the defaults.

use stepbox::batch::visible::on_one_line;
use stepbox_api::step::{Step, StepKind};
use stepbox_api::step_settings::{
    Always, AlwaysWord, Backoff, Checkpoint, ItemSettings, Rerun, Retry, Transition,
};

use super::words::{counted, duration};

/// The settings of a step by name.
pub(crate) fn facts(step: &Step) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let StepKind::Item { settings, .. } = &step.kind {
        facts.extend(of_items(settings));
    }
    if step.retry != Retry::default() {
        facts.push(("retry", retry(&step.retry)));
    }
    if step.rerun == Rerun::Always {
        facts.push(("rerun", "always: a restart runs it again, also when it has completed".to_owned()));
    }
    if let Some(limit) = step.start_limit {
        facts.push(("start limit", format!("{}, over all restarts", counted(limit.into(), "start"))));
    }
    if !step.on.is_empty() {
        facts.push(("on", on(step)));
    }
    let always = match step.always {
        Always::Flag(false) => None,
        Always::Flag(true) => Some("runs whatever happened before it"),
        Always::Word(AlwaysWord::UnlessStopped) => {
            Some("unless_stopped: runs also after a failure, but not after a stop")
        }
    };
    facts.extend(always.map(|text| ("always", text.to_owned())));
    facts
}

fn of_items(settings: &ItemSettings) -> Vec<(&'static str, String)> {
    let ItemSettings { chunk, workers, ordered, checkpoint, skip, partitions } = settings;
    let default = ItemSettings::default();
    let mut facts = Vec::new();
    if *workers > 1 {
        let order = if *ordered { "chunks in order" } else { "chunks in any order" };
        facts.push(("workers", format!("{workers}, {order}")));
    }
    if *partitions > 1 {
        facts.push(("partitions", format!("{partitions}, for any worker")));
    }
    if chunk.ms != default.chunk.ms {
        facts.push(("chunk", format!("under way for about {}", duration(chunk.ms))));
    }
    if *checkpoint != default.checkpoint {
        facts.push(("checkpoint", interval(checkpoint)));
    }
    if *skip != default.skip {
        let share = skip.share.as_ref().map(|share| format!(", at most {share} of all")).unwrap_or_default();
        facts.push(("skip", limited("item", skip.limit, skip.on.as_deref()) + &share));
    }
    facts
}

fn interval(Checkpoint { items, ms }: &Checkpoint) -> String {
    match (items, ms) {
        (_, 0) => "after every chunk".to_owned(),
        (None, ms) => format!("every {}", duration(*ms)),
        (Some(items), ms) => format!("every {} or {}", counted(*items, "item"), duration(*ms)),
    }
}

fn retry(retry: &Retry) -> String {
    let Retry { limit, on, backoff: Backoff { ms, ms_max } } = retry;
    let allowed = limited("time", Some(u64::from(*limit)), on.as_deref());
    format!("{allowed}, after {}, doubling to {}", duration(*ms), duration(*ms_max))
}

/// `up to 100 items, on bad-*, ragged-row`.
fn limited(noun: &str, limit: Option<u64>, on: Option<&[String]>) -> String {
    let limit = limit
        .map_or_else(|| format!("any number of {noun}s"), |limit| format!("up to {}", counted(limit, noun)));
    let Some(on) = on else { return limit };
    format!("{limit}, on {}", on.join(", "))
}

/// The steps that follow each exit status, one in each line.
fn on(step: &Step) -> String {
    let line = |Transition { exit, to }: &Transition| format!("{}: {}", on_one_line(exit), on_one_line(to));
    step.on.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use stepbox::batch::job::{self, ElementSource, StepFlow};
    use stepbox::batch::name::StepName;
    use stepbox_api::step_settings::Skip;

    use super::*;

    /// A step that sets nothing.
    fn step() -> Step {
        let element = job::Element { source: ElementSource::Native("csv".to_owned()), options: None };
        Step::of(&job::Step {
            name: StepName::new("a").unwrap(),
            kind: job::StepKind::Item {
                reader: element.clone(),
                processors: Vec::new(),
                writer: element,
                settings: Box::default(),
            },
            grants: Default::default(),
            limits: Default::default(),
            retry: Default::default(),
            rerun: Default::default(),
            start_limit: None,
            flow: StepFlow::default(),
        })
    }

    fn lines(step: &Step) -> Vec<String> {
        facts(step).into_iter().map(|(name, value)| format!("{name} = {value}")).collect()
    }

    #[test]
    fn says_nothing_of_what_every_step_does() {
        assert!(lines(&step()).is_empty());
    }

    #[test]
    fn says_what_differs() {
        let on = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        let transition = |exit: &str, to: &str| Transition { exit: exit.to_owned(), to: to.to_owned() };
        let mut step = step();
        let StepKind::Item { settings, .. } = &mut step.kind else { panic!("an item step") };
        settings.chunk.ms = 5000;
        settings.workers = 4;
        settings.ordered = false;
        settings.checkpoint = Checkpoint { items: Some(100_000), ms: 500 };
        settings.skip =
            Skip { limit: Some(100), share: Some("5%".to_owned()), on: on(&["bad-*", "ragged-row"]) };
        settings.partitions = 8;
        step.retry = Retry { limit: 3, on: on(&["busy"]), ..Retry::default() };
        step.rerun = Rerun::Always;
        step.start_limit = Some(1);
        step.always = Always::Flag(true);
        step.on = vec![
            transition("COMPLETED", "next"),
            transition("FAILED", "recover"),
            transition("PART*", "end"),
            transition("*", "fail"),
        ];
        let expected = [
            "workers = 4, chunks in any order",
            "partitions = 8, for any worker",
            "chunk = under way for about 5.0 s",
            "checkpoint = every 100,000 items or 500 ms",
            "skip = up to 100 items, on bad-*, ragged-row, at most 5% of all",
            "retry = up to 3 times, on busy, after 1.0 s, doubling to 1 min 0 s",
            "rerun = always: a restart runs it again, also when it has completed",
            "start limit = 1 start, over all restarts",
            "on = COMPLETED: next\nFAILED: recover\nPART*: end\n*: fail",
            "always = runs whatever happened before it",
        ];
        assert_eq!(lines(&step), expected);
    }

    #[test]
    fn says_where_there_is_no_limit() {
        let rows = [
            (Checkpoint { items: None, ms: 0 }, "after every chunk"),
            (Checkpoint { items: None, ms: 500 }, "every 500 ms"),
        ];
        for (checkpoint, expected) in rows {
            assert_eq!(interval(&checkpoint), expected);
        }
        assert_eq!(limited("item", None, Some(&["bad-*".to_owned()])), "any number of items, on bad-*");
        assert_eq!(limited("item", Some(0), None), "up to 0 items");
    }
}
