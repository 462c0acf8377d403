//! A step ends exact whatever happens. Any plan is tried: items that are skipped, filtered or at fault, elements
//! that fail, recover or panic, and processes that are killed, with any number of workers and in any number of
//! parts.
//!
//! A plan comes from a seed. The seed of a plan that goes wrong is printed, and `STEPBOX_PLAN_SEED` repeats it;
//! `STEPBOX_PLANS=5000` runs more plans than the usual number.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::execution::Warning;

/// How many plans a usual test run has.
const PLANS: u64 = 300;
/// At most this many runs should bring a plan to its end.
const RUNS_MAX: usize = 200;

/// Random numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What happens in a run, and the settings of the step.
struct Plan {
    words: Vec<String>,
    settings: ItemSettings,
    parts: u32,
    flakes: u32,
    booms: u32,
    /// How many saves each process makes before it is killed. The processes after these are not killed.
    kills: Vec<usize>,
}

impl Plan {
    fn of(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let count = dice.below(30);
        let words = (0..count).map(|number| match dice.below(14) {
            0 => format!("s{number}"),
            1 => format!("f{number}"),
            2 => format!("r{number}"),
            3 => format!("w{number}"),
            4 => "p!".to_owned(),
            5 => "w!".to_owned(),
            6 => "flaky".to_owned(),
            7 => "boom".to_owned(),
            _ => format!("k{number}"),
        });
        let words = words.collect();
        let workers = 1 + dice.below(3) as u32;
        let settings = ItemSettings {
            chunk: ChunkLimit { rows: 1 + dice.below(6) as u32, bytes: u32::MAX },
            workers,
            ordered: workers == 1 || dice.below(2) == 0,
            checkpoint: CheckpointInterval { items: Some(1 + dice.below(5)), ms: 60_000 },
            skip: SkipPolicy {
                limit: None,
                on: Some(vec![Pattern::new("*")]),
                share: Some(crate::job::Share::ALL),
            },
            ..ItemSettings::default()
        };
        let kills = (0..dice.below(6)).map(|_| dice.below(5) as usize).collect();
        let parts = 1 + dice.below(4) as u32;
        Self { words, settings, parts, flakes: dice.below(3) as u32, booms: dice.below(3) as u32, kills }
    }

    fn count(&self, is_meant: impl Fn(&str) -> bool) -> u64 {
        self.words.iter().filter(|word| is_meant(word)).count() as u64
    }

    fn counts(&self) -> Counts {
        let filtered = self.count(|word| word.starts_with('f') && word != "flaky");
        let skipped = self.count(|word| word.starts_with(['s', 'r', 'w', 'p']));
        let read = self.words.len() as u64;
        Counts { read, written: read - filtered - skipped, filtered, skipped }
    }

    /// The words that should be written, in the order of the items.
    fn written(&self) -> Vec<String> {
        let is_kept = |word: &&String| word.starts_with(['k', 'b']) || *word == "flaky";
        self.words.iter().filter(is_kept).map(|word| word.to_uppercase()).collect()
    }

    /// The words that should be rejected, in the order of the items.
    fn rejected(&self) -> Vec<String> {
        let row = |(index, word): (usize, &String)| {
            let why = |code, phase| Some(format!("{word} {code} line {} {phase}", index + 1));
            match word.as_str() {
                "p!" => why("broken", "process"),
                "w!" => why("full", "write"),
                _ if word.starts_with('s') => why("bad", "process"),
                _ if word.starts_with('r') => why("unreadable", "read"),
                _ if word.starts_with('w') => why("refused", "write"),
                _ => None,
            }
        };
        self.words.iter().enumerate().filter_map(row).collect()
    }

    /// How many items come through the processor: not those that could not be read, and not those that were found
    /// at fault.
    fn seen(&self) -> u64 {
        self.words.len() as u64 - self.count(|word| word.starts_with('r') || word == "p!" || word == "w!")
    }
}

/// Runs of a step over one paper, until the step has completed.
struct Runs<'a> {
    plan: &'a Plan,
    case: Case,
    kills: std::slice::Iter<'a, usize>,
    runs: usize,
}

impl<'a> Runs<'a> {
    fn new(plan: &'a Plan) -> Self {
        let retry = RetryPolicy { limit: u32::MAX, on: None, backoff: Backoff { ms: 0, ms_max: 0 } };
        let case = Case {
            settings: plan.settings.clone(),
            retry,
            booms: Arc::new(AtomicU32::new(plan.booms)),
            ..Case::new(1, 1)
        };
        Self { plan, case, kills: plan.kills.iter(), runs: 0 }
    }

    fn words(&self) -> String {
        self.plan.words.join(" ")
    }

    /// Runs a step execution to its end; returns it as it was stored, with all its stored warnings.
    async fn to_the_end(
        &mut self,
        fragment: Option<u32>,
        begin: StepExecution,
        fragments: Option<&[FragmentState]>,
    ) -> (StepExecution, Vec<Warning>) {
        let (mut execution, mut warnings) = (begin, Vec::new());
        loop {
            self.runs += 1;
            assert!(self.runs < RUNS_MAX, "it comes to no end");
            let case = Case { flakes: self.plan.flakes, ..self.case.another(Bench::resumed(&execution)) };
            let booms = self.case.booms.clone();
            let case = Case { booms, ..case };
            let journal = case.bench.journal.clone();
            journal.0.lock().unwrap().dies_after = self.kills.next().copied();
            let before = execution.clone();
            let (context, recorder) = (&case.bench.context, &case.bench.recorder);
            let journey = Journey { execution: &mut execution, context, recorder };
            let step = case.step(&self.words(), fragment);
            let ended = match fragments {
                Some(fragments) => caught(merge(step, fragments, journey)).await,
                None => caught(run(step, journey)).await,
            };
            let saved = std::mem::take(&mut *journal.0.lock().unwrap());
            warnings.extend(saved.warnings);
            // Another process knows only what is stored.
            execution = saved.step.unwrap_or_else(|| before.clone());
            execution.checkpoint = saved.checkpoint.or(before.checkpoint);
            match ended {
                Some(Ok(outcome)) => {
                    assert_eq!(outcome, StepOutcome::Completed(None));
                    return (execution, warnings);
                }
                // The process was killed, or it panicked.
                Some(Err(StepError::Repository(_) | StepError::Panicked)) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }
}

/// `None` if the work panicked.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

async fn check(seed: u64) {
    let plan = Plan::of(seed);
    let mut runs = Runs::new(&plan);
    let (execution, warnings) = if plan.parts == 1 {
        let begin = runs.case.begin();
        runs.to_the_end(None, begin, None).await
    } else {
        let mut reader = runs.case.step(&runs.words(), None).elements.reader.element;
        let context = runs.case.bench.context.clone();
        let opening = Opening { header: &[], state: None, context: &context, fragment: None };
        let mut fragments = Vec::new();
        for (number, reader) in (0..).zip(reader.split(opening, plan.parts).await.unwrap().unwrap()) {
            let mut begin = runs.case.begin();
            begin.checkpoint = Some(Checkpoint { reader, ..Checkpoint::default() });
            let (execution, warnings) = runs.to_the_end(Some(number), begin, None).await;
            fragments.push(FragmentState::of(execution, warnings).unwrap());
        }
        let begin = runs.case.begin();
        runs.to_the_end(None, begin, Some(&fragments)).await
    };
    let paper = runs.case.paper.lock().unwrap().clone();
    let (mut words, mut written) = (paper.words, plan.written());
    let (mut rejected, mut expected) = (paper.rejected, plan.rejected());
    if !plan.settings.ordered {
        words.sort();
        written.sort();
    }
    // Within a chunk, items that could not be read come first.
    rejected.sort();
    expected.sort();
    assert_eq!(words, written);
    assert_eq!(rejected, expected);
    assert_eq!(execution.counts, plan.counts());
    let mut places: Vec<_> = warnings.iter().map(|warning| warning.place.clone()).collect();
    places.sort();
    places.dedup();
    assert_eq!((places.len(), warnings.len()), (expected.len(), expected.len()));
    assert_eq!(execution.warning_count, expected.len() as u64);
    let seen = execution.summary.get("seen").cloned().map_or(0, |seen| match seen {
        SummaryValue::Count(seen) => seen,
        SummaryValue::Text(_) => 0,
    });
    assert_eq!(seen, plan.seen());
    assert!(paper.is_complete && paper.fragments.is_empty());
}

#[tokio::test]
async fn any_plan_ends_exact() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("STEPBOX_PLAN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STEPBOX_PLANS").unwrap_or(PLANS),
    };
    for seed in seeds {
        let told = Told(seed);
        check(seed).await;
        std::mem::forget(told);
    }
}

/// Prints the seed of a plan that goes wrong.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("STEPBOX_PLAN_SEED={} repeats it", self.0);
    }
}
