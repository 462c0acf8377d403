//! The map: the table in ARCHITECTURE.md names every crate of the workspace, its folder, and every crate of ours that
//! it uses, no more and no fewer. Every path on the map is written from the repository's root, and is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{process, repository};

const MAP: &str = "ARCHITECTURE.md";
const HEADER: &str = "| crate | folder | what it is | may use |";
const NOTHING: &str = "nothing of ours";

/// A crate: its folder, and those of ours that it uses or may use, for its tests as well.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    folder: String,
    uses: BTreeSet<String>,
}

type Crates = BTreeMap<String, Crate>;

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(repository::root().join(MAP))
        .with_context(|| format!("`{MAP}` cannot be read"))?;
    let drawn = drawn(&text);
    ensure!(!drawn.is_empty(), "{MAP} has no table `{HEADER}`");
    let mut findings = compare(&drawn, &built()?);
    findings.extend(misleading(&text, |path| repository::root().join(path).exists()));
    Ok(findings)
}

/// The paths of a text that lead nowhere. A path stands in backticks; it ends in `.rs`, or its first part is a folder
/// of the repository's root.
fn misleading(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    let mut is_example = false;
    for (number, line) in (1..).zip(text.lines()) {
        is_example ^= line.starts_with("```");
        for path in line.split('`').skip(1).step_by(2).filter(|_| !is_example) {
            let is_path = |path: &str| {
                let folder = path.split_once('/').map(|(folder, _)| folder);
                path.ends_with(".rs") || folder.is_some_and(|folder| !folder.is_empty() && exists(folder))
            };
            if !path.contains(' ') && is_path(path) && !exists(path) {
                findings.push(format!(
                    "{MAP}:{number}: there is no `{path}`; paths begin at the repository's root"
                ));
            }
        }
    }
    findings
}

/// The crates as the map draws them.
fn drawn(text: &str) -> Crates {
    let rows =
        text.lines().skip_while(|line| *line != HEADER).skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[name, folder, _, uses] = cells.as_slice() else { return None };
        let uses = uses.split(',').map(|name| name.trim().to_owned()).filter(|name| name != NOTHING);
        Some((name.to_owned(), Crate { folder: folder.to_owned(), uses: uses.collect() }))
    };
    rows.filter_map(row).collect()
}

/// The crates that cargo knows. A crate is ours if it is in this repository.
fn built() -> anyhow::Result<Crates> {
    let mut cargo = process::cargo(&repository::root())?;
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&process::output(&mut cargo)?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let root = text(&metadata["workspace_root"]);
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of_package = |package: Value| {
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().and_then(|folder| folder.strip_prefix(&root).ok());
        let folder = folder.unwrap_or(Path::new("")).to_string_lossy().replace('\\', "/");
        let dependencies = items(&package["dependencies"]).into_iter();
        let uses = dependencies.filter(|used| used["path"].is_string()).map(|used| text(&used["name"]));
        (text(&package["name"]), Crate { folder, uses: uses.collect() })
    };
    Ok(items(&metadata["packages"]).into_iter().map(of_package).collect())
}

fn compare(drawn: &Crates, built: &Crates) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, Crate { folder, uses }) in built {
        let Some(on_map) = drawn.get(name) else {
            let uses = if uses.is_empty() { NOTHING.to_owned() } else { joined(uses.iter()) };
            findings.push(format!("{MAP}: no row for a crate; add `| {name} | {folder} | … | {uses} |`"));
            continue;
        };
        if on_map.folder != *folder {
            findings.push(format!("{MAP}: `{name}` lies in `{folder}`, not in `{}`", on_map.folder));
        }
        let more = joined(uses.difference(&on_map.uses));
        if !more.is_empty() {
            findings.push(format!("{MAP}: `{name}` uses {more}, which it may not; is the arrow meant?"));
        }
        let unused = joined(on_map.uses.difference(uses));
        if !unused.is_empty() {
            findings.push(format!("{MAP}: `{name}` does not use {unused}; take the arrow away"));
        }
    }
    for name in drawn.keys().filter(|name| !built.contains_key(*name)) {
        findings.push(format!("{MAP}: there is no crate `{name}`"));
    }
    findings
}

fn joined<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_where_map_and_workspace_differ() {
        let map = format!(
            "text\n{HEADER}\n|---|---|---|---|\n| a | x/a | The first | nothing of ours |\n\
             | b | x/b | The second | a |\n| c | x/c | Gone | a, b |\n\n| d | no | row | a |\n"
        );
        let of = |folder: &str, uses: &[&str]| Crate {
            folder: folder.to_owned(),
            uses: uses.iter().map(|&name| name.to_owned()).collect(),
        };
        let built = Crates::from([
            ("a".to_owned(), of("x/a", &["b"])),
            ("b".to_owned(), of("y/b", &[])),
            ("e".to_owned(), of("x/e", &["a", "b"])),
        ]);
        let expected = [
            "ARCHITECTURE.md: `a` uses b, which it may not; is the arrow meant?",
            "ARCHITECTURE.md: `b` lies in `y/b`, not in `x/b`",
            "ARCHITECTURE.md: `b` does not use a; take the arrow away",
            "ARCHITECTURE.md: no row for a crate; add `| e | x/e | … | a, b |`",
            "ARCHITECTURE.md: there is no crate `c`",
        ];
        assert_eq!(compare(&drawn(&map), &built), expected);
    }

    #[test]
    fn notices_paths_that_lead_nowhere() {
        let there = ["runtime", "runtime/a.rs", "wit", "wit/"];
        let text = "`runtime/a.rs`, `wit/` and `a.rs`\n```text\nof `no.rs`\n```\n`runtime/b/`, `/proc/self`, \
                    `text/html`, `runtime/ is a folder`";
        let expected = [
            "ARCHITECTURE.md:1: there is no `a.rs`; paths begin at the repository's root",
            "ARCHITECTURE.md:5: there is no `runtime/b/`; paths begin at the repository's root",
        ];
        assert_eq!(misleading(text, |path| there.contains(&path)), expected);
    }
}
