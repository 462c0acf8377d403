//! The guests of this repository: their names, their sources, and the paths of their components.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ToolchainError;

/// The guests of one workspace.
#[derive(Clone, Debug)]
pub struct Guests {
    workspace: PathBuf,
    contract: PathBuf,
    shape: Shape,
}

/// How a workspace contains its guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A package each, in a folder of its name below `samples/`.
    Packages,
    /// A file each, as the examples of one package.
    Examples,
}

/// A guest, built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Words joined by underscores.
    pub name: String,
    /// The component's file.
    pub path: PathBuf,
}

impl Guests {
    /// The sample steps of a repository, in `guest-steps/samples/`.
    pub fn steps(repository: &Path) -> Guests {
        Guests::of(repository, "guest-steps", Shape::Packages)
    }

    /// The hostile and odd guests of a repository, in `tests/guests/`.
    pub fn hostile(repository: &Path) -> Guests {
        Guests::of(repository, "tests/guests", Shape::Examples)
    }

    fn of(repository: &Path, workspace: &str, shape: Shape) -> Guests {
        Guests { workspace: repository.join(workspace), contract: repository.join("wit"), shape }
    }

    /// The folder with the workspace's manifest.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The arguments that tell cargo what to build.
    pub(crate) fn selection(&self) -> &'static [&'static str] {
        match self.shape {
            Shape::Packages => &["--workspace", "--lib"],
            Shape::Examples => &["--examples"],
        }
    }

    /// The names of all guests, sorted. Those of packages have underscores, as their components do.
    pub fn names(&self) -> Result<Vec<String>, ToolchainError> {
        let mut names = Vec::new();
        let folder = match self.shape {
            Shape::Packages => self.workspace.join("samples"),
            Shape::Examples => self.workspace.clone(),
        };
        for path in entries(&folder)? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
            let is_guest = match self.shape {
                Shape::Packages => is_component_package(&path),
                Shape::Examples => path.extension().is_some_and(|extension| extension == "rs"),
            };
            if is_guest {
                names.push(stem);
            }
        }
        Ok(names)
    }

    /// Every file that a component depends on in this repository.
    pub fn sources(&self) -> Result<Vec<PathBuf>, ToolchainError> {
        let mut sources = Vec::new();
        collect(&self.workspace, &mut sources)?;
        collect(&self.contract, &mut sources)?;
        Ok(sources)
    }

    pub(crate) fn components(&self, release: &Path) -> Result<Vec<Component>, ToolchainError> {
        let folder = match self.shape {
            Shape::Packages => release.to_owned(),
            Shape::Examples => release.join("examples"),
        };
        let found = |name: String| {
            let path = folder.join(format!("{name}.wasm"));
            if path.is_file() {
                Ok(Component { name, path })
            } else {
                Err(ToolchainError::MissingComponent { name, path })
            }
        };
        self.names()?.into_iter().map(found).collect()
    }
}

fn is_component_package(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|manifest| manifest.contains("\"cdylib\""))
}

/// All sources below a folder, without build results.
fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> Result<(), ToolchainError> {
    for path in entries(folder)? {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, sources)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| ["rs", "toml", "lock", "wit"].map(Some).contains(&extension.to_str()))
        {
            sources.push(path);
        }
    }
    Ok(())
}

/// The entries of a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ToolchainError> {
    let refuse = |source| ToolchainError::Unreadable { path: folder.to_owned(), source };
    let found = fs::read_dir(folder).map_err(refuse)?;
    let mut paths =
        found.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    paths.sort();
    Ok(paths)
}
