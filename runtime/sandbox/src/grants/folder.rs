//! The right to use a folder, held as an open handle and not as a path.

use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata};

use super::{GrantError, Withheld};

/// The operations that a step may use in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// List the folder and read files.
    Read,
    /// The same, and create, change and remove files and folders.
    Write,
}

impl Access {
    /// The word for it in a job: `read`, `write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A folder that a step may use, with the name that the step uses.
#[derive(Debug)]
pub struct FolderGrant {
    name: String,
    access: Access,
    dir: Dir,
    withheld: Option<Arc<dyn Withheld>>,
}

impl FolderGrant {
    /// Reads a line of a job's `grants.files`: `read /srv/inbox`. Opens nothing.
    pub fn parse(line: &str) -> Result<(Access, PathBuf), GrantError> {
        let bad =
            |problem: &str| GrantError::BadFolder { line: line.to_owned(), problem: problem.to_owned() };
        let (word, path) =
            line.trim().split_once(char::is_whitespace).ok_or_else(|| bad("it is not a word and a path"))?;
        let access = match word {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return Err(bad("it begins with neither `read` nor `write`")),
        };
        Ok((access, PathBuf::from(path.trim_start())))
    }

    pub(crate) fn new(
        name: &str,
        access: Access,
        dir: Dir,
        withheld: Option<Arc<dyn Withheld>>,
    ) -> Result<Self, GrantError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), access, dir, withheld })
    }

    /// The folder's name in the step.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operations that the step may use there.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether a file in the folder is withheld.
    pub(crate) fn withholds(&self, file: &Metadata) -> bool {
        self.withheld.as_ref().is_some_and(|withheld| withheld.withholds(file).unwrap_or(true))
    }

    /// The open folder. Everything beneath it is reached through this handle.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }
}

fn check_name(name: &str) -> Result<(), GrantError> {
    let bad = |problem| GrantError::BadFolderName { name: name.to_owned(), problem };
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match name {
        "" => Err(bad("it is empty")),
        "." | ".." => Err(bad("it would lead elsewhere")),
        _ if name.len() > 100 => Err(bad("it has more than 100 characters")),
        _ if !name.chars().all(is_word) => Err(bad("allowed are letters, digits, `_`, `-` and `.`")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grants;
    use super::*;

    #[test]
    fn reads_an_access_and_a_path() {
        let rows = [
            ("read /srv/in", "read /srv/in"),
            ("  write   my files/out ", "write my files/out"),
            ("read", "`read` is no grant for a folder: it is not a word and a path"),
            ("append /x", "`append /x` is no grant for a folder: it begins with neither `read` nor `write`"),
        ];
        for (line, expected) in rows {
            let found = match FolderGrant::parse(line) {
                Ok((access, path)) => format!("{} {}", access.as_str(), path.display()),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_folder_has_a_plain_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let grants = Grants::none().with_folder("in.box-1", Access::Read, open()).unwrap();
        assert_eq!(grants.folder("in.box-1").unwrap().access(), Access::Read);
        let rows = [
            ("in.box-1", "grant-folder-twice"),
            ("", "grant-folder-malformed"),
            ("..", "grant-folder-malformed"),
            ("a/b", "grant-folder-malformed"),
        ];
        for (name, code) in rows {
            let error = grants.clone().with_folder(name, Access::Write, open()).expect_err(name);
            assert_eq!(error.code(), code);
        }
    }
}
