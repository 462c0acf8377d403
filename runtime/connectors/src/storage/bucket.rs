//! A bucket below a prefix: the requests of readers and writers, for every provider.
//!
//! Elements work on the thread that calls them, so each call here waits on its thread. A small runtime sends the
//! requests. It is made when the first bucket is used, and all buckets share it.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use opendal_core::{ErrorKind, Metadata, Operator};
use opendal_layer_retry::RetryLayer;
use opendal_layer_timeout::TimeoutLayer;
use stepbox_batch::gate::Gate;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use super::output::Content;
use crate::error::{ConnectorError, Result};
use crate::fingerprint::Digest;

mod answer;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod input;
mod output;
mod page;
pub(crate) mod problem;
mod storage;
#[cfg(test)]
mod tests;
mod transport;

use self::answer::BadAnswer;
pub(super) use self::answer::Door;
use self::answer::{ASKED, Asked};
use self::problem::BucketProblem;
pub(super) use self::storage::BucketStorage;
pub(super) use self::transport::Transport;

/// The largest length of a key, in bytes: the limit of S3.
const KEY_BYTES_MAX: usize = 1024;
/// How many bytes of a key are reserved for what its temporary name adds.
const KEY_BYTES_RESERVED: usize = 128;
/// How long one request may take, in seconds. A request that takes longer is sent again.
const REQUEST_SECONDS_MAX: u64 = 30;
/// How often a request is sent again after a failure that may pass, with 0.1, 0.2, 0.4 … seconds between the attempts.
/// This is about six seconds in all: with more patience, the lease would end first.
const RETRIES_MAX: usize = 6;
/// The smallest size of a part of a multipart upload, in bytes.
const UPLOAD_BYTES: u64 = 8 << 20;
/// The largest number of parts of an upload. S3 allows 10,000.
const UPLOAD_PARTS_MAX: u64 = 9_000;
/// The largest total length of the names of a list, in bytes. Each name counts [`NAME_BYTES`] more.
const NAMES_BYTES_MAX: usize = 64 << 20;
/// How many bytes a name takes beside its letters.
const NAME_BYTES: usize = 64;
/// The key in the metadata of an output with the number of its run. By it, a restart recognises its own output.
const RUN_KEY: &str = "stepbox-run";

/// How often a waiting call checks whether its step still waits for the answer, in milliseconds.
const LOOK_MS: u64 = 100;

/// A bucket below a prefix. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub(crate) struct Bucket {
    inner: Arc<Inner>,
    /// The gate of a step, which ends its requests when the step is left behind; `None` outside of steps.
    gate: Option<Gate>,
}

struct Inner {
    /// The operator's name for the storage.
    storage: String,
    /// The address: `s3://acme/exchange/`.
    address: String,
    /// The length of the prefix of each key, in bytes.
    prefix_bytes: usize,
    operator: Operator,
}

/// The object under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// The length in bytes.
    pub(crate) length: u64,
    /// The version. Other content has another version.
    pub(crate) version: Option<String>,
    /// The run that made the object as an output.
    run: Option<String>,
    /// Whether the server keeps the run in the metadata.
    keeps_run: bool,
}

impl Object {
    /// Whether the object may be an output of a run.
    pub(crate) fn is_by(&self, run: &str) -> bool {
        !self.keeps_run || self.run.as_deref() == Some(run)
    }
}

/// Objects that one attempt wrote one after the other, with their lengths according to the bucket.
pub(crate) struct Source {
    pub(crate) parts: Vec<(String, u64)>,
    /// Their content together, as the attempt recorded it; `None` in states from before this was recorded.
    pub(crate) content: Option<Content>,
}

/// Why an object differs from its parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// These parts contain other bytes than were written.
    Parts {
        /// The path of the first part.
        first: String,
    },
    /// The bucket confirmed the object, and then shows another one.
    Kept(String),
}

/// A request that is being sent or answered. Dropping it breaks the request off.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    answer: Receiver<opendal_core::Result<T>>,
    gate: Option<Gate>,
    task: Option<AbortHandle>,
}

impl<T> Pending<T> {
    /// Waits for the result of the request, but not longer than the step that asks.
    pub(crate) fn wait(self) -> opendal_core::Result<T> {
        let broken_off = |why| Err(opendal_core::Error::new(ErrorKind::Unexpected, why));
        loop {
            match self.answer.recv_timeout(Duration::from_millis(LOOK_MS)) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return broken_off("the request has panicked"),
                Err(RecvTimeoutError::Timeout) if self.gate.as_ref().is_some_and(Gate::is_closed) => {
                    return broken_off("nobody waits for the request any more");
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Bucket {
    /// A bucket with repeated attempts if it does not answer. `storage` is the operator's name for it. `address` is
    /// that of the whole bucket; all paths begin below the prefix.
    pub(crate) fn new(operator: Operator, storage: &str, mut address: String, prefix: &str) -> Self {
        let seconds = Duration::from_secs(REQUEST_SECONDS_MAX);
        let timeout = TimeoutLayer::new().with_timeout(seconds).with_io_timeout(seconds);
        let retry = RetryLayer::new()
            .with_min_delay(Duration::from_millis(100))
            .with_factor(2.0)
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(RETRIES_MAX)
            .with_jitter();
        if !prefix.is_empty() {
            address = format!("{address}{prefix}/");
        }
        Self::bare(operator.layer(timeout).layer(retry), storage, address, prefix.len())
    }

    /// A bucket that sends each request once, and waits for as long as it takes.
    fn bare(operator: Operator, storage: &str, address: String, prefix_bytes: usize) -> Self {
        let storage = storage.to_owned();
        Self { inner: Arc::new(Inner { storage, address, prefix_bytes, operator }), gate: None }
    }

    /// A bucket in memory, for tests of the code that uses buckets.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        let operator = Operator::new(opendal_core::services::Memory::default()).expect("it needs nothing");
        Self::new(operator, "exchange", "s3://acme/".to_owned(), "exchange")
    }

    /// The same bucket for a step. No request lasts longer than the step.
    pub(crate) fn within(&self, gate: &Gate) -> Self {
        Self { inner: self.inner.clone(), gate: Some(gate.clone()) }
    }

    /// The complete address of a path.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.inner.address)
    }

    /// Fails unless a path names an object below the prefix, and one that every tool can name as well.
    pub(crate) fn check_path(&self, path: &str) -> Result<()> {
        let problem = match path {
            "" => "is empty",
            _ if path.chars().any(char::is_control) => "holds a character that does not print",
            _ if path.starts_with('/') => "begins with `/`, which a path in a bucket does not",
            _ if path.ends_with('/') => "names a folder, not a file",
            _ if path.split('/').any(|part| matches!(part, "" | "." | "..")) => {
                "has a part that is empty, `.` or `..`"
            }
            _ if path.split('/').any(|part| part.trim() != part) => "has white space around one of its parts",
            _ if self.inner.prefix_bytes + path.len() > KEY_BYTES_MAX - KEY_BYTES_RESERVED => {
                "is longer than a path may be"
            }
            _ => return Ok(()),
        };
        Err(ConnectorError::BadPath { path: path.to_owned(), problem })
    }

    /// The object under a path; `None` if there is none.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Object>> {
        let key = path.to_owned();
        let found = self.send(|operator| async move { operator.stat(&key).await }).wait();
        match found {
            Ok(found) => Ok(Some(Object {
                length: found.content_length(),
                version: found.etag().map(str::to_owned),
                keeps_run: self.inner.operator.info().capability().write_with_user_metadata,
                run: found.user_metadata().and_then(|all| all.get(RUN_KEY).map(str::to_owned)),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The answer to a request for an object's metadata gives no reason: the bucket itself may be missing.
                self.list(path)?;
                Ok(None)
            }
            Err(error) => Err(self.failed("look for", path, &error)),
        }
    }

    /// Begins to read a range of an object. The read fails if the version or the length of the object has changed.
    pub(crate) fn begin_read(
        &self,
        path: &str,
        object: &Object,
        range: std::ops::Range<u64>,
    ) -> Pending<Bytes> {
        let (key, version) = (path.to_owned(), object.version.clone());
        let asked = Asked { object_bytes: Some(object.length), ..Asked::default() };
        self.send_asking(asked, move |operator| async move {
            let mut read = operator.read_with(&key).range(range);
            if let Some(version) = &version {
                read = read.if_match(version);
            }
            Ok(read.await?.to_bytes())
        })
    }

    /// The content of an object; `None` if there is no object. More than `bytes_max` bytes are an error.
    pub(crate) fn read(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>> {
        let key = path.to_owned();
        let asked = Asked { bytes_max: Some(bytes_max), ..Asked::default() };
        let read =
            self.send_asking(asked, |operator| async move { Ok(operator.read(&key).await?.to_bytes()) });
        match read.wait() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", path, &error)),
        }
    }

    /// Begins to write an object in one request. The object is durable and visible when the request has ended.
    pub(crate) fn begin_write(&self, path: &str, bytes: Vec<u8>) -> Pending<()> {
        let key = path.to_owned();
        self.send(|operator| async move { operator.write(&key, bytes).await.map(drop) })
    }

    /// Writes an object unless one exists. Returns whether it was written. A bucket that does not know this condition
    /// replaces an object that came after the last check.
    pub(crate) fn write_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        let (key, content) = (path.to_owned(), bytes.clone());
        let written = self.send(|operator| async move {
            operator.write_with(&key, content).if_not_exists(true).await.map(drop)
        });
        match written.wait() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConditionNotMatch => Ok(false),
            Err(error) if BucketProblem::of(&error).is_unknown_condition() => {
                let written = self.begin_write(path, bytes).wait();
                written.map(|()| true).map_err(|error| self.failed("write", path, &error))
            }
            Err(error) => Err(self.failed("write", path, &error)),
        }
    }

    /// Joins objects to one object, which becomes visible only when it is complete. Then checks that the bucket has
    /// what was written.
    pub(crate) fn join(
        &self,
        from: Vec<Source>,
        length: u64,
        to: &str,
        run: &str,
    ) -> Result<std::result::Result<(), Difference>> {
        let chunk = UPLOAD_BYTES.max(length / UPLOAD_PARTS_MAX) as usize;
        let (key, run) = (to.to_owned(), run.to_owned());
        let gate = self.gate.clone().unwrap_or_default();
        let keeps_run = self.inner.operator.info().capability().write_with_user_metadata;
        let joined = self.send(move |operator| async move {
            let metadata = HashMap::from([(RUN_KEY.to_owned(), run.clone())]);
            let writer = operator.writer_with(&key).chunk(chunk).concurrent(2).user_metadata(metadata);
            let mut writer = writer.await?;
            let closed = match copy(&operator, from, &mut writer, &gate).await {
                Ok(Ok(())) => writer.close().await?,
                not_whole => {
                    // What remains is not visible. The bucket's rule for unfinished uploads removes it.
                    let _ = writer.abort().await;
                    return not_whole;
                }
            };
            gate.moved();
            let kept = match operator.stat(&key).await {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                kept => Some(kept?),
            };
            Ok(confirm(&closed, kept.as_ref(), length, keeps_run.then_some(&*run)))
        });
        joined.wait().map_err(|error| self.failed("complete", to, &error))
    }

    /// The objects whose paths begin with `path`, with their lengths in bytes, sorted by name.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<(String, u64)>> {
        let key = path.to_owned();
        let listed = self.send(|operator| async move {
            let mut entries = operator.lister_with(&key).recursive(true).await?;
            let (mut files, mut bytes) = (Vec::new(), 0);
            while let Some(entry) = entries.try_next().await? {
                bytes += entry.path().len() + NAME_BYTES;
                if bytes > NAMES_BYTES_MAX {
                    return Err(BadAnswer::EndlessList.into());
                }
                if entry.metadata().is_file() && entry.path().starts_with(&key) {
                    files.push((entry.path().to_owned(), entry.metadata().content_length()));
                }
            }
            Ok(files)
        });
        let mut files = listed.wait().map_err(|error| self.failed("list", path, &error))?;
        files.sort();
        Ok(files)
    }

    /// Removes objects. It is not an error if an object does not exist.
    pub(crate) fn remove(&self, paths: Vec<String>) -> Result<()> {
        let Some(first) = paths.first().cloned() else { return Ok(()) };
        let removed = self.send(|operator| async move { operator.delete_iter(paths).await });
        removed.wait().map_err(|error| self.failed("remove", &first, &error))
    }

    /// The error in our words: the texts of the library contain addresses and headers.
    pub(crate) fn failed(
        &self,
        action: &'static str,
        path: &str,
        error: &opendal_core::Error,
    ) -> ConnectorError {
        let (storage, path) = (self.inner.storage.clone(), path.to_owned());
        ConnectorError::Bucket { action, storage, path, problem: BucketProblem::of(error) }
    }

    fn send<T: Send + 'static, F>(&self, request: impl FnOnce(Operator) -> F) -> Pending<T>
    where
        F: Future<Output = opendal_core::Result<T>> + Send + 'static,
    {
        self.send_asking(Asked::default(), request)
    }

    fn send_asking<T: Send + 'static, F>(
        &self,
        asked: Asked,
        request: impl FnOnce(Operator) -> F,
    ) -> Pending<T>
    where
        F: Future<Output = opendal_core::Result<T>> + Send + 'static,
    {
        let (sender, receiver): (SyncSender<_>, _) = sync_channel(1);
        let request = ASKED.scope(asked, request(self.inner.operator.clone()));
        let task = match runtime() {
            Ok(runtime) => {
                // If the element has ended, the answer has no receiver any more.
                let work = async move { drop(sender.send(request.await)) };
                Some(runtime.spawn(work).abort_handle())
            }
            Err(error) => {
                let error = opendal_core::Error::new(ErrorKind::Unexpected, error.clone());
                let _ = sender.send(Err(error));
                None
            }
        };
        Pending { answer: receiver, gate: self.gate.clone(), task }
    }
}

/// Copies the bytes of all parts, and checks that they are the bytes that were written.
async fn copy(
    operator: &Operator,
    from: Vec<Source>,
    writer: &mut opendal_core::Writer,
    gate: &Gate,
) -> opendal_core::Result<std::result::Result<(), Difference>> {
    for Source { parts, content } in from {
        let first = parts.first().map(|(path, _)| path.clone()).unwrap_or_default();
        let bytes_max = content.as_ref().map_or(u64::MAX, |content| content.bytes);
        let parts = stream::iter(parts).map(|(path, length)| {
            let asked = Asked { bytes_max: Some(length.min(bytes_max)), ..Asked::default() };
            ASKED.scope(asked, async move { operator.read(&path).await })
        });
        let mut parts = parts.buffered(2);
        let (mut bytes, mut digest) = (0, Digest::default());
        while let Some(part) = parts.try_next().await? {
            bytes += part.len() as u64;
            for piece in part.clone() {
                digest.add(&piece);
            }
            writer.write(part).await?;
            gate.moved();
        }
        if content.is_some_and(|content| content != Content { bytes, digest: digest.to_string() }) {
            return Ok(Err(Difference::Parts { first }));
        }
    }
    Ok(Ok(()))
}

/// Checks that the object in the bucket is the one that the bucket has confirmed.
fn confirm(
    closed: &Metadata,
    kept: Option<&Metadata>,
    length: u64,
    run: Option<&str>,
) -> std::result::Result<(), Difference> {
    let other = |what: String| Err(Difference::Kept(what));
    let Some(kept) = kept else { return other("has no object of that name".to_owned()) };
    let tag = |metadata: &Metadata| metadata.etag().map(|tag| tag.trim_matches('"').to_owned());
    if kept.content_length() != length {
        return other(format!("has {} bytes of {length}", kept.content_length()));
    }
    let by = kept.user_metadata().and_then(|all| all.get(RUN_KEY));
    if run.is_some_and(|run| by != Some(run)) {
        return other("has an object there that is not this run's".to_owned());
    }
    match (tag(closed), tag(kept)) {
        (Some(closed), Some(kept)) if closed != kept => other("has other bytes there".to_owned()),
        _ => Ok(()),
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.inner.storage).field(&self.inner.address).finish()
    }
}

/// Two threads for the requests of all buckets. They wait for the network most of the time.
fn runtime() -> &'static std::result::Result<Runtime, String> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("stepbox-bucket").enable_all().build();
        runtime.map_err(|error| format!("no thread for requests: {error}"))
    })
}
