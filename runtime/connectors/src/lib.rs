//! Stepbox's native readers, writers and storages.
//!
//! A reader or writer is made by name from the options in a connector file. It then implements a port in
//! `stepbox_batch::element`, like any other element. Here a CSV file becomes JSON Lines:
//!
//! ```
//! # use std::sync::Arc;
//! # use serde_json::json;
//! # use stepbox_batch::{clock::Timestamp, execution::ExecutionContext, log::NoLog};
//! # use stepbox_batch::name::{JobExecutionId, StepName};
//! # use stepbox_batch::run_context::{RunContext, RunInfo};
//! # use stepbox_batch::{findings::Findings, step_context::StepContext};
//! use stepbox_batch::element::{Chunk, More, Opening};
//! use stepbox_batch::job::ChunkLimit;
//! use stepbox_batch::name::TenantId;
//! use stepbox_connectors::{Cancellation, ElementSetup, Folders, native_reader, native_writer};
//!
//! # struct Noon;
//! # #[async_trait::async_trait]
//! # impl stepbox_batch::clock::Clock for Noon {
//! #     fn now(&self) -> Timestamp { Timestamp(43_200_000) }
//! #     fn ticks_us(&self) -> u64 { 0 }
//! #     async fn sleep_ms(&self, _: u64) {}
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let info = RunInfo { id: JobExecutionId(1), job_label: "Prices".into(), started_at: Timestamp(0) };
//! # let run = RunContext::new(info, json!({}), ExecutionContext::default(), Arc::new(NoLog));
//! # let step = StepContext::new(run, StepName::new("export")?, true, Findings::default());
//! # let data = tempfile::tempdir()?;
//! std::fs::write(data.path().join("prices.csv"), "sku;price\nA1;9.90\n")?;
//!
//! // A tenant's files: nothing outside of this folder opens, however the path is written.
//! let setup = |options| ElementSetup {
//!     options,
//!     reach: Folders::beneath([data.path()]).into(),
//!     tenant: TenantId::new("acme").unwrap(),
//!     clock: Arc::new(Noon),
//!     cancellation: Cancellation::default(),
//! };
//! let options = json!({"from": "prices.csv", "delimiter": ";"});
//! let mut reader = native_reader("csv", &setup(options))?.expect("it is native");
//! let options = json!({"to": "%job_label%.jsonl", "json": ["price"]});
//! let mut writer = native_writer("jsonl", &setup(options))?.expect("it is native");
//!
//! let header = reader.open(Opening { header: &[], state: None, context: &step, fragment: None }).await?;
//! writer.open(Opening { header: &header, state: None, context: &step, fragment: None }).await?;
//! let (mut chunk, mut more) = (Chunk::default(), More::Yes);
//! while more == More::Yes {
//!     chunk.reset(header.len());
//!     more = reader.read(ChunkLimit::default(), &mut chunk).await?;
//!     writer.write(&chunk.rows).await?;
//! }
//! writer.complete().await?;
//!
//! let written = std::fs::read_to_string(data.path().join("Prices.jsonl"))?;
//! assert_eq!(written, "{\"sku\":\"A1\",\"price\":9.90}\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Readers
//!
//! | name | option | default | |
//! |---|---|---|---|
//! | `csv` | `from` | | a path, or a storage with a path |
//! | | `delimiter` | found in the header | one printable ASCII character or a tab; `,` if the header does not show it |
//! | | `enclosure` | `"` | one such character, but not the delimiter; or `none` |
//! | | `header` | true | whether the first row names the columns; otherwise they are `column_1`, `column_2` … |
//! | | `unnamed_columns` | `refuse` | for columns without a name: `refuse`, `name`, `drop` |
//! | | `repeated_columns` | `refuse` | for columns with the name of an earlier one: `refuse`, `name`, `drop` |
//! | | `strict` | false | whether rows with an enclosure in the wrong place are set aside |
//! | `jsonl` | `from` | | a path, or a storage with a path |
//! | | `columns` | all keys, found in a first pass | the keys to read, in this order |
//!
//! Both readers need UTF-8, with or without its byte order mark. They fail on any other encoding, and on a file that
//! begins like another format. Empty lines are not items. An item that cannot be read (`ragged-row`, `bad-json`,
//! `not-an-object`, `line-too-long`) is set aside with its line. Both fail if the file is rewritten, made shorter or
//! replaced while they read it; it may grow at its end. Resuming from a checkpoint costs the same at any offset. It is
//! refused if the file is not the one of the checkpoint.
//!
//! # Writers
//!
//! | name | option | default | |
//! |---|---|---|---|
//! | `csv` | `to` | | a path, or a storage with a path, with placeholders |
//! | | `delimiter`, `enclosure` | `,` and `"` | as for the reader; with `none`, items that need one are set aside |
//! | | `with_header` | true | whether the first row names the columns |
//! | | `lines_per_file` | no limit | the largest number of items in a file |
//! | `jsonl` | `to` | | a path, or a storage with a path, with placeholders |
//! | | `json` | none | columns whose cells are JSON: numbers, truth values, lists, objects; null if no item has one |
//! | | `lines_per_file` | no limit | the largest number of items in a file |
//!
//! `to` may contain three placeholders. `%job_label%` is the label of the job instance, with `_` for blanks, invisible
//! characters, and ASCII characters other than letters, digits and dots. `%datetime%` is the beginning of the run in
//! UTC, `2024-03-05_14-07-09`. `%execution%` is the number of the run's first execution. A restart keeps the values of
//! the execution that it continues. Any other text between `%` stays as it is. Missing folders are made.
//!
//! An output appears under its final name only when it is complete. It then replaces an older file, but never a folder,
//! a link or a device. Later steps find its absolute path in the execution context under `<step>.file_path`. A stopped
//! or failed run leaves `.<name>.<run>.<attempt>.part` beside the final name. A restart continues from this file; the
//! result is that of an undisturbed run, byte for byte.
//!
//! With `lines_per_file`, an output with more items becomes `products_1.csv`, `products_2.csv` and so on, each with the
//! header. All files appear at the end. `<step>.file_path` is then the path of the first file, and `<step>.file_count`
//! is the number of files. Files of an older run with higher numbers stay.
//!
//! A worker that lost its lease, and does not know yet, may still have that file open. The next worker continues in a
//! copy of its own. The old worker fails with `output-taken-over` and has changed nothing.
//!
//! # Rejected items
//!
//! [`RejectedItemsFile`] keeps skipped items in a form that their reader can read: rows in the dialect of the input, or
//! lines of JSON. Five more columns give the reason. Both readers recognise such a file by these columns and leave them
//! out. If the file contains the text of an item that could not be read, they read that text again.
//!
//! # Parts
//!
//! Both readers can `split` their input. One pass finds where items begin. Each state that it returns reads one part,
//! with the same lines and columns as a reader of the whole file. Both writers write fragments and absorb them, unless
//! `lines_per_file` is set. A fragment is `.<name>.<run>.p<number>.<attempt>.part` beside the output. The fragments are
//! copied into the output in their order, and removed when the output is complete.
//!
//! `from` and `to` may also name a storage of the operator,
//! `{"type": "s3", "storage": "exchange", "file_path": "out/products.csv"}`. [`Reach::with_storages`] adds these
//! storages: a bucket, or a further folder. In a bucket the unfinished output is a folder of objects, one for each
//! checkpoint.
//!
//! # Waiting
//!
//! Elements read and write on the thread that calls them: a call that waits for the disk blocks its thread.
//! `checkpoint` and `complete` wait until the disk has everything. Run elements where a thread may block.

mod element_setup;
mod error;
mod file_place;
mod file_problem;
mod fingerprint;
mod folders;
mod formats;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod input_file;
mod known_beginnings;
mod line_writer;
mod location;
mod options;
mod other_format;
mod output_file;
mod part;
mod placeholders;
mod reach;
mod rejected_form;
mod rejected_items;
#[cfg(test)]
mod rejected_tests;
mod storage;
#[cfg(test)]
mod testing;

pub use element_setup::{Cancellation, ElementSetup};
pub use error::{CODES, ConnectorError};
pub use file_place::{FilePlace, input_place, output_place};
pub use file_problem::FileProblem;
pub use folders::{Folders, Wall};
pub use formats::{check_options, native_names, native_reader, native_writer, option_names, shipped_jobs};
pub use location::PATH_OPTIONS;
pub use other_format::{Encoding, OtherFormat};
pub use output_file::{LeftOver, WrittenFile, WrittenInput, WrittenOutput, written_files, written_output};
pub use reach::{Input, Reach, check_storages};
pub use rejected_items::RejectedItemsFile;
pub use storage::bucket::problem::{BadAnswer, BucketProblem};
pub use storage::{
    KeySource, NamedStorage, S3Settings, SharedFiles, StorageSettings, Storages, UnusableStorage,
    UploadedFiles,
};

use stepbox_batch::rows::ROWS_BYTES_MAX;

/// The largest number of columns of an input: that of a spreadsheet.
///
/// Each column costs memory in every row, even if its cells are empty.
pub const COLUMNS_MAX: usize = 16_384;
/// The largest size of a row or line of an input, in MiB: that of a chunk.
const ITEM_MIB_MAX: usize = ROWS_BYTES_MAX >> 20;
