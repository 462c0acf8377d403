//! Selects the store, checks it before it is used, and updates it.
//!
//! In a program that is built without the feature `sqlite` or `postgres`, the functions for that store return
//! [`RepositoryError::NotBuiltIn`].

#[cfg_attr(not(feature = "postgres"), path = "store/database_absent.rs")]
mod database;
#[cfg_attr(not(feature = "sqlite"), path = "store/embedded_absent.rs")]
mod embedded;

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use stepbox_batch::ports::{JobRepository, RepositoryError, StoreReport};

use crate::data_folder::DataFolder;
use crate::error::Error;

/// The address of a PostgreSQL database and its user:
/// `postgres://user:password@host:5432/database?sslmode=verify-full`.
///
/// Its `Debug` output contains nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Creates a URL.
    ///
    /// It is checked when it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The name of the database in error messages: `PostgreSQL at db.example.com:5432/stepbox`.
    pub(crate) fn name(&self) -> Option<String> {
        database::name_of(&self.0).ok()
    }

    /// Whether the URL may contain a password.
    pub fn has_password(&self) -> bool {
        let rest = self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest);
        let is_beside_the_user = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        is_beside_the_user || rest.contains("password=")
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self::new(url))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// The place of a store.
#[derive(Debug, Clone, Copy)]
pub enum StorePlace<'a> {
    /// The embedded store in a data folder.
    DataFolder(&'a Path),
    /// A PostgreSQL database.
    Database(&'a DatabaseUrl),
}

/// Returns the contents of a store, and what is wrong with it.
///
/// It reads everything, and changes or creates nothing.
pub async fn check_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    with_contents(place, false).await
}

/// Repairs the faults of a store that can be repaired, each in its own transaction, and reports them.
///
/// Executions that workers hold are not changed.
pub async fn repair_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    with_contents(place, true).await
}

async fn with_contents(place: StorePlace<'_>, mends: bool) -> Result<StoreReport, Error> {
    let mut report = look_at_store(place).await?;
    if report.is_usable() {
        report.findings = match place {
            StorePlace::DataFolder(data_dir) => {
                embedded::check(DataFolder::database_in(data_dir), mends).await?
            }
            StorePlace::Database(DatabaseUrl(url)) => database::check(url, mends).await?,
        };
    }
    Ok(report)
}

/// The version of a store, and whether its pages are undamaged.
async fn look_at_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    match place {
        StorePlace::DataFolder(data_dir) => embedded::look(DataFolder::database_in(data_dir)).await,
        StorePlace::Database(DatabaseUrl(url)) => Ok(database::look(url).await?),
    }
}

/// Updates a store's schema, or creates the store.
///
/// Returns the report of the store before the update.
pub async fn migrate_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    match place {
        StorePlace::DataFolder(data_dir) => {
            let path = DataFolder::open(data_dir)?.database();
            let before = match path.exists() {
                true => refuse_damaged(look_at_store(place).await?)?,
                false => StoreReport {
                    store: path.display().to_string(),
                    server: None,
                    version: 0,
                    known_version: embedded::SCHEMA_VERSION,
                    problems: Vec::new(),
                    findings: Vec::new(),
                },
            };
            embedded::migrate(path).await?;
            Ok(before)
        }
        StorePlace::Database(DatabaseUrl(url)) => {
            let before = look_at_store(place).await?;
            database::migrate(url).await?;
            Ok(before)
        }
    }
}

/// Opens the embedded store of a data folder, and updates its schema. Blocks until that is done.
pub(crate) fn open_embedded(data: &DataFolder) -> Result<Arc<dyn JobRepository>, Error> {
    Ok(embedded::open(data.database())?)
}

/// Opens a database that is up to date. Other programs may be using the database, so its schema is updated
/// only on request.
pub(crate) async fn open_database(url: &DatabaseUrl) -> Result<Arc<dyn JobRepository>, Error> {
    let StoreReport { store, version, known_version, .. } = look_at_store(StorePlace::Database(url)).await?;
    match version < known_version {
        true => Err(RepositoryError::OlderVersion { store, found: version, known: known_version }.into()),
        false => Ok(database::open(&url.0).await?),
    }
}

/// Refuses a damaged store. Changing a damaged file could lose data that are still readable.
fn refuse_damaged(report: StoreReport) -> Result<StoreReport, RepositoryError> {
    match report.problems.first() {
        None => Ok(report),
        Some(problem) => {
            let what = format!("page of `{}`", report.store);
            Err(RepositoryError::Corrupt { what, detail: problem.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_url_with_a_password() {
        let rows = [
            ("postgres://u:p@h/d", true),
            ("postgres://u:p@ss@h/d", true),
            ("postgres://u@h/d?password=p", true),
            ("u:p@h", true),
            ("postgres://u@h:5432/d", false),
            ("postgres://h/d?sslmode=require", false),
            ("postgres:///d?host=/run/pg", false),
        ];
        for (url, expected) in rows {
            assert_eq!(DatabaseUrl::new(url).has_password(), expected, "{url}");
        }
        assert_eq!(format!("{:?}", DatabaseUrl::new("postgres://u:p@h/d")), "DatabaseUrl(…)");
    }
}
