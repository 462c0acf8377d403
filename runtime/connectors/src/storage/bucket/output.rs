//! The files of an output in a bucket. An object cannot grow. So the bytes between two checkpoints become an object of
//! their own, `.products.csv.118.part/000001.118-3-5f0c2a97`. Completing the output joins these objects to one.
//!
//! The end of such a name is unique to the attempt, and begins with its execution and its lease. So a worker that lost
//! its lease, and does not know yet, cannot overwrite an object of the new worker. A later attempt may remove the
//! objects of an earlier one, never the other way round.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use stepbox_batch::log::LogLevel;
use stepbox_batch::run_context::Attempt;
use stepbox_batch::step_context::StepContext;

use super::{Bucket, Difference, Pending, Source};
use crate::error::{ConnectorError, Result};
use crate::fingerprint::Digest;
use crate::storage::names::{attempt, stem_of, temporary_of};
use crate::storage::output::{Absorption, Content, Found, OutputFiles, Parts, Piece, Run};

/// How many bytes are collected before they are sent without waiting for a checkpoint.
const PART_BYTES: usize = 8 << 20;
/// How many parts are sent at the same time. Each is kept in memory.
const UPLOADS_MAX: usize = 2;

pub(super) struct BucketFiles {
    bucket: Bucket,
    given: String,
    /// The folder of the parts, with a `/` at its end. Fragments have folders of their own.
    folder: String,
    context: StepContext,
    /// The run, for the metadata of the output.
    run: String,
    attempt: Attempt,
    /// The end of the names of the parts that this attempt writes.
    by: String,
    /// The number of the next part.
    next: u64,
    state: Parts,
    /// All parts of the state, in order.
    parts: Vec<Part>,
    is_open: bool,
    /// Bytes that are not sent yet.
    collected: Vec<u8>,
    uploads: VecDeque<Pending<()>>,
    /// Digest of the bytes of the last file that this attempt has sent.
    digest: Digest,
}

struct Part {
    path: String,
    /// The length in bytes; `None` if the part is gone.
    length: Option<u64>,
}

impl BucketFiles {
    pub(super) fn new(
        bucket: &Bucket,
        path: &str,
        temporary: &str,
        context: &StepContext,
        state: Parts,
    ) -> Result<Self> {
        let attempt = context.run().attempt;
        let mut unique = [0; 4];
        getrandom::fill(&mut unique).map_err(|error| {
            ConnectorError::file("name the parts of", path, std::io::Error::other(error.to_string()))
        })?;
        let by = format!("{}-{}-{:08x}", attempt.execution, attempt.token, u32::from_be_bytes(unique));
        let own = state.runs.iter().filter(|run| run.of.is_none());
        let next = own.map(|run| run.first.saturating_add(run.count)).max().unwrap_or(1);
        bucket.check_path(path)?;
        let bucket = bucket.within(context.gate());
        Ok(Self {
            folder: folder_of(&bucket, path, temporary)?,
            bucket,
            context: context.clone(),
            given: path.to_owned(),
            run: context.run().info.id.to_string(),
            attempt,
            by,
            next,
            state,
            parts: Vec::new(),
            is_open: false,
            collected: Vec::new(),
            uploads: VecDeque::new(),
            digest: Digest::default(),
        })
    }

    /// Checks which parts exist, and removes those that no checkpoint names. It does not remove parts that were written
    /// under the same lease: if this worker has lost the lease by now, a newer checkpoint may name them.
    fn load(&mut self) -> Result<()> {
        let mut found: BTreeMap<String, u64> = self.bucket.list(&self.folder)?.into_iter().collect();
        let fragments: BTreeSet<&String> = self.state.runs.iter().filter_map(|run| run.of.as_ref()).collect();
        for temporary in fragments {
            found.extend(self.bucket.list(&folder_of(&self.bucket, &self.given, temporary)?)?);
        }
        for run in &self.state.runs {
            for path in self.paths_of(run)? {
                let length = found.remove(&path);
                self.parts.push(Part { path, length });
            }
        }
        let folder = self.folder.clone();
        self.remove_earlier(found.into_keys().filter(|path| path.starts_with(&folder)))
    }

    /// The paths of the parts that one attempt wrote.
    fn paths_of(&self, run: &Run) -> Result<Vec<String>> {
        let folder = match &run.of {
            None => self.folder.clone(),
            Some(temporary) => folder_of(&self.bucket, &self.given, temporary)?,
        };
        let numbers = run.first..run.first.saturating_add(run.count);
        Ok(numbers.map(|number| part_path(&folder, number, &run.by)).collect())
    }

    /// Removes the parts among these that were written under earlier leases.
    fn remove_earlier(&self, paths: impl Iterator<Item = String>) -> Result<()> {
        let is_earlier = |path: &String| attempt_in(path).is_some_and(|attempt| attempt < self.attempt);
        self.bucket.remove(paths.filter(is_earlier).collect())
    }

    /// The range of a file in `parts`.
    fn range(&self, number: Option<u64>) -> Range<usize> {
        let index = number.unwrap_or(1).saturating_sub(1) as usize;
        let all = self.parts.len();
        let begin = |index: usize| self.state.files.get(index).map_or(all, |&at| all.min(at as usize));
        begin(index)..begin(index + 1).max(begin(index))
    }

    fn send_collected(&mut self) -> Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let (bytes, number) = (std::mem::take(&mut self.collected), self.next);
        let (path, length) = (part_path(&self.folder, number, &self.by), bytes.len() as u64);
        let run = self.own_run(number);
        let before = run.content.as_ref().map_or(0, |content| content.bytes);
        run.count += 1;
        self.digest.add(&bytes);
        let digest = self.digest.to_string();
        if let Some(run) = self.state.runs.last_mut() {
            run.content = Some(Content { bytes: before + length, digest });
        }
        self.uploads.push_back(self.bucket.begin_write(&path, bytes));
        self.parts.push(Part { path, length: Some(length) });
        self.next += 1;
        self.wait_for_uploads(UPLOADS_MAX - 1)
    }

    /// The run of parts that this attempt has written for the last file. A new run begins with this number.
    fn own_run(&mut self, number: u64) -> &mut Run {
        let begins_at = self.state.files.last().copied().unwrap_or_default();
        let all = self.parts.len() as u64;
        let is_own =
            |run: &Run| run.of.is_none() && run.by == self.by && all - run.count.min(all) >= begins_at;
        if !self.state.runs.last().is_some_and(is_own) {
            self.digest = Digest::default();
            let by = self.by.clone();
            self.state.runs.push(Run { of: None, by, first: number, count: 0, content: None });
        }
        self.state.runs.last_mut().expect("there is one by now")
    }

    /// The sources of a file. The content of a run of parts is known only if all of them belong to the file.
    fn sources(&self, range: Range<usize>) -> Vec<Source> {
        let (mut sources, mut at) = (Vec::new(), 0);
        for run in &self.state.runs {
            let (from, to) = (at, self.parts.len().min(at + run.count as usize));
            at = to;
            let within = from.max(range.start)..to.min(range.end);
            if within.is_empty() {
                continue;
            }
            let content = run.content.clone().filter(|_| within == (from..to));
            let part = |part: &Part| (part.path.clone(), part.length.unwrap_or_default());
            sources.push(Source { parts: self.parts[within].iter().map(part).collect(), content });
        }
        sources
    }

    /// Logs a failure to remove what is left. The output is complete nevertheless.
    fn clear_away(&self, removed: Result<()>) {
        if let Err(error) = removed {
            let message = format!("the output is complete, but its parts are left in the bucket: {error}");
            self.context.log(LogLevel::Warning, &message);
        }
    }

    /// Waits until at most `max` parts are being sent.
    fn wait_for_uploads(&mut self, max: usize) -> Result<()> {
        while self.uploads.len() > max {
            let Some(upload) = self.uploads.pop_front() else { break };
            upload.wait().map_err(|error| self.bucket.failed("write", &self.given, &error))?;
        }
        Ok(())
    }
}

impl OutputFiles for BucketFiles {
    fn given(&self) -> &str {
        &self.given
    }

    fn name(&self) -> &str {
        self.given.rsplit('/').next().unwrap_or(&self.given)
    }

    fn address(&self, name: &str) -> String {
        self.bucket.address(&in_same_folder(&self.given, name))
    }

    fn temporary(&self, number: Option<u64>) -> String {
        let folder = self.folder.trim_end_matches('/');
        temporary_of(folder.rsplit('/').next().unwrap_or(folder), &[], number)
    }

    /// An output replaces any object, so there is nothing to check.
    fn check_final_name(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn begin(&mut self, number: Option<u64>) -> Result<()> {
        if number.unwrap_or(1) == 1 {
            self.load()?;
        }
        self.state.files.push(self.parts.len() as u64);
        self.is_open = true;
        Ok(())
    }

    fn go_on(&mut self, number: Option<u64>, _: u64) -> Result<Option<Found>> {
        self.load()?;
        let length = self.length_of(number)?;
        self.is_open = length.is_some();
        Ok(length.map(|length| Found { length, copied: 0 }))
    }

    /// Checks only a complete output: until then nothing that this attempt writes disturbs another one.
    fn check_is_ours(&self, is_complete: bool) -> Result<()> {
        if !is_complete {
            return Ok(());
        }
        let mut found = self.bucket.list(&self.folder)?.into_iter();
        let is_later = |(path, _): (String, u64)| attempt_in(&path).is_some_and(|by| by > self.attempt);
        if found.any(is_later) {
            return Err(ConnectorError::OutputTakenOver { path: self.given.clone() });
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.collected.extend_from_slice(bytes);
        if self.collected.len() < PART_BYTES { Ok(()) } else { self.send_collected() }
    }

    fn sync(&mut self) -> Result<()> {
        self.send_collected()?;
        self.wait_for_uploads(0)
    }

    fn length_of(&self, number: Option<u64>) -> Result<Option<u64>> {
        Ok(self.parts[self.range(number)].iter().map(|part| part.length).sum())
    }

    fn final_length_of(&self, name: &str) -> Result<Option<u64>> {
        let found = self.bucket.find(&in_same_folder(&self.given, name))?;
        Ok(found.filter(|object| object.is_by(&self.run)).map(|object| object.length))
    }

    /// Nothing is left to remove: `load` has removed the parts that no checkpoint names.
    fn remove_after(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn show(&mut self, number: Option<u64>, name: &str, is_last: bool) -> Result<()> {
        let range = self.range(number);
        let length = self.length_of(number)?.unwrap_or_default();
        let paths: Vec<String> = self.parts[range.clone()].iter().map(|part| part.path.clone()).collect();
        let to = in_same_folder(&self.given, name);
        let path = || in_same_folder(&self.given, name);
        self.bucket.join(self.sources(range.clone()), length, &to, &self.run)?.map_err(
            |other| match other {
                Difference::Parts { first } => {
                    let difference = format!("`{first}` or a part after it holds other bytes");
                    ConnectorError::OutputChanged { path: path(), difference }
                }
                Difference::Kept(difference) => ConnectorError::OutputNotKept { path: path(), difference },
            },
        )?;
        self.clear_away(self.bucket.remove(paths));
        // A file that is complete no longer has a length in its parts.
        self.parts[range].iter_mut().for_each(|part| part.length = None);
        self.is_open &= !is_last;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let is_ours = |path: &String| attempt_in(path).is_some_and(|attempt| attempt <= self.attempt);
        let left = self.bucket.list(&self.folder);
        let left = left.map(|left| left.into_iter().map(|(path, _)| path).filter(is_ours).collect());
        self.clear_away(left.and_then(|left| self.bucket.remove(left)));
        Ok(())
    }

    /// The parts of a fragment become parts of the output, all at once. Nothing is copied before the output is
    /// complete.
    fn absorb(&mut self, fragment: &Piece<'_>, _: u64) -> Result<Absorption> {
        let temporary = fragment.temporary;
        self.sync()?;
        let found = self.bucket.list(&folder_of(&self.bucket, &self.given, temporary)?)?;
        let found: BTreeMap<String, u64> = found.into_iter().collect();
        let (mut runs, mut parts) = (Vec::new(), Vec::new());
        for run in fragment.parts.iter().flat_map(|parts| &parts.runs) {
            let run = Run { of: Some(temporary.to_owned()), ..run.clone() };
            for path in self.paths_of(&run)? {
                let length = found.get(&path).copied();
                parts.push(Part { path, length });
            }
            runs.push(run);
        }
        let length: Option<u64> = parts.iter().map(|part| part.length).sum();
        if length != Some(fragment.length) {
            let difference = format!("`{temporary}` is gone, or a part of it");
            return Err(ConnectorError::OutputChanged { path: self.given.clone(), difference });
        }
        self.state.runs.append(&mut runs);
        self.parts.append(&mut parts);
        Ok(Absorption { bytes: fragment.length, copied: 0 })
    }

    /// Removes the fragments of any attempt: their executions have ended.
    fn remove_fragments(&self, temporaries: &[String]) -> Result<()> {
        for temporary in temporaries {
            let left = self.bucket.list(&folder_of(&self.bucket, &self.given, temporary)?);
            let left = left.map(|left| left.into_iter().map(|(path, _)| path).collect());
            self.clear_away(left.and_then(|left| self.bucket.remove(left)));
        }
        Ok(())
    }

    fn parts(&self) -> Option<Parts> {
        Some(self.state.clone())
    }
}

/// Removes the unfinished parts that a run has left of an output and of its fragments.
pub(super) fn remove_left_over(bucket: &Bucket, path: &str, temporary: &str) -> Result<()> {
    bucket.check_path(path)?;
    let stem = in_same_folder(path, stem_of(temporary));
    let is_ours = |path: &String| {
        let folder =
            path.strip_prefix(&*stem).and_then(|rest| rest.split_once('/')).map(|(folder, _)| folder);
        let fragment = folder.and_then(|folder| folder.strip_prefix(".p")?.strip_suffix(".part"));
        let is_fragment = fragment.is_some_and(|number| number.parse::<u32>().is_ok());
        (folder == Some(".part") || is_fragment) && attempt_in(path).is_some()
    };
    let found = bucket.list(&stem)?;
    bucket.remove(found.into_iter().map(|(path, _)| path).filter(is_ours).collect())
}

/// A path with another last part.
fn in_same_folder(path: &str, name: &str) -> String {
    path.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

/// The folder of the parts of a temporary name, with a `/` at its end.
fn folder_of(bucket: &Bucket, path: &str, temporary: &str) -> Result<String> {
    let folder = in_same_folder(path, temporary);
    bucket.check_path(&folder)?;
    Ok(folder + "/")
}

fn part_path(folder: &str, number: u64, by: &str) -> String {
    format!("{folder}{number:06}.{by}")
}

/// The attempt in the name of a part.
fn attempt_in(path: &str) -> Option<Attempt> {
    let (_, by) = path.rsplit('/').next()?.split_once('.')?;
    attempt(by)
}
