//! Stepbox's job repository. (tour to come)

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod naming;
mod record;
mod save;
mod sqlite;
mod standing;

pub use sqlite::{SqliteOptions, SqliteStore};
