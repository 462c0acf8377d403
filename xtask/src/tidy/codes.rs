//! Error codes: each code in the runtime has a heading in `docs/errors.md`, and each heading there is a code of the
//! runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use anyhow::Context;

use super::sources::Source;
use crate::repository;

const PAGE: &str = "docs/errors.md";

/// The text before a code where the code is given out, up to its quotation mark or to blanks before it.
const GIVEN_OUT_BY: [&str; 6] = [
    "ElementError::failed(",
    "Mistake::new(",
    "component_error(name,",
    " code: ",
    "(code: ",
    "_CODE: &str =",
];

/// The beginning and the end of a list of codes, or of a function from errors to codes.
const LISTS: [(&str, &str); 2] = [("CODES: &[&str] = &[", "];"), ("fn code(", "\n    }\n")];

/// All codes, each with the files that give it out.
pub(super) fn given_out(sources: &[Source]) -> BTreeMap<String, BTreeSet<&str>> {
    let mut codes = BTreeMap::<String, BTreeSet<&str>>::new();
    for source in sources.iter().filter(|source| is_runtime(&source.path)) {
        for code in codes_of(without_tests(&source.text)) {
            codes.entry(code.to_owned()).or_default().insert(&source.path);
        }
    }
    codes
}

/// Compares the sources with the page.
pub(super) fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let page = match fs::read_to_string(repository::root().join(PAGE)) {
        Ok(page) => page,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("error codes: not checked, there is no {PAGE} yet");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).with_context(|| format!("`{PAGE}` cannot be read")),
    };
    let (given_out, told) = (given_out(sources), headings(&page));
    let mut findings = Vec::new();
    for (code, places) in &given_out {
        if !told.contains(code.as_str()) {
            let places = places.iter().copied().collect::<Vec<_>>().join(", ");
            findings.push(format!("{PAGE}: no heading `{code}`, which is given out by {places}"));
        }
    }
    for code in told.into_iter().filter(|code| !given_out.contains_key(*code)) {
        findings.push(format!("{PAGE}: the heading `{code}` is of a code that nothing gives out"));
    }
    Ok(findings)
}

/// Tests, and files that only tests use, invent codes.
fn is_runtime(path: &str) -> bool {
    path.starts_with("runtime/") && path.ends_with(".rs") && !is_of_tests(path)
}

/// Whether a file is for tests only.
pub(super) fn is_of_tests(path: &str) -> bool {
    ["/tests/", "tests.rs", "/testing.rs", "/store-testing/"].iter().any(|part| path.contains(part))
}

/// A source up to its inline tests.
pub(super) fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |start| &text[..start])
}

fn codes_of(text: &str) -> Vec<&str> {
    let mut codes = Vec::new();
    for before in GIVEN_OUT_BY {
        let places = text.match_indices(before).filter(|(at, _)| !is_in_a_comment(&text[..*at]));
        codes.extend(places.filter_map(|(at, _)| literal(text[at + before.len()..].trim_start())));
    }
    for (start, end) in LISTS {
        for rest in text.split(start).skip(1) {
            let body = rest.split(end).next().unwrap_or(rest);
            codes.extend(body.match_indices('"').filter_map(|(at, _)| literal(&body[at..])));
        }
    }
    codes.retain(|code| is_code(code));
    codes
}

/// Examples in comments invent codes, too.
fn is_in_a_comment(text_before: &str) -> bool {
    text_before.lines().next_back().is_some_and(|line| line.trim_start().starts_with("//"))
}

/// The text literal at the beginning of `text`.
fn literal(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split('"').next()
}

/// `## file-not-found`, at any depth below the title; headings with capitals or blanks are for people.
fn headings(page: &str) -> BTreeSet<&str> {
    let headings = page.lines().filter(|line| line.starts_with("##"));
    headings
        .map(|line| line.trim_start_matches('#').trim().trim_matches('`'))
        .filter(|text| is_code(text))
        .collect()
}

fn is_code(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.split('-').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_codes_wherever_they_are_given_out() {
        let text = r#"
            pub const CODES: &[&str] = &["a-list", "of-codes"];
            fn fail() { ElementError::failed("broke-down", "a-message") }
            fn split() { Mistake::new(
                "in-two-lines", pointer, "more") }
            let row = Row { code: "of-a-row".to_owned() };
    pub fn code(&self) -> &'static str {
        match self { Self::A => "of-an-error", Self::B => other.code() }
    }
    pub fn help(&self) -> &str { "not-a-code" }
        "#;
        let expected =
            BTreeSet::from(["a-list", "broke-down", "in-two-lines", "of-a-row", "of-an-error", "of-codes"]);
        assert_eq!(BTreeSet::from_iter(codes_of(text)), expected);
    }

    #[test]
    fn knows_the_headings_of_codes() {
        let page = "# Errors\n## Files\n### `file-not-found`\n## stopped\nfile-empty\n";
        assert_eq!(headings(page), BTreeSet::from(["file-not-found", "stopped"]));
    }
}
