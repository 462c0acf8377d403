//! Which store it is; looking at one before it is used, and bringing it up to date.
//!
//! A program that is built without the feature `sqlite` or `postgres` answers with
//! [`RepositoryError::NotBuiltIn`] where it is asked for that store.

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

/// Where a PostgreSQL database is and who uses it:
/// `postgres://user:password@host:5432/database?sslmode=verify-full`. Printed without any of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// A URL, which is looked at when it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// What errors call the database: `PostgreSQL at db.example.com:5432/stepbox`.
    pub(crate) fn name(&self) -> Option<String> {
        database::name_of(&self.0).ok()
    }

    /// Whether there may be a password in it.
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

/// Which store.
#[derive(Debug, Clone, Copy)]
pub enum StorePlace<'a> {
    /// The embedded one in a data folder.
    DataFolder(&'a Path),
    /// A PostgreSQL database.
    Database(&'a DatabaseUrl),
}

/// What a store has, and what is wrong with it. Reads everything; changes nothing and makes nothing.
pub async fn check_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    with_contents(place, false).await
}

/// Mends what is wrong with a store and can be mended, each in a transaction of its own, and tells what that was.
/// What workers hold is left to them.
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

/// Which version a store has, and whether its pages are whole.
async fn look_at_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    match place {
        StorePlace::DataFolder(data_dir) => embedded::look(DataFolder::database_in(data_dir)).await,
        StorePlace::Database(DatabaseUrl(url)) => Ok(database::look(url).await?),
    }
}

/// Brings a store's schema up to date, or makes the store in its place. Returns what the store had before.
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

/// Opens the embedded store of a data folder, and brings its schema up to date. Blocks meanwhile.
pub(crate) fn open_embedded(data: &DataFolder) -> Result<Arc<dyn JobRepository>, Error> {
    Ok(embedded::open(data.database())?)
}

/// Opens a database that is up to date. Others may be using it, so it is changed only where somebody asks for that.
pub(crate) async fn open_database(url: &DatabaseUrl) -> Result<Arc<dyn JobRepository>, Error> {
    let StoreReport { store, version, known_version, .. } = look_at_store(StorePlace::Database(url)).await?;
    match version < known_version {
        true => Err(RepositoryError::OlderVersion { store, found: version, known: known_version }.into()),
        false => Ok(database::open(&url.0).await?),
    }
}

/// Changing a damaged file could lose what is still whole.
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
