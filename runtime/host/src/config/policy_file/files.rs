//! `files` in `policy.yaml`: the folders below which jobs may read and write.

use std::path::PathBuf;

use super::{ConfigWarning, Problem};
use crate::policy::FilesPolicy;
use serde::Deserialize;

/// The folders for jobs. Without them, jobs may use all files that this user may use.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Files {
    folders: Option<Vec<PathBuf>>,
}

impl Files {
    /// The policy for files; `None` if the file has no `folders`. A folder that does not exist now is a
    /// warning.
    pub(super) fn policy(&self, warnings: &mut Vec<ConfigWarning>) -> Result<Option<FilesPolicy>, Problem> {
        let Some(folders) = &self.folders else { return Ok(None) };
        let problem = |message: String, help: &str| Err(Problem { message, help: help.to_owned() });
        if folders.is_empty() {
            return problem(
                "`files.folders` is empty, so that no file could be read or written".to_owned(),
                "leave `folders` out to allow what this user may use, or list some",
            );
        }
        for (index, folder) in folders.iter().enumerate() {
            let shown = folder.display();
            if !folder.is_absolute() {
                let message = format!("`{shown}` in `files.folders` is not an absolute path");
                return problem(message, "write the path from the root on");
            }
            if !folder.is_dir() {
                warnings.push(ConfigWarning {
                    message: format!("`{shown}` in `files.folders` is not a folder that can be opened"),
                    help: "make the folder, or take it out".to_owned(),
                });
            }
            let is_covered = |(other, by): (usize, &PathBuf)| {
                other != index && folder.starts_with(by) && (folder != by || other < index)
            };
            if let Some((_, by)) = folders.iter().enumerate().find(|other| is_covered(*other)) {
                let message = format!("`{shown}` in `files.folders` has no effect beside `{}`", by.display());
                return problem(message, "take one of the two out");
            }
        }
        Ok(Some(FilesPolicy::Beneath(folders.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_must_be_there_and_have_an_effect() {
        let root = tempfile::tempdir().unwrap();
        let (inbox, below) = (root.path().join("inbox"), root.path().join("inbox/below"));
        std::fs::create_dir_all(&below).unwrap();
        let missing = root.path().join("missing");
        let check = |folders: &[&PathBuf], expected: &str| {
            let files = Files { folders: Some(folders.iter().copied().cloned().collect()) };
            let mut warnings = Vec::new();
            let found = match files.policy(&mut warnings) {
                Ok(Some(FilesPolicy::Beneath(folders))) => match warnings.first() {
                    Some(warning) => warning.message.replace(&*root.path().to_string_lossy(), ""),
                    None => format!("{} folders", folders.len()),
                },
                Ok(other) => format!("{other:?}"),
                Err(problem) => problem.message.replace(&*root.path().to_string_lossy(), ""),
            };
            assert_eq!(found, expected);
        };
        check(&[&inbox], "1 folders");
        check(&[], "`files.folders` is empty, so that no file could be read or written");
        check(&[&missing], "`/missing` in `files.folders` is not a folder that can be opened");
        check(&[&"here".into()], "`here` in `files.folders` is not an absolute path");
        check(&[&inbox, &below], "`/inbox/below` in `files.folders` has no effect beside `/inbox`");
        check(&[&inbox, &inbox], "`/inbox` in `files.folders` has no effect beside `/inbox`");
        assert!(matches!(Files::default().policy(&mut Vec::new()), Ok(None)));
    }
}
