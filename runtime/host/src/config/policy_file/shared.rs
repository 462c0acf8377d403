//! `shared` in `policy.yaml`: the storage where workers on several machines keep their shared data beside the
//! database.

use std::path::Path;

use stepbox_connectors::{NamedStorage, StorageSettings};

use super::Problem;
use super::storages;

/// The name used in error messages. Jobs cannot refer to this storage.
const NAME: &str = "shared";

/// The storage that machines share; `None` without the setting.
pub(super) fn open(
    settings: Option<&StorageSettings>,
    data_dir: &Path,
) -> Result<Option<NamedStorage>, Problem> {
    settings.map(|settings| storages::open(settings, NAME, NAME, data_dir)).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn is_written_like_a_storage_and_no_job_knows_it() {
        let check = |text: &str, expected: &str| {
            let found = found(text, |file, policy| {
                let shared = file
                    .shared_storage(Path::new("policy.yaml"), Path::new("."))
                    .map(|shared| shared.is_some());
                let names: Vec<_> = policy.storages.names().collect();
                format!("{:?} {names:?}", shared.map_err(|error| error.to_string()))
            });
            assert!(found.contains(expected), "{text}: {found}");
        };
        check("{}", "Ok(false) []");
        check("shared: { type: local, path: / }", "Ok(true) []");
        check("shared: { type: local, path: /no/such/folder }", "is not a folder that can be opened");
        check("shared: { typ: local, path: / }", "missing field `type`");
        let key = "shared: { type: s3, bucket: b, region: r, access_key_id: s3cr3tkey, secret_access_key: { env: A } }";
        check(key, "`shared.access_key_id` has neither `file` nor `env`");
    }
}
