//! An output that is joined from fragments. Each fragment is written by a step execution of its own.
//!
//! A fragment grows like an output, as `.products.csv.118.p3.124-1.part`, and never gets another name. It contains only
//! items: the header is at the top of the output, which begins like any other. Then the bytes of the fragments are
//! copied into the output, by the operating system if it can. A checkpoint counts what was copied. The fragments stay
//! until the output has its final name, so copying can resume from any checkpoint. In a bucket nothing is copied: the
//! parts of a fragment become parts of the output.

use serde::{Deserialize, Serialize};
use stepbox_batch::element::More;

use super::{OutputFile, State};
use crate::error::{ConnectorError, Result};
use crate::storage::output::{Absorption, Piece};

/// How much of an output was joined from fragments.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Absorbed {
    /// How many whole fragments the output contains.
    fragments: u64,
    /// How many bytes of the next fragment the output contains.
    bytes: u64,
}

/// The fragments of an output.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// How much was joined; `None` if the output has absorbed no fragment yet.
    pub(super) absorbed: Option<Absorbed>,
    /// The temporary names of the fragments that were absorbed, by this attempt or before.
    names: Vec<String>,
}

impl OutputFile {
    /// Appends a piece of the next fragment, given the last state of its writer. Returns `More::Yes` if the fragment is
    /// not complete yet. A fragment that the output already contains is skipped.
    pub(crate) fn absorb(&mut self, state: &[u8]) -> Result<More> {
        let fragment: State =
            serde_json::from_slice(state).map_err(|source| ConnectorError::BadState { source })?;
        if fragment.columns != self.columns {
            return Err(ConnectorError::ColumnsChanged { path: fragment.path });
        }
        if fragment.path != self.place.given() {
            return Err(self.changed(format!("`{}` is a fragment of `{}`", fragment.part, fragment.path)));
        }
        let Absorbed { fragments, bytes } = self.fragments.absorbed.unwrap_or_default();
        if (self.fragments.names.len() as u64) < fragments {
            self.fragments.names.push(fragment.part);
            return Ok(More::No);
        }
        self.flush()?;
        let bytes = bytes + self.copy_fragment(&fragment, bytes)?;
        let is_whole = bytes >= fragment.length;
        self.fragments.absorbed = Some(match is_whole {
            true => Absorbed { fragments: fragments + 1, bytes: 0 },
            false => Absorbed { fragments, bytes },
        });
        if !is_whole {
            return Ok(More::Yes);
        }
        self.fragments.names.push(fragment.part);
        Ok(More::No)
    }

    /// Appends the bytes of a fragment after `after`, up to the length that its writer has made durable.
    fn copy_fragment(&mut self, fragment: &State, after: u64) -> Result<u64> {
        if !self.place.is_open() {
            return Err(self.already_complete());
        }
        let State { part, length, parts, begun, .. } = fragment;
        let piece = Piece { temporary: part, length: *length, parts: parts.as_ref(), begun };
        let Absorption { bytes, copied } = self.place.absorb(&piece, after)?;
        let metering = self.context.metering();
        metering.opened_to_read();
        metering.read_file(copied);
        metering.wrote_file(copied);
        self.length += bytes;
        Ok(bytes)
    }
}

impl Fragments {
    /// The temporary names of the fragments that were absorbed.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}
