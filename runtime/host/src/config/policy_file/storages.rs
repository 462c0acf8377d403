//! `storages` in `policy.yaml`: where jobs may keep files beside the folders, each by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use stepbox_connectors::{ConnectorError, NamedStorage, S3Settings, UnusableStorage};

use super::source::Source;
use super::{ConfigWarning, Problem};
use crate::policy::Policy;

/// The storages by name.
pub(super) type Form = BTreeMap<String, StorageForm>;

/// A storage of one of the types there are.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum StorageForm {
    /// A folder, on a file system that all workers share.
    Local { path: PathBuf },
    /// A bucket.
    S3(BucketForm),
}

/// A bucket that speaks S3.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketForm {
    bucket: String,
    /// Where in it all paths begin.
    #[serde(default)]
    prefix: String,
    region: String,
    /// Without it, Amazon's own.
    endpoint: Option<String>,
    access_key_id: KeyForm,
    secret_access_key: KeyForm,
}

/// Stands for a key that cannot be read, so that the rest is judged all the same.
const ANY_KEY: &str = "any";

/// Where a key comes from, a file or a variable of the environment: no key stands in the policy itself.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Given")]
pub(super) struct KeyForm {
    /// Read at each start; relative paths begin in the data folder.
    file: Option<PathBuf>,
    env: Option<String>,
}

/// What is written there. A key itself, by mistake, must be in no message.
#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Place(PlaceForm),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceForm {
    file: Option<PathBuf>,
    env: Option<String>,
}

impl From<Given> for KeyForm {
    fn from(given: Given) -> Self {
        match given {
            Given::Place(PlaceForm { file, env }) => Self { file, env },
            Given::Other(_) => Self::default(),
        }
    }
}

impl From<ConnectorError> for Problem {
    fn from(error: ConnectorError) -> Self {
        Self { message: error.to_string(), help: error.help() }
    }
}

/// Opens the storages to a policy that otherwise stands. One whose folder is not there, or whose keys cannot be read, is a
/// warning, and stops only the steps that name it.
pub(super) fn add(
    form: &Form,
    mut policy: Policy,
    data_dir: &Path,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Policy, Problem> {
    for (name, storage) in form {
        let place = format!("storages.{name}");
        storage.check(name, &place)?;
        match storage.open(name, &place, data_dir) {
            Ok(storage) => policy = policy.with_storage(storage),
            Err(unusable) => {
                warnings.push(unusable.as_warning());
                let Problem { message: problem, help } = unusable;
                policy.storages.add_unusable(UnusableStorage { name: name.clone(), problem, help });
            }
        }
    }
    policy.check_storages()?;
    Ok(policy)
}

impl StorageForm {
    /// The files that its keys come from.
    pub(super) fn key_files(&self) -> impl Iterator<Item = &Path> {
        let keys = match self {
            Self::Local { .. } => [None, None],
            Self::S3(bucket) => [Some(&bucket.access_key_id), Some(&bucket.secret_access_key)],
        };
        keys.into_iter().flatten().filter_map(|key| key.file.as_deref())
    }

    /// Refuses what is wrong whatever the keys are, and whether or not the folder is there. The place is where the storage
    /// stands in the file: `storages.exchange`.
    fn check(&self, name: &str, place: &str) -> Result<(), Problem> {
        match self {
            Self::Local { path } => {
                // The name and the path are judged; the root is always there.
                let path = if path.is_absolute() { Path::new("/") } else { path };
                NamedStorage::local(name, path)?;
            }
            Self::S3(bucket) => {
                bucket.access_key_id.check(place, "access_key_id")?;
                bucket.secret_access_key.check(place, "secret_access_key")?;
                NamedStorage::s3(name, &bucket.settings(ANY_KEY.to_owned(), ANY_KEY.to_owned()))?;
            }
        }
        Ok(())
    }

    pub(super) fn open(&self, name: &str, place: &str, data_dir: &Path) -> Result<NamedStorage, Problem> {
        match self {
            Self::Local { path } if !path.is_dir() && path.is_absolute() => Err(Problem {
                message: format!(
                    "the storage `{name}`: `{}` is not a folder that can be opened",
                    path.display()
                ),
                help: "make the folder, or take the storage out".to_owned(),
            }),
            Self::Local { path } => Ok(NamedStorage::local(name, path)?),
            Self::S3(bucket) => {
                let access_key_id = bucket.access_key_id.value(place, "access_key_id", data_dir)?;
                let secret_access_key =
                    bucket.secret_access_key.value(place, "secret_access_key", data_dir)?;
                Ok(NamedStorage::s3(name, &bucket.settings(access_key_id, secret_access_key))?)
            }
        }
    }
}

impl BucketForm {
    fn settings(&self, access_key_id: String, secret_access_key: String) -> S3Settings {
        S3Settings {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
        }
    }
}

impl KeyForm {
    /// Refuses a key that has no source, or two.
    fn check(&self, place: &str, key: &str) -> Result<(), Problem> {
        self.source(place, key).map(|_| ())
    }

    fn source(&self, place: &str, key: &str) -> Result<Source<'_>, Problem> {
        Source::of(self.file.as_deref(), self.env.as_deref()).map_err(|problem| Problem {
            message: format!("`{place}.{key}` has {problem}"),
            help: format!("write `{key}: {{ file: PATH }}` or `{key}: {{ env: NAME }}`"),
        })
    }

    fn value(&self, place: &str, key: &str, data_dir: &Path) -> Result<String, Problem> {
        self.source(place, key)?.read(&format!("{place}.{key}"), data_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The storages that a text comes to, or what is wrong with them, in a folder with some files.
    fn check(text: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cr3tkey\n").unwrap();
        std::fs::write(folder.path().join("two-lines"), "s3cr3t\nkey\n").unwrap();
        let here = folder.path().display().to_string();
        let found = match serde_saphyr::from_str::<Form>(&text.replace("HERE", &here)) {
            Ok(form) => match add(&form, Policy::own_machine("."), folder.path(), &mut Vec::new()) {
                Ok(policy) => format!("{:?}", policy.storages),
                Err(Problem { message, help }) => format!("{message} | {help}"),
            },
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let found = found.replace(&here, "HERE");
        assert!(found.contains(expected), "{text}: {found}");
        assert!(!found.contains("s3cr3t"), "{found}");
    }

    #[test]
    fn a_storage_is_a_folder_or_a_bucket_with_its_keys_elsewhere() {
        let keys = "access_key_id: { file: key }, secret_access_key: { file: key }";
        let s3 = |rest: &str| format!("exchange: {{ type: s3, bucket: acme, region: eu-central-1, {rest} }}");
        check("{}", "Storages { usable: [], unusable: [] }");
        check("archive: { type: local, path: HERE }", r#"name: "archive""#);
        check("archive: { type: local, path: HERE/gone }", "`HERE/gone` is not a folder that can be opened");
        check("archive: { type: local, path: gone }", "has a `path` that does not begin at the root");
        check("archive: { type: ftp, path: gone }", "ftp");
        check(&s3(keys), "s3://acme/");
        check(&s3(&format!("prefix: shop/in/, {keys}")), "s3://acme/shop/in/");
        check(&s3(&format!("prefix: /in, {keys}")), "has a `prefix` that is not written like");
        check(&s3(&format!("prefix: in/../.., {keys}")), "has a `prefix` that is not written like");
        check(
            &s3(&format!("endpoint: \"https://me:s3cr3t@s3.example\", {keys}")),
            "has an `endpoint` that is not",
        );
        check(
            &s3("access_key_id: s3cr3tkey, secret_access_key: { file: key }"),
            "`storages.exchange.access_key_id` has neither `file` nor `env`",
        );
        check(
            &s3("access_key_id: { file: key }, secret_access_key: { env: STEPBOX_TEST_UNSET }"),
            "`storages.exchange.secret_access_key` cannot be read: the variable `STEPBOX_TEST_UNSET` is not set",
        );
        check(
            &s3("access_key_id: {}, secret_access_key: { file: key }"),
            "`storages.exchange.access_key_id` has neither `file` nor `env` | write `access_key_id: { file: PATH }`",
        );
        check(
            &s3("access_key_id: { file: key }, secret_access_key: { file: two-lines }"),
            "has an `secret_access_key` that is empty, or holds other characters than keys do",
        );
    }

    #[test]
    fn without_tls_it_needs_an_open_network() {
        let keys = "access_key_id: { file: key }, secret_access_key: { file: key }";
        let at = |endpoint: &str| {
            format!("exchange: {{ type: s3, bucket: acme, region: any, endpoint: \"{endpoint}\", {keys} }}")
        };
        check(&at("https://s3.example"), "s3://acme/");
        check(&at("http://127.0.0.1:9000"), "without TLS, and loopback addresses are not open");
        check(&at("http://localhost:9000"), "without TLS, and loopback addresses are not open");
        check(&at("http://10.0.0.7:9000"), "without TLS, and private addresses are not open");
        check(&at("http://s3.example"), "without TLS, and private addresses are not open");
    }
}
