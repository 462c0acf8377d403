//! A bucket that speaks S3, below a prefix: what readers and writers ask of it.
//!
//! Elements work in place, so each call here waits on the thread that makes it; requests are sent by a small
//! runtime of their own, which is made when the first bucket is used and shared by all.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use opendal_core::{ErrorKind, HttpTransporter, OperationContext, Operator};
use opendal_layer_retry::RetryLayer;
use opendal_layer_timeout::TimeoutLayer;
use opendal_service_s3::S3;
use secrecy::ExposeSecret;
use tokio::runtime::{Builder, Runtime};

use crate::error::{ConnectorError, Result};
use crate::storages::S3Settings;

mod input;
mod problem;
#[cfg(test)]
mod tests;
mod transport;

pub(crate) use self::input::BucketInput;
pub use self::problem::BucketProblem;

/// How long a key may be, in bytes: S3's own limit.
const KEY_BYTES_MAX: usize = 1024;
/// How much of a key its temporary name may need beside it, in bytes.
const KEY_BYTES_RESERVED: usize = 128;
/// How long one request may take, in seconds: one that hangs is sent again.
const REQUEST_SECONDS_MAX: u64 = 30;
/// How often a request is sent again after one that failed for the moment, with 0.1, 0.2, 0.4 … seconds
/// between them: about six seconds in all, since the lease ends sooner than patience would.
const RETRIES_MAX: usize = 6;
/// How much a part of a multipart upload holds at least, in bytes.
const UPLOAD_BYTES: u64 = 8 << 20;
/// How many parts an upload may have; S3 takes 10,000.
const UPLOAD_PARTS_MAX: u64 = 9_000;
/// What the metadata of an output names its run by, so that a restart knows its own.
const RUN_KEY: &str = "stepbox-run";

/// A bucket below a prefix. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub(crate) struct Bucket(Arc<Inner>);

struct Inner {
    /// What the operator calls it.
    storage: String,
    /// `s3://acme/exchange/`
    address: String,
    /// How many bytes of each key are the prefix.
    prefix_bytes: usize,
    operator: Operator,
}

/// What there is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// In bytes.
    pub(crate) length: u64,
    /// Another one for other content.
    pub(crate) version: Option<String>,
    /// The run that an output was made by.
    run: Option<String>,
    /// Whether the server keeps that.
    keeps_run: bool,
}

impl Object {
    /// Whether it may be an output of a run.
    pub(crate) fn is_by(&self, run: &str) -> bool {
        !self.keeps_run || self.run.as_deref() == Some(run)
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Pending<T>(Receiver<opendal_core::Result<T>>);

impl<T> Pending<T> {
    /// Waits for what it comes to.
    pub(crate) fn wait(self) -> opendal_core::Result<T> {
        self.0.recv().unwrap_or_else(|RecvError| {
            Err(opendal_core::Error::new(ErrorKind::Unexpected, "the request has panicked"))
        })
    }
}

impl Bucket {
    /// Opens a bucket, without a request.
    pub(crate) fn new(storage: &str, settings: &S3Settings) -> Result<Self> {
        let prefix = settings.prefix.trim_end_matches('/');
        let mut builder = S3::default()
            .root(&format!("/{prefix}"))
            .bucket(&settings.bucket)
            .region(&settings.region)
            .access_key_id(settings.access_key_id.expose_secret())
            .secret_access_key(settings.secret_access_key.expose_secret())
            // Neither the environment nor the machine has a say in who we are.
            .disable_config_load()
            .disable_ec2_metadata();
        match &settings.endpoint {
            Some(endpoint) => builder = builder.endpoint(endpoint),
            None if !settings.bucket.contains('.') => builder = builder.enable_virtual_host_style(),
            None => {}
        }
        let bad = |error: opendal_core::Error| ConnectorError::BadStorage {
            storage: storage.to_owned(),
            problem: error.message().to_owned(),
        };
        let operator = Operator::new(builder).map_err(bad)?;
        let context = OperationContext::default();
        let transporter = HttpTransporter::new(transport::Transport::new());
        let operator = operator.with_context(context.with_http_transport(transporter));
        Ok(Self::of(operator, storage, format!("s3://{}/", settings.bucket), prefix))
    }

    fn of(operator: Operator, storage: &str, mut address: String, prefix: &str) -> Self {
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
        let (storage, prefix_bytes) = (storage.to_owned(), prefix.len());
        let operator = operator.layer(timeout).layer(retry);
        Self(Arc::new(Inner { storage, address, prefix_bytes, operator }))
    }

    /// The same without a network, for tests of what is built on it.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        let operator = Operator::new(opendal_core::services::Memory::default()).expect("it needs nothing");
        Self::of(operator, "exchange", "s3://acme/".to_owned(), "exchange")
    }

    /// The whole address of a path.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.0.address)
    }

    /// Whether a path names an object below the prefix, and one that every tool can name as well.
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
            _ if self.0.prefix_bytes + path.len() > KEY_BYTES_MAX - KEY_BYTES_RESERVED => {
                "is longer than a path may be"
            }
            _ => return Ok(()),
        };
        Err(ConnectorError::BadPath { path: path.to_owned(), problem })
    }

    /// What there is under a path; none if there is nothing.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Object>> {
        let key = path.to_owned();
        let found = self.send(|operator| async move { operator.stat(&key).await }).wait();
        match found {
            Ok(found) => Ok(Some(Object {
                length: found.content_length(),
                version: found.etag().map(str::to_owned),
                keeps_run: self.0.operator.info().capability().write_with_user_metadata,
                run: found.user_metadata().and_then(|all| all.get(RUN_KEY).map(str::to_owned)),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A question about an object is answered without a word on why: it may be the bucket.
                self.list(path)?;
                Ok(None)
            }
            Err(error) => Err(self.failed("look for", path, &error)),
        }
    }

    /// Begins to read a range of an object, if it still has the version.
    pub(crate) fn begin_read(
        &self,
        path: &str,
        version: Option<String>,
        range: std::ops::Range<u64>,
    ) -> Pending<Bytes> {
        let key = path.to_owned();
        self.send(move |operator| async move {
            let mut read = operator.read_with(&key).range(range);
            if let Some(version) = &version {
                read = read.if_match(version);
            }
            Ok(read.await?.to_bytes())
        })
    }

    /// The whole of an object; none if there is nothing.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let key = path.to_owned();
        let read = self.send(|operator| async move { Ok(operator.read(&key).await?.to_bytes()) });
        match read.wait() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", path, &error)),
        }
    }

    /// Begins to write an object in one request. It is durable, and visible, once that has ended.
    pub(crate) fn begin_write(&self, path: &str, bytes: Vec<u8>) -> Pending<()> {
        let key = path.to_owned();
        self.send(|operator| async move { operator.write(&key, bytes).await.map(drop) })
    }

    /// Joins objects to one, which is visible only when it is complete.
    pub(crate) fn join(&self, from: Vec<String>, length: u64, to: &str, run: &str) -> Result<()> {
        let chunk = UPLOAD_BYTES.max(length / UPLOAD_PARTS_MAX) as usize;
        let (key, run) = (to.to_owned(), run.to_owned());
        let joined = self.send(move |operator| async move {
            let metadata = HashMap::from([(RUN_KEY.to_owned(), run)]);
            let writer = operator.writer_with(&key).chunk(chunk).concurrent(2).user_metadata(metadata);
            let mut writer = writer.await?;
            let parts = stream::iter(from).map(|part| {
                let operator = operator.clone();
                async move { operator.read(&part).await }
            });
            let mut parts = parts.buffered(2);
            let mut written = Ok(());
            while let (Ok(()), Some(part)) = (&written, parts.next().await) {
                written = match part {
                    Ok(part) => writer.write(part).await,
                    Err(error) => Err(error),
                };
            }
            match written {
                Ok(()) => writer.close().await.map(drop),
                Err(error) => {
                    // What stays is seen by nobody, and goes by the bucket's rule for unfinished uploads.
                    let _ = writer.abort().await;
                    Err(error)
                }
            }
        });
        joined.wait().map_err(|error| self.failed("complete", to, &error))
    }

    /// The objects whose paths begin so, with their lengths, in the order of their names.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<(String, u64)>> {
        let key = path.to_owned();
        let listed = self.send(|operator| async move { operator.list_with(&key).recursive(true).await });
        let listed = listed.wait().map_err(|error| self.failed("list", path, &error))?;
        let files = listed.into_iter().filter(|entry| entry.metadata().is_file());
        let mut files: Vec<_> =
            files.map(|entry| (entry.path().to_owned(), entry.metadata().content_length())).collect();
        files.sort();
        Ok(files)
    }

    /// Removes objects; those that are gone already do not matter.
    pub(crate) fn remove(&self, paths: Vec<String>) -> Result<()> {
        let Some(first) = paths.first().cloned() else { return Ok(()) };
        let removed = self.send(|operator| async move { operator.delete_iter(paths).await });
        removed.wait().map_err(|error| self.failed("remove", &first, &error))
    }

    /// What went wrong, in our words: those of the library hold addresses and headers.
    pub(crate) fn failed(
        &self,
        action: &'static str,
        path: &str,
        error: &opendal_core::Error,
    ) -> ConnectorError {
        let (storage, path) = (self.0.storage.clone(), path.to_owned());
        ConnectorError::Bucket { action, storage, path, problem: BucketProblem::of(error) }
    }

    fn send<T: Send + 'static, F>(&self, request: impl FnOnce(Operator) -> F) -> Pending<T>
    where
        F: Future<Output = opendal_core::Result<T>> + Send + 'static,
    {
        let (sender, receiver): (SyncSender<_>, _) = sync_channel(1);
        let request = request(self.0.operator.clone());
        match runtime() {
            Ok(runtime) => drop(runtime.spawn(async move {
                // Nobody waits any more where the element has ended.
                let _ = sender.send(request.await);
            })),
            Err(error) => {
                let error = opendal_core::Error::new(ErrorKind::Unexpected, error.clone());
                let _ = sender.send(Err(error));
            }
        }
        Pending(receiver)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.storage).field(&self.0.address).finish()
    }
}

/// Two threads for the requests of all buckets: they wait for the network most of the time.
fn runtime() -> &'static std::result::Result<Runtime, String> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("stepbox-bucket").enable_all().build();
        runtime.map_err(|error| format!("no thread for requests: {error}"))
    })
}
