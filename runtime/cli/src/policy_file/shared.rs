//! `shared` in `policy.yaml`: where workers on several machines keep what they share beside the database.

use std::path::Path;

use stepbox::NamedStorage;

use super::Problem;
use super::storages::StorageForm;

/// What errors call it. Jobs know no name for it: nobody's job is to write there.
const NAME: &str = "shared";

/// None without the setting.
pub(super) fn open(form: Option<&StorageForm>, data_dir: &Path) -> Result<Option<NamedStorage>, Problem> {
    form.map(|form| form.open(NAME, data_dir)).transpose()
}
