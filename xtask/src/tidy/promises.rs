//! Promises: the tests named in each row under "What holds" in `SECURITY.md` exist.

use std::fs;

use anyhow::Context;

use super::sources::Source;
use crate::repository;

const PAGE: &str = "SECURITY.md";
/// The section whose table is compared, and where it ends.
const SECTION: &str = "## What holds";

/// Compares the page's table with the sources: each name in its last column is a test, a file, or a fuzz target.
pub(super) fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let page = fs::read_to_string(repository::root().join(PAGE))
        .with_context(|| format!("`{PAGE}` cannot be read"))?;
    let is_there = |name: &str| is_file(name) || sources.iter().any(|source| has_test(&source.text, name));
    Ok(missing(&page, is_there))
}

fn is_file(name: &str) -> bool {
    let root = repository::root();
    [root.join(name), root.join("xtask/fuzz/corpus").join(name)].iter().any(|path| path.exists())
}

/// Whether there is a function of that name: a test, or a row of a suite.
fn has_test(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}("))
}

fn missing(page: &str, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let section = page.split_once(SECTION).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut findings = Vec::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        let (case, tests) = (cells.next().unwrap_or_default(), cells.last().unwrap_or_default());
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            findings.push(format!("{PAGE}: no test is named for `{case}`"));
        }
        let gone = names.into_iter().filter(|name| !is_there(name));
        findings.extend(gone.map(|name| format!("{PAGE}: there is no test `{name}`, named for `{case}`")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_names_tests_that_there_are() {
        let page = "# Security\n\n## What holds\n\n| case | promise | test |\n|---|---|---|\n\
                    | a bomb | refused | `bombs`, `goes_off` |\n| a flood | cut off | by and by |\n\
                    \n## What is fuzzed\n\n| target | test |\n|---|---|\n| x | `other` |\n";
        let found = missing(page, |name| name == "bombs");
        let expected = [
            "SECURITY.md: there is no test `goes_off`, named for `a bomb`",
            "SECURITY.md: no test is named for `a flood`",
        ];
        assert_eq!(found, expected);
    }
}
