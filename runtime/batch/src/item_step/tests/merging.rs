//! A step in parts ends like the same step in one piece.

use super::*;

const WORDS: &str = "a s1 f1 b c r1 d w1 e f2 g";

impl Case {
    /// The same step over the same paper, for another step execution.
    pub(super) fn another(&self, bench: Bench) -> Self {
        let Self { settings, retry, paper, luck, .. } = self;
        let (settings, retry, paper, luck) = (settings.clone(), retry.clone(), paper.clone(), luck.clone());
        Case { settings, retry, flakes: 0, booms: Arc::default(), bench, paper, luck }
    }

    /// Runs each part to its end; every second one fails in its middle first.
    async fn run_parts(&self, words: &str, parts: u32) -> Vec<FragmentState> {
        let mut step = self.step(words, None);
        let reader = &mut step.elements.reader.element;
        let opening = Opening { header: &[], state: None, context: &self.bench.context, fragment: None };
        let states = reader.split(opening, parts).await.unwrap().unwrap();
        let mut broken: Vec<_> = words.split_whitespace().collect();
        let mut fragments = Vec::new();
        for (number, reader) in (0..).zip(states) {
            let case = self.another(Bench::new(true));
            let mut execution = case.begin();
            let (middle, is_empty) = (usize::from(reader[0].midpoint(reader[1])), reader[0] == reader[1]);
            execution.checkpoint = Some(Checkpoint { reader, ..Checkpoint::default() });
            let mut warnings = Vec::new();
            if number % 2 == 1 && !is_empty {
                let word = std::mem::replace(&mut broken[middle], "p!");
                case.run_part(&broken.join(" "), number, &mut execution).await.unwrap_err();
                broken[middle] = word;
                warnings.append(&mut case.bench.journal.0.lock().unwrap().warnings);
            }
            let again = case.another(Bench::resumed(&execution));
            let outcome = again.run_part(words, number, &mut execution).await;
            assert_eq!(outcome.unwrap(), StepOutcome::Completed(None));
            warnings.append(&mut again.bench.journal.0.lock().unwrap().warnings);
            fragments.push(FragmentState::of(execution, warnings).unwrap());
        }
        fragments
    }

    async fn run_part(
        &self,
        words: &str,
        number: u32,
        execution: &mut StepExecution,
    ) -> Result<StepOutcome, StepError> {
        let (context, recorder) = (&self.bench.context, &self.bench.recorder);
        run(self.step(words, Some(number)), Journey { execution, context, recorder }).await
    }

    async fn merge(
        &self,
        fragments: &[FragmentState],
        execution: &mut StepExecution,
    ) -> Result<StepOutcome, StepError> {
        let (context, recorder) = (&self.bench.context, &self.bench.recorder);
        let outcome =
            merge(self.step(WORDS, None), fragments, Journey { execution, context, recorder }).await;
        let heard = self.bench.observer.0.lock().unwrap();
        let has_items = |heard: &&Observation| matches!(heard, Observation::Checkpoint { counts, .. } if *counts != Counts::default());
        assert_eq!(heard.iter().find(has_items), None, "their items are those that the parts have told of");
        drop(heard);
        outcome
    }

    /// What was stored last; the next run begins with it.
    fn stored(&self) -> StepExecution {
        let saved = self.bench.journal.0.lock().unwrap();
        let mut stored = saved.step.clone().unwrap_or_else(|| self.begin());
        stored.checkpoint = saved.checkpoint.clone();
        stored
    }
}

/// How the step ended, and all its results.
fn tell(case: &Case, execution: &StepExecution) -> String {
    let paper = case.paper.lock().unwrap();
    let Counts { read, written, filtered, skipped } = execution.counts;
    let Tracking { processed, total, .. } = case.bench.context.tracking();
    assert!(paper.fragments.is_empty(), "they are removed");
    format!(
        "{read} {written} {filtered} {skipped}, {processed} of {total:?}, {} {}; {}; {:?}; {}",
        paper.words.join(","),
        if paper.is_complete { "complete" } else { "open" },
        paper.rejected.join(", "),
        execution.summary,
        execution.warning_count,
    )
}

fn every_word(mut case: Case) -> Case {
    case.settings.checkpoint = CheckpointInterval { items: None, ms: 0 };
    case
}

async fn in_one_piece() -> String {
    let case = Case::new(2, 1);
    let (execution, outcome) = case.run(WORDS, None).await;
    assert_eq!(outcome.unwrap(), StepOutcome::Completed(None));
    tell(&case, &execution)
}

#[tokio::test]
async fn ends_as_in_one_piece_wherever_it_breaks_off() {
    let expected = in_one_piece().await;
    for parts in [1, 2, 3, 5, 11, 20] {
        for luck in 0..7 {
            for ms in [0, 60_000] {
                let mut case = Case::new(2, 1);
                case.settings.checkpoint.ms = ms;
                let fragments = case.run_parts(WORDS, parts).await;
                case.luck.store(luck, Ordering::Relaxed);
                let name = format!("{parts} parts, {luck} words, every {ms} ms");
                let outcome = case.merge(&fragments, &mut case.begin()).await;
                let failure = outcome.unwrap_err().to_failure().to_string();
                assert_eq!(failure, "writer `pen`: the paper tore", "{name}");
                let stored = case.stored();
                assert_eq!(stored.counts.read, 11, "{name}");
                assert!(!case.paper.lock().unwrap().is_complete, "{name}");
                let again = case.another(Bench::resumed(&stored));
                let mut execution = stored;
                let outcome = again.merge(&fragments, &mut execution).await;
                assert_eq!(outcome.unwrap(), StepOutcome::Completed(None), "{name}");
                assert_eq!(tell(&again, &execution), expected, "{name}");
                let warnings = |case: &Case| case.bench.journal.0.lock().unwrap().warnings.clone();
                let warnings: Vec<_> = warnings(&case).into_iter().chain(warnings(&again)).collect();
                let places: Vec<_> = warnings.iter().map(|warning| warning.place.as_str()).collect();
                assert_eq!(places, ["line 2", "line 6", "line 8"], "{name}");
            }
        }
    }
}

/// Three of eleven items are skipped, by three parts of one item each.
#[tokio::test]
async fn parts_are_judged_together() {
    for (share, code) in [("27%", Some("skip-share")), ("28%", None)] {
        let mut case = Case::new(2, 1);
        case.settings.skip.share = share.parse().ok();
        let fragments = case.run_parts(WORDS, 11).await;
        let outcome = case.merge(&fragments, &mut case.begin()).await;
        assert_eq!(outcome.err().map(|error| error.code().to_owned()).as_deref(), code);
        assert_eq!(case.paper.lock().unwrap().is_complete, code.is_none());
    }
}

#[tokio::test]
async fn tries_again_what_may_pass() {
    let case = every_word(Case::new(2, 1));
    let retry = RetryPolicy { limit: 1, on: None, backoff: Backoff { ms: 100, ms_max: 100 } };
    let case = Case { retry, ..case };
    let fragments = case.run_parts(WORDS, 3).await;
    case.luck.store(3, Ordering::Relaxed);
    let mut execution = case.begin();
    assert_eq!(case.merge(&fragments, &mut execution).await.unwrap(), StepOutcome::Completed(None));
    assert_eq!((execution.retries, case.bench.recorder.clock.now().0), (1, 100));
    assert_eq!(tell(&case, &execution), in_one_piece().await);
}

#[tokio::test]
async fn a_stop_ends_it_at_a_checkpoint() {
    let case = Case::new(2, 1);
    let fragments = case.run_parts(WORDS, 3).await;
    case.bench.context.run().request_stop();
    let mut execution = case.begin();
    assert_eq!(case.merge(&fragments, &mut execution).await.unwrap(), StepOutcome::Stopped);
    assert!(!case.paper.lock().unwrap().is_complete);
    let again = case.another(Bench::resumed(&case.stored()));
    let mut execution = case.stored();
    assert_eq!(again.merge(&fragments, &mut execution).await.unwrap(), StepOutcome::Completed(None));
    assert_eq!(tell(&again, &execution), in_one_piece().await);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_completes_nothing() {
    let case = Case::new(2, 1);
    let fragments = case.run_parts(WORDS, 3).await;
    // The lease is lost after the findings of the parts were saved, and again at the end.
    case.bench.journal.0.lock().unwrap().is_lost_after = Some(2);
    let outcome = case.merge(&fragments, &mut case.begin()).await;
    assert_eq!(outcome.unwrap_err().code(), "lease-lost");
    assert!(!case.paper.lock().unwrap().is_complete);
    assert_eq!(case.paper.lock().unwrap().fragments.len(), 3, "whoever has the lease needs them");
}

/// No single part has skipped too many items.
#[tokio::test]
async fn the_limit_of_skipped_items_is_that_of_the_whole() {
    for (limit, expected) in [(3, "Completed(None)"), (2, "one more item than the 2 that may be skipped")] {
        let case = Case::new(1, 1).skipping(Some(limit), "bad unreadable refused");
        let fragments = case.run_parts(WORDS, 3).await;
        let outcome = case.merge(&fragments, &mut case.begin()).await;
        let found = outcome.map_or_else(|error| error.to_string(), |outcome| format!("{outcome:?}"));
        assert!(found.starts_with(expected), "{found}");
    }
}

/// A restart of an execution in one piece finds nothing of these parts.
#[tokio::test]
async fn a_fragment_is_nothing_but_a_part() {
    let case = Case::new(2, 1);
    let fragments = case.run_parts(WORDS, 2).await;
    let paper = case.paper.lock().unwrap();
    assert_eq!((paper.words.len(), paper.is_complete), (0, false));
    let parts: Vec<_> = paper.fragments.values().map(|part| part.words.join("")).collect();
    assert_eq!(parts, ["ABC", "DEG"]);
    let counts: Vec<_> = fragments.iter().map(|fragment| fragment.counts.read).collect();
    assert_eq!(counts, [5, 6]);
}
