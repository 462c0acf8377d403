//! The owner and the rights of an output: those of the file that it replaces.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};

use super::{OutputPlace, Result, for_reading};

/// Read, write and execute for all. The set-user, set-group and sticky bits are not part of it.
const MODE: u32 = 0o777;

impl OutputPlace {
    /// Gives the file under a temporary name the owner, the group and the mode of the file that it will replace, as far
    /// as this process may. If the group cannot be kept, the new group gets no more rights than everybody.
    pub(super) fn keep_rights(&self, temporary: &str, name: &str) -> Result<()> {
        let failed = |source| self.failed("keep the owner and the mode of", source);
        let replaced = match self.folder.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(failed)?,
        };
        let file = self.folder.open_with(temporary, &for_reading()).map_err(failed)?.into_std();
        let made = file.metadata().map_err(failed)?;
        let (uid, gid, mode) = {
            use cap_std::fs::MetadataExt as _;
            (replaced.uid(), replaced.gid(), replaced.mode() & MODE)
        };
        // Only the superuser can give a file to another user. Others can choose among their own groups.
        let _ = made.uid() == uid || fchown(&file, Some(uid), None).is_ok();
        let has_group = made.gid() == gid || fchown(&file, None, Some(gid)).is_ok();
        let mode = if has_group { mode } else { for_another_group(mode) };
        if made.mode() & MODE == mode {
            return Ok(());
        }
        file.set_permissions(Permissions::from_mode(mode)).map_err(failed)
    }
}

/// Gives the group the rights of everybody.
fn for_another_group(mode: u32) -> u32 {
    mode & !0o070 | (mode & 0o007) << 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_group_has_the_rights_of_everybody() {
        assert_eq!(for_another_group(0o640), 0o600);
        assert_eq!(for_another_group(0o664), 0o644);
        assert_eq!(for_another_group(0o606), 0o666);
    }
}
