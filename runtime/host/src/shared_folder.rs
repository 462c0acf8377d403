//! What an installation of several machines shares beside its store: the bytes of components, the logs, and
//! the rejected items files. Each machine has its own copies in its data folder.
//!
//! ```text
//! components/<digest>.wasm
//! executions/<id>/log/<lease>-<number>.jsonl      pieces of a log
//! executions/<id>/rejected/<step>.csv or .jsonl/<from>-<to>.<by>   pieces of a rejected items file
//! ```

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepbox_batch::name::{Digest, JobExecutionId};
use stepbox_connectors::{ConnectorError, NamedStorage, SharedFiles};
use stepbox_sandbox::{COMPONENT_BYTES_MAX, digest_of};

use crate::data_folder::{create_private_folder, private};
use crate::error::Error;

/// How long a piece of a log may be, in bytes: more than what is logged between two of them.
const LOG_PIECE_BYTES_MAX: u64 = 64 << 20;

/// The folder that the machines share. Cheap to clone. Its calls wait; `wait` does so off the event loop.
#[derive(Debug, Clone)]
pub(crate) struct SharedFolder(Arc<SharedFiles>);

/// Bytes of a file that one attempt put there, in pieces of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pieces {
    /// Unique to the attempt.
    pub(crate) by: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl SharedFolder {
    pub(crate) fn of(storage: &NamedStorage) -> Self {
        Self(Arc::new(SharedFiles::of(storage)))
    }

    /// Does what waits on a thread where it may.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.clone();
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(done) => done.map_err(Error::SharedStorage),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Keeps a component's bytes under their digest.
    pub(crate) fn put_component(&self, digest: &Digest, bytes: Vec<u8>) -> Result<(), ConnectorError> {
        self.0.put(&component(digest), bytes)
    }

    /// A component's bytes; none if they are not there, or others.
    pub(crate) fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ConnectorError> {
        Ok(self
            .0
            .get(&component(digest), COMPONENT_BYTES_MAX as u64)?
            .filter(|bytes| digest_of(bytes) == *digest))
    }

    pub(crate) fn remove_component(&self, digest: &Digest) -> Result<(), ConnectorError> {
        self.0.remove(&component(digest))
    }

    /// Keeps a piece of a log.
    pub(crate) fn put_log(
        &self,
        id: JobExecutionId,
        lease: u64,
        number: u64,
        bytes: Vec<u8>,
    ) -> Result<(), ConnectorError> {
        self.0.put(&format!("executions/{id}/log/{lease:010}-{number:08}.jsonl"), bytes)
    }

    /// All pieces of a log.
    pub(crate) fn log(&self, id: JobExecutionId) -> Result<Vec<u8>, ConnectorError> {
        let (mut log, folder) = (Vec::new(), format!("executions/{id}/log/"));
        let listed = self.0.list(folder.trim_end_matches('/'))?;
        // Whoever can write there may have left other names, some of which could not even be asked for.
        for path in listed.iter().filter(|path| path.strip_prefix(&folder).is_some_and(is_piece_of_a_log)) {
            log.extend(self.0.get(path, LOG_PIECE_BYTES_MAX)?.unwrap_or_default());
        }
        Ok(log)
    }

    /// Removes all that is left of an execution.
    pub(crate) fn remove_execution(&self, id: JobExecutionId) -> Result<(), ConnectorError> {
        self.0.remove_folder(&format!("executions/{id}"))
    }

    /// Keeps the bytes of a file from one length to another. The path is below the executions.
    pub(crate) fn put_piece(
        &self,
        path: &str,
        file: &Path,
        (from, to): (u64, u64),
        by: &str,
    ) -> Result<(), ConnectorError> {
        let mut bytes = Vec::new();
        let read = fs::File::open(file).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.take(to - from).read_to_end(&mut bytes)
        });
        read.map_err(|source| ConnectorError::file_of("read", path, source))?;
        self.0.put(&format!("executions/{path}/{from:012}-{to:012}.{by}"), bytes)
    }

    /// Puts a file together from the pieces that its state names; false if some are gone.
    pub(crate) fn fetch_pieces(
        &self,
        path: &str,
        file: &Path,
        pieces: &[Pieces],
    ) -> Result<bool, ConnectorError> {
        let folder = format!("executions/{path}/");
        let listed = self.0.list(&format!("executions/{path}"))?;
        let found: Vec<_> = listed.iter().filter_map(|path| piece(path.strip_prefix(&folder)?)).collect();
        let failed = |source| ConnectorError::file_of("write", path, source);
        create_private_folder(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        // Another inode than the one that somebody may have open.
        let temporary = file.with_extension("csv.part");
        let mut whole = private().truncate(true).open(&temporary).map_err(failed)?;
        for Pieces { by, from, to } in pieces {
            let mut at = *from;
            while at < *to {
                let next = found.iter().find(|piece| piece.by == *by && piece.from == at && piece.to > at);
                let Some(Pieces { to: end, .. }) = next else { return Ok(false) };
                let piece = format!("{folder}{at:012}-{end:012}.{by}");
                let bytes = self.0.get(&piece, end - at)?.unwrap_or_default();
                let wanted = usize::try_from(end.min(to) - at).unwrap_or(usize::MAX);
                let Some(bytes) = bytes.get(..wanted) else { return Ok(false) };
                std::io::Write::write_all(&mut whole, bytes).map_err(failed)?;
                at = *end;
            }
        }
        whole.sync_all().and_then(|()| fs::rename(&temporary, file)).map_err(failed)?;
        Ok(true)
    }
}

/// Whether a name is one that `put_log` gives.
fn is_piece_of_a_log(name: &str) -> bool {
    let is_number =
        |text: &str| (8..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_suffix(".jsonl").and_then(|name| name.split_once('-'));
    parts.is_some_and(|(lease, number)| is_number(lease) && is_number(number))
}

fn component(digest: &Digest) -> String {
    format!("components/{digest}.wasm")
}

/// What the name of a piece says.
fn piece(name: &str) -> Option<Pieces> {
    let (range, by) = name.split_once('.')?;
    let (from, to) = range.split_once('-')?;
    Some(Pieces { by: by.to_owned(), from: from.parse().ok()?, to: to.parse().ok()? })
}
