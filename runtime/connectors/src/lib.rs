//! Native readers, writers and storages. (tour below)

mod csv;
mod error;
mod fingerprint;
mod folders;
mod input_file;
mod jsonl;
mod options;
mod output_file;
mod placeholders;
mod registry;
mod storage;
#[cfg(test)]
mod testing;

pub use error::{CODES, ConnectorError, FileProblem};
pub use folders::Folders;
pub use registry::{ElementKind, native_names, native_reader, native_writer, option_names};
pub use storage::{STORAGE_TYPES, Storage};

use stepbox_batch::rows::ROWS_BYTES_MAX;

/// How many columns an input may have: as many as a spreadsheet. Each costs memory in every row, also
/// where its cells are empty.
pub const COLUMNS_MAX: usize = 16_384;
/// How large a row or line of an input may be, in MiB: as large as a chunk.
const ITEM_MIB_MAX: usize = ROWS_BYTES_MAX >> 20;
