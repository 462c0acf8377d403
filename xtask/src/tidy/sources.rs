//! All source files, and texts that no source file may have.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::repository;

/// A longer file usually hides two topics.
const LINES_MAX: usize = 800;

/// Spelled in two parts, since this file is searched as well.
const LEFTOVERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!"), concat!("unimplemented", "!")];

pub(super) struct Source {
    /// The path from the repository's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// All files with Rust or WIT, without build results.
pub(super) fn read() -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    collect(&repository::root(), "", &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn collect(folder: &Path, name: &str, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("`{}` cannot be read", folder.display()))? {
        let entry = entry?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{name}{file_name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && file_name != "target" && !file_name.starts_with('.') {
            collect(&entry.path(), &format!("{path}/"), sources)?;
        } else if kind.is_file() && [".rs", ".wit"].iter().any(|extension| file_name.ends_with(extension)) {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("`{path}` cannot be read"))?;
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

/// No file is too long, and none has leftovers.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for Source { path, text } in sources {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{path}: {lines} lines, more than {LINES_MAX}: does it hide two rooms?"));
        }
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(leftover) = LEFTOVERS.iter().find(|leftover| line.contains(*leftover)) {
                findings.push(format!("{path}:{number}: `{leftover}`: do it, or make an issue of it"));
            }
        }
    }
    findings
}
