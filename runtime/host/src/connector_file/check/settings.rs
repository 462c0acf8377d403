//! The settings of a step beside its elements: how items move, which items may be set aside, what is tried
//! again, and how often the step may begin.

use stepbox_batch::job::{
    Backoff, CHUNK_MS, CheckpointInterval, ChunkLimit, ItemSettings, PARTITIONS_MAX, Rerun, RetryPolicy,
    Share, SkipPolicy, WORKERS_MAX,
};
use stepbox_batch::pattern::Pattern;

use super::super::{Mistake, shape};

/// The maximum of a setting in seconds.
const SECONDS_MAX: f64 = 3600.0;
/// The maximum number of characters in a code or a pattern.
pub(super) const PATTERN_CHARACTERS_MAX: usize = 100;

pub(super) fn of_items(pointer: &str, step: &shape::Step) -> Result<ItemSettings, Mistake> {
    let workers = workers(pointer, step.workers)?;
    Ok(ItemSettings {
        chunk: chunk(pointer, step.chunk.as_ref())?,
        chunk_ms: chunk_ms(&format!("{pointer}/chunk"), step.chunk.as_ref())?,
        workers,
        ordered: ordered(pointer, step.ordered, workers)?,
        checkpoint: checkpoint(&format!("{pointer}/checkpoint"), step.checkpoint.as_ref())?,
        skip: skip(&format!("{pointer}/skip"), step.skip.as_ref())?,
        partitions: partitions(pointer, step)?,
    })
}

/// Only the number is checked here. Whether the elements support parts is checked elsewhere.
fn partitions(pointer: &str, step: &shape::Step) -> Result<u32, Mistake> {
    let count = step.partitions.unwrap_or(1);
    if !(1..=PARTITIONS_MAX).contains(&count) {
        return Err(bad(format!("{pointer}/partitions"), format!("`partitions` is 1 to {PARTITIONS_MAX}"))
            .help("about twice as many as workers run at a time is a good number"));
    }
    Ok(count)
}

fn chunk(pointer: &str, chunk: Option<&shape::Chunk>) -> Result<ChunkLimit, Mistake> {
    let default = ChunkLimit::default();
    let limit = match chunk {
        None => default,
        Some(shape::Chunk::Rows(rows)) => ChunkLimit { rows: *rows, ..default },
        Some(shape::Chunk::All(shape::ChunkLimits { rows, bytes, .. })) => {
            ChunkLimit { rows: rows.unwrap_or(default.rows), bytes: bytes.unwrap_or(default.bytes) }
        }
    };
    if !(1..=1_000_000).contains(&limit.rows) || !(1..=8 << 20).contains(&limit.bytes) {
        let message = "a chunk has 1 to 1,000,000 rows and 1 byte to 8 MiB";
        return Err(Mistake::new("bad-chunk", format!("{pointer}/chunk"), message));
    }
    Ok(limit)
}

fn chunk_ms(pointer: &str, chunk: Option<&shape::Chunk>) -> Result<u64, Mistake> {
    let Some(shape::Chunk::All(shape::ChunkLimits { seconds: Some(seconds), .. })) = chunk else {
        return Ok(CHUNK_MS);
    };
    match milliseconds(pointer, "seconds", *seconds)? {
        0 => Err(bad(format!("{pointer}/seconds"), "`seconds` is more than 0")
            .help("`rows: 1` makes a chunk of each item")),
        ms => Ok(ms),
    }
}

fn workers(pointer: &str, workers: Option<u32>) -> Result<u32, Mistake> {
    let workers = workers.unwrap_or(1);
    if !(1..=WORKERS_MAX).contains(&workers) {
        return Err(bad(format!("{pointer}/workers"), format!("`workers` is 1 to {WORKERS_MAX}"))
            .help("more than the machine has cores gain nothing"));
    }
    Ok(workers)
}

fn ordered(pointer: &str, ordered: Option<bool>, workers: u32) -> Result<bool, Mistake> {
    if ordered.is_some() && workers == 1 {
        let message = "`ordered` has no effect with one worker";
        return Err(Mistake::new("setting-without-effect", format!("{pointer}/ordered"), message)
            .help("leave it out, or set `workers` to 2 or more"));
    }
    Ok(ordered.unwrap_or(true))
}

fn checkpoint(pointer: &str, given: Option<&shape::Checkpoint>) -> Result<CheckpointInterval, Mistake> {
    let default = CheckpointInterval::default();
    let Some(shape::Checkpoint { items, seconds }) = given else { return Ok(default) };
    if items.is_none() && seconds.is_none() {
        return Err(says_nothing(pointer, "checkpoint", "give it `items`, `seconds` or both"));
    }
    if *items == Some(0) {
        return Err(bad(format!("{pointer}/items"), "`items` is at least 1")
            .help("`seconds: 0` makes a checkpoint after every chunk"));
    }
    let ms = seconds.map(|seconds| milliseconds(pointer, "seconds", seconds)).transpose()?;
    Ok(CheckpointInterval { items: *items, ms: ms.unwrap_or(default.ms) })
}

fn skip(pointer: &str, given: Option<&shape::Skip>) -> Result<SkipPolicy, Mistake> {
    let Some(shape::Skip { limit, share, on }) = given else { return Ok(SkipPolicy::default()) };
    if limit.is_none() && share.is_none() && on.is_none() {
        return Err(says_nothing(pointer, "skip", "give it `limit`, `share` or `on`"));
    }
    let parsed = share.as_ref().map(|share| share.parse::<Share>()).transpose();
    let share = parsed.map_err(|error| {
        bad(format!("{pointer}/share"), error.to_string())
            .help("write the share of items that may be skipped: `share: 5%`; `100%` allows all")
    })?;
    let help = "name codes or patterns; `limit: 0` allows no item to be set aside";
    Ok(SkipPolicy { limit: *limit, share, on: codes(pointer, on.as_deref(), help)? })
}

pub(super) fn retry(pointer: &str, given: Option<&shape::Retry>) -> Result<RetryPolicy, Mistake> {
    let Some(shape::Retry { limit, on, backoff: waiting }) = given else { return Ok(RetryPolicy::default()) };
    let pointer = format!("{pointer}/retry");
    let limit = match limit {
        None => {
            return Err(bad(pointer, "`retry` has no `limit`")
                .help("say how many retries the step has in all: `limit: 3`"));
        }
        Some(0) => {
            return Err(bad(format!("{pointer}/limit"), "`limit` is at least 1")
                .help("leave `retry` out to try nothing again"));
        }
        Some(limit) => *limit,
    };
    let on = codes(&pointer, on.as_deref(), "name codes or patterns, or leave `on` out")?;
    Ok(RetryPolicy { limit, on, backoff: backoff(&format!("{pointer}/backoff"), waiting.as_ref())? })
}

fn backoff(pointer: &str, given: Option<&shape::Backoff>) -> Result<Backoff, Mistake> {
    let default = Backoff::default();
    let Some(shape::Backoff { seconds, seconds_max }) = given else { return Ok(default) };
    if seconds.is_none() && seconds_max.is_none() {
        return Err(says_nothing(pointer, "backoff", "give it `seconds`, `seconds_max` or both"));
    }
    let ms = seconds.map(|seconds| milliseconds(pointer, "seconds", seconds)).transpose()?;
    let ms_max = seconds_max.map(|seconds| milliseconds(pointer, "seconds_max", seconds)).transpose()?;
    // If only one of the two is given, the default of the other is adjusted to it.
    let backoff = Backoff {
        ms: ms.unwrap_or(default.ms.min(ms_max.unwrap_or(default.ms))),
        ms_max: ms_max.unwrap_or(default.ms_max.max(ms.unwrap_or_default())),
    };
    if backoff.ms_max < backoff.ms {
        return Err(bad(format!("{pointer}/seconds_max"), "`seconds_max` is less than `seconds`")
            .help("`seconds` is the first wait; each retry in a row doubles it up to `seconds_max`"));
    }
    Ok(backoff)
}

pub(super) fn rerun(given: Option<shape::Rerun>) -> Rerun {
    match given {
        None | Some(shape::Rerun::UnlessCompleted) => Rerun::UnlessCompleted,
        Some(shape::Rerun::Always) => Rerun::Always,
    }
}

pub(super) fn concurrency(pointer: &str, max: Option<u32>) -> Result<Option<u32>, Mistake> {
    match max {
        Some(0) => Err(bad(format!("{pointer}/concurrency"), "`concurrency` is at least 1")
            .help("leave it out to run as many executions of an instance at a time as come")),
        max => Ok(max),
    }
}

pub(super) fn start_limit(pointer: &str, limit: Option<u32>) -> Result<Option<u32>, Mistake> {
    match limit {
        Some(0) => Err(bad(format!("{pointer}/start_limit"), "`start_limit` is at least 1")
            .help("leave it out to set no limit")),
        limit => Ok(limit),
    }
}

/// The list `on` of a setting: codes of failures and warnings.
fn codes(pointer: &str, texts: Option<&[String]>, help: &str) -> Result<Option<Vec<Pattern>>, Mistake> {
    let Some(texts) = texts else { return Ok(None) };
    if texts.is_empty() {
        return Err(bad(format!("{pointer}/on"), "`on` names no code").help(help));
    }
    for (index, text) in texts.iter().enumerate() {
        let is_code_like = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c);
        if !(1..=PATTERN_CHARACTERS_MAX).contains(&text.chars().count()) || !text.chars().all(is_code_like) {
            let message = format!(
                "`{text}` is no code: 1 to {PATTERN_CHARACTERS_MAX} lower-case letters, digits, `-`, `*` and `?`"
            );
            return Err(Mistake::new("bad-pattern", format!("{pointer}/on/{index}"), message)
                .help("write a code such as `bad-date`, or a pattern such as `bad-*`"));
        }
    }
    Ok(Some(texts.iter().map(Pattern::new).collect()))
}

fn milliseconds(pointer: &str, key: &str, seconds: f64) -> Result<u64, Mistake> {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(bad(format!("{pointer}/{key}"), format!("`{key}` is 0 to 3,600"))
            .help("write a number of seconds, such as `0.5`"));
    }
    Ok((seconds * 1000.0).round() as u64)
}

fn bad(pointer: String, message: impl Into<String>) -> Mistake {
    Mistake::new("bad-setting", pointer, message)
}

pub(super) fn says_nothing(pointer: &str, key: &str, help: &str) -> Mistake {
    Mistake::new("setting-without-effect", pointer, format!("`{key}` says nothing"))
        .help(format!("{help}, or leave it out"))
}
