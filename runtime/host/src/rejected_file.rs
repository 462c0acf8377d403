//! The rejected items of a step, in its execution's folder.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stepbox_batch::element::{More, Rejected, RejectedItems};
use stepbox_batch::error::ElementError;
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_connectors::{ConnectorError, RejectedItemsFile};

use crate::data_folder::DataFolder;
use crate::shared_folder::{Pieces, SharedFolder};

/// Stores a step's rejected items in a file, which is created with the first item. If several machines share
/// a folder, each checkpoint copies the new bytes of the file there. Each opening starts with the bytes in
/// the shared folder, because another machine may have written since.
pub(crate) struct RejectedFile {
    /// The folder of all executions.
    root: PathBuf,
    /// The path below `root`, without the extension.
    base: String,
    /// The path below `root` with the extension. It is `csv` until the format is known.
    path: String,
    file: Option<RejectedItemsFile>,
    shared: Option<Share>,
}

/// The shared part of the file.
struct Share {
    folder: SharedFolder,
    /// A name that is unique to this opening.
    by: String,
    pieces: Vec<Pieces>,
}

/// The state of a file that is shared.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The state of the file itself.
    file: Own,
    pieces: Vec<Pieces>,
}

/// The fields of the file's own state that are used here. The other fields are kept unchanged.
#[derive(Debug, Serialize, Deserialize)]
struct Own {
    path: String,
    length: u64,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl RejectedFile {
    pub(crate) fn new(data: &DataFolder, id: JobExecutionId, step: &StepName) -> Self {
        let base = format!("{id}/rejected/{step}");
        let path = format!("{base}.csv");
        let share =
            |folder: &SharedFolder| Share { folder: folder.clone(), by: String::new(), pieces: Vec::new() };
        Self { root: data.executions(), base, path, file: None, shared: data.shared().map(share) }
    }

    /// The path of the file; `None` if there is no such file, in either format.
    pub(crate) fn found(&self) -> Option<PathBuf> {
        let named = |extension| self.root.join(format!("{}.{extension}", self.base));
        ["csv", "jsonl"].map(named).into_iter().find(|path| path.exists())
    }

    /// Rebuilds the file on this machine from the last state of its step, if other machines may have written
    /// it.
    pub(crate) fn fetch(&self, state: &[u8]) -> Result<(), ConnectorError> {
        match &self.shared {
            Some(share) if !state.is_empty() => self.fetched(share, state).map(drop),
            _ => Ok(()),
        }
    }

    /// Fetches the file to this machine, and returns the file's own state.
    fn fetched(&self, share: &Share, state: &[u8]) -> Result<(Vec<u8>, State), ConnectorError> {
        let bad = |source| ConnectorError::BadState { source };
        let state: State = serde_json::from_slice(state).map_err(bad)?;
        let path = &state.file.path;
        if !share.folder.fetch_pieces(path, &self.root.join(path), &state.pieces)? {
            let (path, difference) =
                (format!("rejected items file {path}"), "a piece of it is gone".to_owned());
            return Err(ConnectorError::OutputChanged { path, difference });
        }
        Ok((serde_json::to_vec(&state.file).map_err(bad)?, state))
    }

    fn file(&mut self) -> Result<&mut RejectedItemsFile, ElementError> {
        self.file.as_mut().ok_or_else(|| ElementError::failed("not-open", "it was not opened"))
    }
}

impl Share {
    /// Shares the bytes that were added after the last piece, and returns the whole state.
    fn keep(&mut self, path: &str, file: &std::path::Path, own: &[u8]) -> Result<Vec<u8>, ConnectorError> {
        let bad = |source| ConnectorError::BadState { source };
        let own: Own = serde_json::from_slice(own).map_err(bad)?;
        let (from, to) = (self.pieces.last().map_or(0, |piece| piece.to), own.length);
        if from < to {
            self.folder.put_piece(path, file, (from, to), &self.by)?;
            match self.pieces.last_mut().filter(|piece| piece.by == self.by) {
                Some(piece) => piece.to = to,
                None => self.pieces.push(Pieces { by: self.by.clone(), from, to }),
            }
        }
        serde_json::to_vec(&State { file: own, pieces: self.pieces.clone() }).map_err(bad)
    }
}

#[async_trait]
impl RejectedItems for RejectedFile {
    async fn open(
        &mut self,
        header: &[String],
        form: Option<&[u8]>,
        state: Option<&[u8]>,
    ) -> Result<(), ElementError> {
        self.path = format!("{}.{}", self.base, RejectedItemsFile::extension(form));
        // An open file would keep its lock, and would have to be copied.
        self.file = None;
        let mut own = state.map(<[u8]>::to_vec);
        if let Some(mut share) = self.shared.take() {
            share.by = unique()?;
            share.pieces.clear();
            let fetched = state.map(|state| self.fetched(&share, state)).transpose();
            own = match fetched {
                Ok(Some((own, State { file, pieces }))) => {
                    // The file of another execution is copied, so it is shared again under the new path.
                    share.pieces = if file.path == self.path { pieces } else { Vec::new() };
                    Some(own)
                }
                Ok(None) => None,
                Err(error) => {
                    self.shared = Some(share);
                    return Err(error.into());
                }
            };
            self.shared = Some(share);
        }
        self.file = Some(RejectedItemsFile::open(&self.root, &self.path, header, form, own.as_deref())?);
        Ok(())
    }

    async fn append(&mut self, rejected: Rejected<'_>) -> Result<(), ElementError> {
        Ok(self.file()?.append(&rejected)?)
    }

    async fn absorb(&mut self, state: &[u8]) -> Result<More, ElementError> {
        let own = match &self.shared {
            Some(share) if !state.is_empty() => self.fetched(share, state)?.0,
            _ => state.to_vec(),
        };
        self.file()?.absorb(&own)?;
        Ok(More::No)
    }

    async fn checkpoint(&mut self) -> Result<Vec<u8>, ElementError> {
        let own = self.file()?.checkpoint()?;
        let (path, file) = (self.path.clone(), self.root.join(&self.path));
        match &mut self.shared {
            Some(share) if !own.is_empty() => Ok(share.keep(&path, &file, &own)?),
            _ => Ok(own),
        }
    }
}

/// A name that no other attempt has.
fn unique() -> Result<String, ElementError> {
    let mut bytes = [0; 8];
    let drawn = getrandom::fill(&mut bytes);
    drawn.map_err(|error| ElementError::failed("file-failed", format!("no randomness: {error}")))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
