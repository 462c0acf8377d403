//! `storages` in `policy.yaml`: where jobs may keep files beside the folders, each by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use stepbox::{ConnectorError, NamedStorage, Policy, S3Settings};

use super::Problem;
use super::secrets::{in_environment, in_file};

/// The storages by name.
pub(super) type Form = BTreeMap<String, StorageForm>;

/// A storage of one of the types there are.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum StorageForm {
    /// A folder, on a file system that all workers share.
    Local { path: PathBuf },
    /// A bucket.
    S3 {
        bucket: String,
        /// Where in it all paths begin.
        #[serde(default)]
        prefix: String,
        region: String,
        /// Without it, Amazon's own.
        endpoint: Option<String>,
        access_key_id: KeyForm,
        secret_access_key: KeyForm,
    },
}

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

/// Opens the storages to a policy that otherwise stands.
pub(super) fn add(form: &Form, mut policy: Policy, data_dir: &Path) -> Result<Policy, Problem> {
    for (name, storage) in form {
        policy = policy.with_storage(storage.open(name, &format!("storages.{name}"), data_dir)?);
    }
    policy.check_storages()?;
    Ok(policy)
}

impl StorageForm {
    /// The files that its keys come from.
    pub(super) fn key_files(&self) -> impl Iterator<Item = &Path> {
        let keys = match self {
            Self::Local { .. } => [None, None],
            Self::S3 { access_key_id, secret_access_key, .. } => {
                [Some(access_key_id), Some(secret_access_key)]
            }
        };
        keys.into_iter().flatten().filter_map(|key| key.file.as_deref())
    }

    /// The place is where it stands in the file: `storages.exchange`.
    pub(super) fn open(&self, name: &str, place: &str, data_dir: &Path) -> Result<NamedStorage, Problem> {
        match self {
            Self::Local { path } if !path.is_dir() && path.is_absolute() => Err(Problem {
                message: format!(
                    "the storage `{name}`: `{}` is no folder that can be opened",
                    path.display()
                ),
                help: "make the folder, or take the storage out".to_owned(),
            }),
            Self::Local { path } => Ok(NamedStorage::local(name, path)?),
            Self::S3 { bucket, prefix, region, endpoint, access_key_id, secret_access_key } => {
                let settings = S3Settings {
                    bucket: bucket.clone(),
                    prefix: prefix.clone(),
                    region: region.clone(),
                    endpoint: endpoint.clone(),
                    access_key_id: access_key_id.value(place, "access_key_id", data_dir)?.into(),
                    secret_access_key: secret_access_key.value(place, "secret_access_key", data_dir)?.into(),
                };
                Ok(NamedStorage::s3(name, &settings)?)
            }
        }
    }
}

impl KeyForm {
    fn value(&self, place: &str, key: &str, data_dir: &Path) -> Result<String, Problem> {
        let called = format!("{place}.{key}");
        match (&self.file, &self.env) {
            (Some(file), None) => in_file(&called, &data_dir.join(file)),
            (None, Some(variable)) => in_environment(&called, variable),
            (given, _) => {
                let problem =
                    if given.is_some() { "both `file` and `env`" } else { "neither `file` nor `env`" };
                let message = format!("`{called}` has {problem}");
                let help = format!("write `{key}: {{ file: PATH }}` or `{key}: {{ env: NAME }}`");
                Err(Problem { message, help })
            }
        }
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
            Ok(form) => match add(&form, Policy::own_machine("."), folder.path()) {
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
        check("{}", "Storages([])");
        check("archive: { type: local, path: HERE }", r#"name: "archive""#);
        check("archive: { type: local, path: HERE/gone }", "`HERE/gone` is no folder that can be opened");
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
