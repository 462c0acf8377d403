//! Stepbox's native readers, writers and storages.
//!
//! A reader or writer is made by name from the options in a connector file, and is then one more
//! implementor of the ports in `stepbox_batch::element`. Here a CSV file becomes JSON Lines:
//!
//! ```
//! # use std::sync::Arc;
//! # use serde_json::json;
//! # use stepbox_batch::{clock::Timestamp, execution::ExecutionContext, log::NoLog};
//! # use stepbox_batch::{name::{JobExecutionId, StepName}, step_context::*};
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
//! | | `delimiter` | found in the header | one printable ASCII character or a tab; `,` where nothing tells |
//! | | `enclosure` | `"` | the same, and another one; or `none` |
//! | | `header` | true | whether the first row names the columns; else `column_1`, `column_2` … |
//! | | `unnamed_columns` | `refuse` | columns without a name: `refuse`, `name`, `drop` |
//! | | `repeated_columns` | `refuse` | columns with the name of another: the same |
//! | | `strict` | false | whether rows with an enclosure in the wrong place are set aside |
//! | `jsonl` | `from` | | a path, or a storage with a path |
//! | | `columns` | all keys, found in a first pass | the keys to read, in this order |
//!
//! Both want UTF-8, with or without its byte order mark, and fail on anything else, and on what begins like another
//! format. Empty lines are no items. An item that cannot be read (`ragged-row`, `bad-json`, `not-an-object`,
//! `line-too-long`) is set aside with its line. Both fail if the file is rewritten, made shorter or replaced while
//! they read it; it may grow at its end. Going on from a checkpoint costs the same wherever it is, and is refused if the
//! file is not the one that the checkpoint speaks of.
//!
//! # Writers
//!
//! | name | option | default | |
//! |---|---|---|---|
//! | `csv` | `to` | | a path, or a storage with a path, with placeholders |
//! | | `delimiter`, `enclosure` | `,` and `"` | as for the reader; with `none` a cell that needs one is set aside |
//! | | `with_header` | true | whether the first row names the columns |
//! | | `lines_per_file` | no limit | how many items a file takes |
//! | `jsonl` | `to` | | a path, or a storage with a path, with placeholders |
//! | | `json` | none | the columns whose cells are JSON: numbers, truth values, lists, objects; null if no item has one |
//! | | `lines_per_file` | no limit | how many items a file takes |
//!
//! `%job_label%`, `%datetime%` and `%execution%` in `to` stand for the label of the job instance, with `_` for all but
//! letters, digits and dots, for the beginning of the run in UTC, `2024-03-05_14-07-09`, and for the number of its
//! execution; a restart keeps those of the execution it goes on from. Any other text between `%` stays. Missing folders are made.
//!
//! An output appears under its final name only when it is complete, in place of an older file, and never
//! over a folder, a link or a device. The step after finds its absolute path in the execution context
//! under `<step>.file_path`. A stopped or failed run leaves `.<name>.<run>.<attempt>.part` beside it, from
//! which a restart goes on; the result is that of an undisturbed run, byte for byte.
//!
//! With `lines_per_file`, an output of more items becomes `products_1.csv`, `products_2.csv` and so on,
//! each with the header; all appear at the end. `<step>.file_path` is then the first one, and
//! `<step>.file_count` says how many there are. Files of an older run with higher numbers stay.
//!
//! A worker that lost its lease, and does not know yet, may still have that file open. The next one goes on
//! in a copy of its own, and the old one fails with `output-taken-over` without having touched anything.
//!
//! # Rejected items
//!
//! [`RejectedItemsFile`] keeps skipped items as their reader can read them: rows in the dialect of the input, or
//! lines of JSON, with five columns that say why. Both readers know such a file by these columns, leave them out, and
//! read again the text of an item that could not be read.
//!
//! # Parts
//!
//! Both readers can `split` what they read: one pass finds where items begin, and each state that it gives
//! reads on from there as the whole does, with the same lines and columns. Both writers write fragments and
//! absorb them, unless `lines_per_file` is set: `.<name>.<run>.p<number>.<attempt>.part` beside the output, copied
//! into it in their order and removed once it is complete.
//!
//! `from` and `to` may also name a storage of the operator's, `{"type": "s3", "storage": "exchange",
//! "file_path": "out/products.csv"}`, that [`Reach::with_storages`] brings: a bucket, or a further folder.
//! In a bucket the unfinished output is a folder of objects, one for each checkpoint.
//!
//! # Waiting
//!
//! Elements read and write in place: a call that waits for the disk keeps its thread. `checkpoint` and
//! `complete` wait until the disk has everything. Run them where a thread may block.

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
pub use output_file::{LeftOver, WrittenOutput, written_output};
pub use reach::{Input, Reach, check_storages};
pub use rejected_items::RejectedItemsFile;
pub use storage::bucket::problem::{BadAnswer, BucketProblem};
pub use storage::{
    KeySource, NamedStorage, S3Settings, SharedFiles, StorageSettings, Storages, UnusableStorage,
};

use stepbox_batch::rows::ROWS_BYTES_MAX;

/// How many columns an input may have: as many as a spreadsheet. Each costs memory in every row, also
/// where its cells are empty.
pub const COLUMNS_MAX: usize = 16_384;
/// How large a row or line of an input may be, in MiB: as large as a chunk.
const ITEM_MIB_MAX: usize = ROWS_BYTES_MAX >> 20;
