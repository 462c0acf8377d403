//! The data that the machines of an installation share beside its store: the bytes of components, the logs,
//! and the files of rejected items. Each machine has its own copies in its data folder.
//!
//! ```text
//! installation                                    which one it is: two cannot use one folder
//! components/<digest>.wasm
//! executions/<id>/log/<lease>-<number>.jsonl      pieces of a log
//! executions/<id>/rejected/<step>.csv or .jsonl/<from>-<to>.<by>   pieces of a rejected items file
//! ```

use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stepbox_batch::name::{Digest, InstallationId, JobExecutionId, TenantId};
use stepbox_batch::uploaded_file::FileId;
use stepbox_connectors::{ConnectorError, NamedStorage, SharedFiles};
use stepbox_sandbox::{COMPONENT_BYTES_MAX, digest_of};

use crate::data_folder::{create_private_folder, private};
use crate::error::Error;
use crate::regular_file::open_regular;

/// The maximum length of a piece of a log, in bytes. It is more than what is logged between two pieces.
const LOG_PIECE_BYTES_MAX: u64 = 64 << 20;

/// The file that says which installation the folder belongs to.
const MARK: &str = "installation";
/// The maximum length of that file, in bytes.
const MARK_BYTES_MAX: u64 = 4 << 10;
/// How long opening an installation waits until it knows whose folder it is, in milliseconds. Without an
/// answer, opening continues, because much works without the folder. Each use of the folder checks again.
const MARK_PATIENCE_MS: u64 = 2_000;

/// The folder that the machines share. A clone is cheap. Its calls block; `wait` runs them outside the event
/// loop.
///
/// Nothing is read or written there before it is known that the folder belongs to this installation.
#[derive(Debug, Clone)]
pub(crate) struct SharedFolder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    storage: String,
    files: SharedFiles,
    ours: Mark,
    is_ours: AtomicBool,
}

/// The owner of the folder.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    installation: String,
    /// The place of its store, for people.
    store: String,
}

/// The bytes of a file that one attempt has shared, in its own pieces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pieces {
    /// A name that is unique to the attempt.
    pub(crate) by: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl SharedFolder {
    /// The shared folder of an installation with this store.
    pub(crate) fn of(storage: &NamedStorage, installation: &InstallationId, store: String) -> Self {
        Self(Arc::new(Inner {
            storage: storage.name().to_owned(),
            files: SharedFiles::of(storage),
            ours: Mark { installation: installation.as_str().to_owned(), store },
            is_ours: AtomicBool::new(false),
        }))
    }

    /// Refuses a folder that belongs to another installation. If that cannot be found out now, the folder is
    /// accepted.
    pub(crate) async fn refuse_if_taken(&self) -> Result<(), Error> {
        let asked = self.wait(|shared| shared.files().map(drop));
        match tokio::time::timeout(Duration::from_millis(MARK_PATIENCE_MS), asked).await {
            Ok(Err(error @ Error::SharedStorage(ConnectorError::StorageTaken { .. }))) => Err(error),
            _ => Ok(()),
        }
    }

    /// The files, after it is known that they belong to this installation. A folder without a mark gets the
    /// mark of this installation.
    fn files(&self) -> Result<&SharedFiles, ConnectorError> {
        let Inner { storage, files, ours, is_ours } = &*self.0;
        if is_ours.load(Ordering::Acquire) {
            return Ok(files);
        }
        let mut mark = files.get(MARK, MARK_BYTES_MAX)?;
        if mark.is_none() {
            files.put_new(MARK, serde_json::to_vec(ours).expect("a mark is two texts"))?;
            // Another installation may have written its mark first.
            mark = files.get(MARK, MARK_BYTES_MAX)?;
        }
        let gone = || ConnectorError::file_of("read", MARK, std::io::ErrorKind::NotFound.into());
        let mark = mark.ok_or_else(gone)?;
        match serde_json::from_slice::<Mark>(&mark).ok() {
            Some(mark) if mark.installation == ours.installation => {
                is_ours.store(true, Ordering::Release);
                Ok(files)
            }
            theirs => Err(ConnectorError::StorageTaken {
                storage: storage.clone(),
                by: theirs.map(|mark| mark.store),
            }),
        }
    }

    /// Runs blocking work on a thread that may block.
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

    /// Stores a component's bytes under their digest.
    pub(crate) fn put_component(&self, digest: &Digest, bytes: Vec<u8>) -> Result<(), ConnectorError> {
        self.files()?.put(&component(digest), bytes)
    }

    /// A component's bytes; `None` if they are missing, or do not match the digest.
    pub(crate) fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ConnectorError> {
        Ok(self
            .files()?
            .get(&component(digest), COMPONENT_BYTES_MAX as u64)?
            .filter(|bytes| digest_of(bytes) == *digest))
    }

    pub(crate) fn remove_component(&self, digest: &Digest) -> Result<(), ConnectorError> {
        self.files()?.remove(&component(digest))
    }

    /// Stores a piece of a log.
    pub(crate) fn put_log(
        &self,
        id: JobExecutionId,
        lease: u64,
        number: u64,
        bytes: Vec<u8>,
    ) -> Result<(), ConnectorError> {
        self.files()?.put(&format!("executions/{id}/log/{lease:010}-{number:08}.jsonl"), bytes)
    }

    /// All pieces of a log.
    pub(crate) fn log(&self, id: JobExecutionId) -> Result<Vec<u8>, ConnectorError> {
        let mut log = Vec::new();
        for path in self.pieces_of_log(id)? {
            log.extend(self.piece_of_log(&path)?);
        }
        Ok(log)
    }

    /// The paths of a log's pieces, in their order.
    fn pieces_of_log(&self, id: JobExecutionId) -> Result<Vec<String>, ConnectorError> {
        let folder = format!("executions/{id}/log/");
        let mut listed = self.files()?.list(folder.trim_end_matches('/'))?;
        // Other users of the folder may have left files with other names. Some of these names could not even
        // be requested.
        listed.retain(|path| path.strip_prefix(&folder).is_some_and(is_piece_of_a_log));
        Ok(listed)
    }

    fn piece_of_log(&self, path: &str) -> Result<Vec<u8>, ConnectorError> {
        Ok(self.files()?.get(path, LOG_PIECE_BYTES_MAX)?.unwrap_or_default())
    }

    /// A log, of which one piece is in memory at a time.
    pub(crate) fn open_log(&self, id: JobExecutionId) -> std::io::Result<Box<dyn Read>> {
        let paths = self.pieces_of_log(id).map_err(std::io::Error::other)?;
        Ok(Box::new(LogReader { shared: self.clone(), paths: paths.into_iter(), piece: Cursor::default() }))
    }

    /// Stores an uploaded file, in pieces. The last thing that is written says that it is whole.
    pub(crate) fn put_upload(
        &self,
        tenant: &TenantId,
        id: &FileId,
        file: &Path,
    ) -> Result<(), ConnectorError> {
        let (files, folder) = (self.files()?, upload(tenant, id));
        let failed = |source| ConnectorError::file_of("read", id.as_str(), source);
        let mut file = open_regular(file).map_err(failed)?;
        let mut length = 0;
        for number in 0_u64.. {
            let mut piece = Vec::new();
            let read = Read::by_ref(&mut file).take(UPLOAD_PIECE_BYTES).read_to_end(&mut piece);
            if read.map_err(failed)? == 0 {
                break;
            }
            length += piece.len() as u64;
            files.put(&format!("{folder}/{number:08}"), piece)?;
        }
        files.put(&format!("{folder}/{WHOLE}"), length.to_string().into_bytes())
    }

    /// Copies an uploaded file to this machine; false if it is not there as a whole.
    pub(crate) fn fetch_upload(
        &self,
        tenant: &TenantId,
        id: &FileId,
        to: &Path,
    ) -> Result<bool, ConnectorError> {
        let (files, folder) = (self.files()?, upload(tenant, id));
        let length = files.get(&format!("{folder}/{WHOLE}"), MARK_BYTES_MAX)?;
        let length = length.and_then(|length| String::from_utf8(length).ok()?.parse::<u64>().ok());
        let Some(length) = length else { return Ok(false) };
        let failed = |source| ConnectorError::file_of("write", id.as_str(), source);
        create_private_folder(to.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        // Several steps may fetch it at once, each into a file of its own.
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let temporary = to.with_extension(format!("{:016x}.part", u64::from_be_bytes(unique)));
        let fetched = private().create_new(true).open(&temporary).map_err(failed).and_then(|mut whole| {
            let mut written = 0;
            for number in 0_u64.. {
                if written >= length {
                    break;
                }
                let piece = files.get(&format!("{folder}/{number:08}"), UPLOAD_PIECE_BYTES)?;
                let Some(piece) = piece.filter(|piece| !piece.is_empty()) else { return Ok(false) };
                written += piece.len() as u64;
                std::io::Write::write_all(&mut whole, &piece).map_err(failed)?;
            }
            whole.sync_all().and_then(|()| fs::rename(&temporary, to)).map_err(failed)?;
            Ok(written == length)
        });
        if !matches!(fetched, Ok(true)) {
            let _ = fs::remove_file(&temporary);
        }
        fetched
    }

    /// Removes an uploaded file.
    pub(crate) fn remove_upload(&self, tenant: &TenantId, id: &FileId) -> Result<(), ConnectorError> {
        let (files, folder) = (self.files()?, upload(tenant, id));
        // It is not whole any more before its first piece goes.
        files.remove(&format!("{folder}/{WHOLE}"))?;
        files.remove_folder(&folder)
    }

    /// Removes everything that is left of an execution.
    pub(crate) fn remove_execution(&self, id: JobExecutionId) -> Result<(), ConnectorError> {
        self.files()?.remove_folder(&format!("executions/{id}"))
    }

    /// Stores the bytes of a file from one length to another. The path is below the folder of the executions.
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
        self.files()?.put(&format!("executions/{path}/{from:012}-{to:012}.{by}"), bytes)
    }

    /// Rebuilds a file from the pieces that its state names; false if some pieces are missing.
    pub(crate) fn fetch_pieces(
        &self,
        path: &str,
        file: &Path,
        pieces: &[Pieces],
    ) -> Result<bool, ConnectorError> {
        let (files, folder) = (self.files()?, format!("executions/{path}/"));
        let listed = files.list(&format!("executions/{path}"))?;
        let found: Vec<_> = listed.iter().filter_map(|path| piece(path.strip_prefix(&folder)?)).collect();
        let failed = |source| ConnectorError::file_of("write", path, source);
        create_private_folder(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        // A new file, so that a program that has the old file open is not disturbed.
        let temporary = file.with_extension("csv.part");
        let mut whole = private().truncate(true).open(&temporary).map_err(failed)?;
        for Pieces { by, from, to } in pieces {
            let mut at = *from;
            while at < *to {
                let next = found.iter().find(|piece| piece.by == *by && piece.from == at && piece.to > at);
                let Some(Pieces { to: end, .. }) = next else { return Ok(false) };
                let piece = format!("{folder}{at:012}-{end:012}.{by}");
                let bytes = files.get(&piece, end - at)?.unwrap_or_default();
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

/// How many bytes a piece of an uploaded file has.
const UPLOAD_PIECE_BYTES: u64 = 1 << 20;
/// The name of the file with the length of an uploaded file that is whole.
const WHOLE: &str = "whole";

fn upload(tenant: &TenantId, id: &FileId) -> String {
    format!("uploads/{tenant}/{id}")
}

/// The bytes of a log, piece after piece.
struct LogReader {
    shared: SharedFolder,
    paths: std::vec::IntoIter<String>,
    piece: Cursor<Vec<u8>>,
}

impl Read for LogReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(path) = self.paths.next() else { return Ok(0) };
            self.piece = Cursor::new(self.shared.piece_of_log(&path).map_err(std::io::Error::other)?);
        }
    }
}

/// Whether `put_log` could have created this name.
fn is_piece_of_a_log(name: &str) -> bool {
    let is_number =
        |text: &str| (8..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_suffix(".jsonl").and_then(|name| name.split_once('-'));
    parts.is_some_and(|(lease, number)| is_number(lease) && is_number(number))
}

fn component(digest: &Digest) -> String {
    format!("components/{digest}.wasm")
}

/// The values in the name of a piece.
fn piece(name: &str) -> Option<Pieces> {
    let (range, by) = name.split_once('.')?;
    let (from, to) = range.split_once('-')?;
    Some(Pieces { by: by.to_owned(), from: from.parse().ok()?, to: to.parse().ok()? })
}
