//! The arguments of commands on uploaded files and on the queue.

use std::path::PathBuf;

use clap::Subcommand;

use super::{FormatArg, examples};

/// What can be done with uploaded files.
#[derive(Debug, Subcommand)]
pub(crate) enum Files {
    /// List the uploaded files
    #[command(after_long_help = examples(&["stepbox files list", "stepbox files list --format json"]))]
    List(FormatArg),
    /// Upload a file as an input of jobs, and print its id
    ///
    /// A parameter for a file names it by its id: `{"type": "upload", "id": "…"}`. The file is removed after some days,
    /// unless an instance or an execution needs it then.
    #[command(after_long_help = examples(&["stepbox files upload stock.csv", "stepbox files upload stock.csv --name 'Stock of Monday.csv'"]))]
    Upload {
        /// The file
        file: PathBuf,
        /// A name for people [default: the file's own]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Remove an uploaded file that nothing needs
    #[command(after_long_help = examples(&["stepbox files remove a1b2c3"]))]
    Remove {
        /// Its id
        id: String,
    },
}

/// What can be done with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Show how many executions wait, and how many workers have
    #[command(after_long_help = examples(&["stepbox queue show", "stepbox queue show --format json"]))]
    Show(FormatArg),
}
