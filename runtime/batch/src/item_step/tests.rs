//! The item step's behaviour as rows. Items are words; what a word does stands in its first letter:
//! `r…` cannot be read, `s…` is skipped by the processor, `f…` is filtered, `lost` is lost by it, `p!`
//! breaks it, `w…` is refused by the writer, `w!` breaks that, `halt` requests a stop, `cut` is ended by
//! one.

use async_trait::async_trait;

use super::*;
use crate::clock::Clock;
use crate::element::{SetAside, Unreadable};
use crate::name::StepName;
use crate::testing::{Bench, FakeClock};

struct Words {
    words: Vec<String>,
    at: usize,
    context: Option<StepContext>,
}

#[async_trait]
impl ItemReader for Words {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, ElementError> {
        self.at = opening.state.map_or(0, |state| usize::from(state[0]));
        self.context = Some(opening.context.clone());
        Ok(vec!["word".to_owned()])
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, ElementError> {
        while chunk.items() < limit.rows as usize && self.at < self.words.len() {
            let word = self.words[self.at].clone();
            self.at += 1;
            if word == "halt" {
                self.context.as_ref().unwrap().run().request_stop();
            }
            if word.starts_with('r') {
                let (code, reason) = ("unreadable".to_owned(), "cannot be read".to_owned());
                let place = format!("line {}", self.at);
                chunk.unreadable.push(Unreadable { code, reason, place, item: word });
            } else {
                chunk.rows.push(&word);
                chunk.lines.push(self.at as u64);
            }
        }
        Ok(if self.at == self.words.len() { More::No } else { More::Yes })
    }

    fn total(&self) -> Total {
        Total::Exact(self.words.len() as u64)
    }

    async fn state(&mut self) -> Result<Vec<u8>, ElementError> {
        Ok(vec![self.at as u8])
    }
}

struct Upper;

#[async_trait]
impl ItemProcessor for Upper {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, ElementError> {
        Ok(opening.header.to_vec())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, ElementError> {
        let mut set_aside = SetAside::default();
        for row in 0..rows.len() {
            match rows.cell(row, 0).unwrap() {
                "p!" => return Err(ElementError::failed("broken", "the processor broke")),
                "cut" => return Err(ElementError::Stopped),
                "twice" => {
                    output.push("TWICE");
                    output.push("TWICE");
                }
                "lost" => {}
                word if word.starts_with('f') => set_aside.filtered.push(row as u32),
                word if word.starts_with('s') => set_aside.skipped.push(SkippedRow {
                    row: row as u32,
                    code: "bad".to_owned(),
                    reason: "is bad".to_owned(),
                }),
                word => output.push(&word.to_uppercase()),
            }
        }
        Ok(set_aside)
    }
}

/// Remembers what is durable, as a file would: opening cuts off what no checkpoint names.
#[derive(Default, Clone)]
struct Paper {
    words: Vec<String>,
    is_complete: bool,
}

struct Pen<'a> {
    paper: &'a std::sync::Mutex<Paper>,
}

#[async_trait]
impl ItemWriter for Pen<'_> {
    async fn open(&mut self, opening: Opening<'_>) -> Result<(), ElementError> {
        let length = opening.state.map_or(0, |state| usize::from(state[0]));
        self.paper.lock().unwrap().words.truncate(length);
        Ok(())
    }

    async fn write(&mut self, rows: &Rows) -> Result<Vec<SkippedRow>, ElementError> {
        let mut skipped = Vec::new();
        for row in 0..rows.len() {
            match rows.cell(row, 0).unwrap() {
                "W!" => return Err(ElementError::failed("full", "the paper is full")),
                word if word.starts_with('W') => skipped.push(SkippedRow {
                    row: row as u32,
                    code: "refused".to_owned(),
                    reason: "is refused".to_owned(),
                }),
                word => self.paper.lock().unwrap().words.push(word.to_owned()),
            }
        }
        Ok(skipped)
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError> {
        Ok(vec![self.paper.lock().unwrap().words.len() as u8])
    }

    async fn complete(&mut self) -> Result<(), ElementError> {
        self.paper.lock().unwrap().is_complete = true;
        Ok(())
    }
}

/// Runs one step over words and tells how it ended.
async fn run_words(
    words: &str,
    chunk: u32,
    bench: &Bench,
    paper: &'static std::sync::Mutex<Paper>,
    checkpoint: Option<(Checkpoint, Counts)>,
) -> (StepExecution, Result<StepOutcome, StepError>) {
    let words = words.split_whitespace().map(str::to_owned).collect();
    let mut step = ItemStep {
        reader: Box::new(Words { words, at: 0, context: None }),
        reader_name: "reader `words`".to_owned(),
        processors: vec![("processor `upper`".to_owned(), Box::new(Upper))],
        writer: Box::new(Pen { paper }),
        writer_name: "writer `pen`".to_owned(),
        chunk: ChunkLimit { rows: chunk, bytes: u32::MAX },
    };
    let mut execution = StepExecution::new(0, StepName::new("step").unwrap(), bench.clock.now());
    if let Some((checkpoint, counts)) = checkpoint {
        (execution.checkpoint, execution.counts) = (Some(checkpoint), counts);
    }
    let journey = Journey { execution: &mut execution, context: &bench.context, recorder: &bench.recorder };
    let outcome = run(&mut step, journey).await;
    (execution, outcome)
}

fn fresh_paper() -> &'static std::sync::Mutex<Paper> {
    Box::leak(Box::default())
}

async fn check(chunk: u32, words: &str, expected: &str) {
    let (bench, paper) = (Bench::new(true), fresh_paper());
    let (execution, outcome) = run_words(words, chunk, &bench, paper, None).await;
    let outcome = match outcome {
        Ok(StepOutcome::Completed(_)) => "Completed".to_owned(),
        Ok(StepOutcome::Stopped) => "Stopped".to_owned(),
        Err(error) => format!("Failed({})", error.to_failure()),
    };
    let Counts { read, written, filtered, skipped } = execution.counts;
    let paper = paper.lock().unwrap();
    let found = format!(
        "{outcome} read={read} written={written} filtered={filtered} skipped={skipped} warnings={} out={}{}",
        bench.context.findings().warning_count,
        paper.words.join(","),
        if paper.is_complete { "." } else { "" },
    );
    assert_eq!(found, expected, "{words}");
    assert!(execution.counts.add_up());
}

#[tokio::test]
async fn accounts_for_every_item() {
    check(2, "a b c", "Completed read=3 written=3 filtered=0 skipped=0 warnings=0 out=A,B,C.").await;
    check(2, "", "Completed read=0 written=0 filtered=0 skipped=0 warnings=0 out=.").await;
    check(2, "s1 b c", "Completed read=3 written=2 filtered=0 skipped=1 warnings=1 out=B,C.").await;
    check(2, "a f1 f2 f3 b", "Completed read=5 written=2 filtered=3 skipped=0 warnings=0 out=A,B.").await;
    check(3, "r1 a r2 r3 r4 r5 b", "Completed read=7 written=2 filtered=0 skipped=5 warnings=5 out=A,B.")
        .await;
    check(2, "a w1 b", "Completed read=3 written=2 filtered=0 skipped=1 warnings=1 out=A,B.").await;
    check(9, "r s f w a", "Completed read=5 written=1 filtered=1 skipped=3 warnings=3 out=A.").await;
}

#[tokio::test]
async fn a_chunk_that_fails_leaves_no_trace() {
    check(
        2,
        "a b s1 p! c",
        "Failed(processor `upper`, items 3 to 4 (lines 3 to 4): the processor broke) \
         read=2 written=2 filtered=0 skipped=0 warnings=0 out=A,B",
    )
    .await;
    check(
        2,
        "s1 p!",
        "Failed(processor `upper`, items 1 to 2 (lines 1 to 2): the processor broke) \
         read=0 written=0 filtered=0 skipped=0 warnings=0 out=",
    )
    .await;
    // The paper holds `A`, which no checkpoint names; a restart cuts it off.
    check(
        2,
        "a w!",
        "Failed(writer `pen`, items 1 to 2 (lines 1 to 2): the paper is full) \
         read=0 written=0 filtered=0 skipped=0 warnings=0 out=A",
    )
    .await;
    check(
        1,
        "twice",
        "Failed(processor `upper`, item 1 (line 1): returned an impossible batch: \
         2 rows, 0 skipped and 0 filtered ones came back for 1) \
         read=0 written=0 filtered=0 skipped=0 warnings=0 out=",
    )
    .await;
    check(
        3,
        "a s1 lost",
        "Failed(processor `upper`, items 1 to 3 (lines 1 to 3): returned an impossible batch: \
         1 rows, 1 skipped and 0 filtered ones came back for 3) \
         read=0 written=0 filtered=0 skipped=0 warnings=0 out=",
    )
    .await;
}

#[tokio::test]
async fn a_stop_is_honoured_between_chunks() {
    check(2, "halt b c d e", "Stopped read=2 written=2 filtered=0 skipped=0 warnings=0 out=HALT,B").await;
    check(2, "a b s1 cut e", "Stopped read=2 written=2 filtered=0 skipped=0 warnings=0 out=A,B").await;
    // Everything was read and written before anybody looked: there is nothing left to stop.
    check(2, "a halt", "Completed read=2 written=2 filtered=0 skipped=0 warnings=0 out=A,HALT.").await;
}

#[tokio::test]
async fn resumes_from_the_checkpoint_as_if_undisturbed() {
    let undisturbed = "a s1 f1 b c r1 d w1 e f2 g";
    for chunk in 1..=4 {
        for (at, breaker) in (0..11).flat_map(|at| ["p!", "w!", "cut"].map(|breaker| (at, breaker))) {
            let mut words: Vec<&str> = undisturbed.split(' ').collect();
            words[at] = breaker;
            let (bench, paper) = (Bench::new(true), fresh_paper());
            let (broken, _) = run_words(&words.join(" "), chunk, &bench, paper, None).await;
            let warnings = bench.journal.0.lock().unwrap().warnings.len();
            let resume = bench.journal.0.lock().unwrap().checkpoint.clone().map(|c| (c, broken.counts));

            let bench = Bench::new(true);
            let (execution, outcome) = run_words(undisturbed, chunk, &bench, paper, resume).await;
            let case = format!("chunk {chunk}, {breaker} at {at}");
            assert_eq!(outcome.unwrap(), StepOutcome::Completed(None), "{case}");
            let counts = Counts { read: 11, written: 6, filtered: 2, skipped: 3 };
            assert_eq!(execution.counts, counts, "{case}");
            assert_eq!(paper.lock().unwrap().words.join(""), "ABCDEG", "{case}");
            let later = bench.journal.0.lock().unwrap().warnings.len();
            assert_eq!(warnings + later, 3, "{case}");
        }
    }
}

/// Advances the clock with each item, so that checkpoints fall due.
struct Slow(Words, std::sync::Arc<FakeClock>);

#[async_trait]
impl ItemReader for Slow {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, ElementError> {
        self.0.open(opening).await
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, ElementError> {
        self.1.advance_ms(400);
        self.0.read(limit, chunk).await
    }

    async fn state(&mut self) -> Result<Vec<u8>, ElementError> {
        self.0.state().await
    }
}

#[tokio::test]
async fn commits_about_once_a_second_and_at_the_end() {
    let (bench, paper) = (Bench::new(true), fresh_paper());
    let words = "a b c d e f2 g".split(' ').map(str::to_owned).collect();
    let mut step = ItemStep {
        reader: Box::new(Slow(Words { words, at: 0, context: None }, bench.clock.clone())),
        reader_name: String::new(),
        processors: Vec::new(),
        writer: Box::new(Pen { paper }),
        writer_name: String::new(),
        chunk: ChunkLimit { rows: 1, bytes: u32::MAX },
    };
    let mut execution = StepExecution::new(0, StepName::new("step").unwrap(), bench.clock.now());
    let journey = Journey { execution: &mut execution, context: &bench.context, recorder: &bench.recorder };
    run(&mut step, journey).await.unwrap();
    let saved = bench.journal.0.lock().unwrap();
    assert_eq!(saved.saves, 3, "after items 3 and 6, and at the end");
    assert_eq!(saved.step.as_ref().unwrap().counts.written, 7);
}

#[tokio::test]
async fn names_the_line_of_a_skipped_item() {
    let bench = Bench::new(true);
    run_words("a s1 r1 b w1", 2, &bench, fresh_paper(), None).await.1.unwrap();
    let saved = bench.journal.0.lock().unwrap();
    let places: Vec<_> =
        saved.warnings.iter().map(|w| format!("{} {} {}", w.code, w.place, w.item)).collect();
    assert_eq!(
        places,
        [r#"bad line 2 {"word":"s1"}"#, "unreadable line 3 r1", r#"refused item 5 (line 5) {"word":"W1"}"#,]
    );
}
