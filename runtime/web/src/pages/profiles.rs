//! Job profiles: the list, one of them, its form, its launch and its history. A profile is an instance of a job.

mod edit;
mod history;
mod list;
mod runs;
mod show;

pub use edit::{Editor, choose_job, editor, values_editor};
pub use history::history;
pub use list::{ProfileRow, profiles};
pub use runs::{Run, last_runs};
pub use show::{Asked, Profile, copy, profile, removal};
