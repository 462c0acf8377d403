//! The demo's folder, and `stepbox` in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{process, repository};

/// The policy of the demo's data folder.
const POLICY: &str = "network: { loopback: true }";

/// A folder of its own in which `stepbox` runs, so that its data folder is `.stepbox` as by default.
pub(super) struct Installation {
    folder: PathBuf,
    program: PathBuf,
}

impl Installation {
    /// Empties the folder, and copies the example from the repository to it, with its components.
    pub(super) fn fresh(folder: &Path, program: PathBuf, components: &Path) -> anyhow::Result<Self> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("`{}` cannot be emptied", folder.display()));
            }
            _ => {}
        }
        let example = folder.join("examples/csv-notify");
        copy_folder(&repository::root().join("examples/csv-notify"), &example)?;
        for step in ["normalise.wasm", "notify.wasm"] {
            copy_file(&components.join(step), &example.join("steps").join(step))?;
        }
        println!("in {}", folder.display());
        Ok(Self { folder: folder.to_owned(), program })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Allows requests of the steps to this machine, which are refused by default.
    pub(super) fn open_loopback(&self) -> anyhow::Result<()> {
        println!("$ echo '{POLICY}' > .stepbox/policy.yaml");
        let policy = self.folder.join(".stepbox/policy.yaml");
        fs::write(&policy, format!("{POLICY}\n"))
            .with_context(|| format!("`{}` cannot be written", policy.display()))
    }

    /// Runs `stepbox`, and prints the command as a user would type it.
    pub(super) fn stepbox(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = self.command(arguments);
        println!("$ {}", process::shown(&command));
        process::run(&mut command)
    }

    /// The latest execution of an instance, from the store.
    pub(super) fn latest_execution(&self, instance: &str) -> anyhow::Result<Value> {
        let list = ["executions", "list", "--instance", instance, "--format", "json"];
        let id = self.json(&list)?[0]["id"].to_string();
        self.json(&["executions", "show", &id, "--format", "json"])
    }

    fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = process::output(&mut self.command(arguments))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`stepbox {}` wrote no JSON", arguments.join(" ")))
    }

    /// The same without a word.
    pub(super) fn quietly(&self, arguments: &[&str]) -> anyhow::Result<()> {
        process::output(&mut self.command(arguments)).map(drop)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).env_remove("STEPBOX_DATA_DIR");
        command
    }

    /// The one exported file: `products_<time>.csv`.
    pub(super) fn exported_file(&self) -> anyhow::Result<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| name.starts_with("products_") && name.ends_with(".csv"));
        ensure!(names.len() == 1, "{} exported files in {}", names.len(), self.folder.display());
        Ok(names.remove(0))
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("`{}` cannot be read", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy_folder(&path, &copy)?,
            false => copy_file(&path, &copy)?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = fs::create_dir_all(to.parent().unwrap_or(to)).and_then(|()| fs::copy(from, to));
    copied.with_context(|| format!("`{}` cannot be copied to `{}`", from.display(), to.display()))?;
    Ok(())
}
