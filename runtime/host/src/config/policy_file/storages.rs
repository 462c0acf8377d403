//! `storages` in `policy.yaml`: where jobs may keep files beside the folders. Each storage has a name.

use std::collections::BTreeMap;
use std::path::Path;

use stepbox_connectors::{ConnectorError, KeySource, NamedStorage, StorageSettings, UnusableStorage};

use super::source::Source;
use super::{ConfigWarning, Problem};
use crate::policy::Policy;

/// The storages by name.
pub(super) type Shape = BTreeMap<String, StorageSettings>;

impl From<ConnectorError> for Problem {
    fn from(error: ConnectorError) -> Self {
        Self { message: error.to_string(), help: error.help() }
    }
}

/// Adds the storages to a policy that is otherwise complete. If the folder of a storage does not exist, or
/// its keys cannot be read, this is a warning and fails only the steps that name the storage.
pub(super) fn add(
    shape: &Shape,
    mut policy: Policy,
    data_dir: &Path,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Policy, Problem> {
    for (name, storage) in shape {
        let place = format!("storages.{name}");
        check(storage, name, &place)?;
        match open(storage, name, &place, data_dir) {
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

/// Refuses settings that are wrong with any keys, whether or not a folder exists. `place` is the place of the
/// storage in the file: `storages.exchange`.
fn check(settings: &StorageSettings, name: &str, place: &str) -> Result<(), Problem> {
    for (setting, key) in settings.keys() {
        check_key(key, place, setting)?;
    }
    Ok(settings.check(name)?)
}

/// Opens a storage with its keys.
pub(super) fn open(
    settings: &StorageSettings,
    name: &str,
    place: &str,
    data_dir: &Path,
) -> Result<NamedStorage, Problem> {
    settings.open(name, |setting, key| read_key(key, place, setting, data_dir))
}

/// The files with the keys of a storage.
pub(super) fn key_files(settings: &StorageSettings) -> impl Iterator<Item = &Path> {
    settings.keys().into_iter().filter_map(|(_, key)| key.file.as_deref())
}

/// Refuses a key that has no source, or two sources.
fn check_key(key: &KeySource, place: &str, setting: &str) -> Result<(), Problem> {
    source(key, place, setting).map(|_| ())
}

fn source<'a>(key: &'a KeySource, place: &str, setting: &str) -> Result<Source<'a>, Problem> {
    Source::of(key.file.as_deref(), key.env.as_deref()).map_err(|problem| Problem {
        message: format!("`{place}.{setting}` has {problem}"),
        help: format!("write `{setting}: {{ file: PATH }}` or `{setting}: {{ env: NAME }}`"),
    })
}

/// Reads a key. A relative path starts in the data folder.
fn read_key(key: &KeySource, place: &str, setting: &str, data_dir: &Path) -> Result<String, Problem> {
    source(key, place, setting)?.read(&format!("{place}.{setting}"), data_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the storages of a text, or their error, with `expected`. The folder has some files.
    fn check(text: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cr3tkey\n").unwrap();
        std::fs::write(folder.path().join("two-lines"), "s3cr3t\nkey\n").unwrap();
        let here = folder.path().display().to_string();
        let found = match serde_saphyr::from_str::<Shape>(&text.replace("HERE", &here)) {
            Ok(shape) => match add(&shape, Policy::own_machine("."), folder.path(), &mut Vec::new()) {
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
