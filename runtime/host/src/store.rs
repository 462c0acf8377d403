//! Which store it is; looking at one before it is used, and bringing it up to date.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use stepbox_batch::clock::Clock as _;
use stepbox_batch::repository::{JobRepository, RepositoryError};
use stepbox_batch::store_report::StoreReport;
use stepbox_store::{PostgresOptions, PostgresSchema, PostgresStore, SqliteSchema, SqliteStore};
use tokio::task::spawn_blocking;

use crate::data_folder::DataFolder;
use crate::error::Error;
use crate::system_clock::SystemClock;

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
        PostgresStore::name_of(&self.0).ok()
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
                let (path, now) = (DataFolder::database_in(data_dir), SystemClock.now());
                blocking(move || SqliteStore::check(path, now, mends)).await?
            }
            StorePlace::Database(DatabaseUrl(url)) => {
                PostgresStore::check_contents(url, &PostgresOptions::default(), mends).await?
            }
        };
    }
    Ok(report)
}

/// Which version a store has, and whether its pages are whole.
async fn look_at_store(place: StorePlace<'_>) -> Result<StoreReport, Error> {
    match place {
        StorePlace::DataFolder(data_dir) => {
            let path = DataFolder::database_in(data_dir);
            let store = path.display().to_string();
            let SqliteSchema { version, known, problems } = blocking(move || SqliteStore::look(path)).await?;
            Ok(StoreReport {
                store,
                server: None,
                version,
                known_version: known,
                problems,
                findings: Vec::new(),
            })
        }
        StorePlace::Database(DatabaseUrl(url)) => {
            let store = PostgresStore::name_of(url)?;
            let PostgresSchema { server, version, known } =
                PostgresStore::check(url, &PostgresOptions::default()).await?;
            let (server, problems) = (Some(server), Vec::new());
            Ok(StoreReport { store, server, version, known_version: known, problems, findings: Vec::new() })
        }
    }
}

/// Brings a store's schema up to date, or makes the store in its place. Tells what it had before.
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
                    known_version: SqliteStore::SCHEMA_VERSION,
                    problems: Vec::new(),
                    findings: Vec::new(),
                },
            };
            blocking(move || SqliteStore::open(path)).await?;
            Ok(before)
        }
        StorePlace::Database(DatabaseUrl(url)) => {
            let before = look_at_store(place).await?;
            PostgresStore::migrate(url, &PostgresOptions::default()).await?;
            Ok(before)
        }
    }
}

/// Opens a database that is up to date. Others may be using it, so it is changed only where somebody asks for that.
pub(crate) async fn open_database(url: &DatabaseUrl) -> Result<Arc<dyn JobRepository>, Error> {
    let StoreReport { store, version, known_version, .. } = look_at_store(StorePlace::Database(url)).await?;
    match version < known_version {
        true => Err(RepositoryError::OlderVersion { store, found: version, known: known_version }.into()),
        false => Ok(Arc::new(PostgresStore::open(&url.0, PostgresOptions::default()).await?)),
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, Error> {
    Ok(spawn_blocking(work).await.expect("looking at a store does not panic")?)
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
