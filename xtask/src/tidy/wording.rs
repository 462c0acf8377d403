//! Wording: the libraries below the front ends know no command line and no policy file. A next action of a front end
//! is a `Remedy`, which each front end words for itself.

use super::codes::is_of_tests;
use super::sources::Source;

/// The crates that know no front end.
const LIBRARIES: [&str; 6] = ["batch", "store", "net", "sandbox", "connectors", "host"];
/// The module that reads the policy file, and so may name its keys.
const OF_THE_POLICY_FILE: &str = "runtime/host/src/config";

/// Words that no text of these crates may have, and what each belongs to.
const WORDS: [(&str, &str); 12] = [
    ("`stepbox ", "a shell command"),
    ("`--", "an option of the command line"),
    (" --", "an option of the command line"),
    ("policy.yaml", "the operator's policy file"),
    ("`network: ", "a key of the policy file"),
    ("`http: ", "a key of the policy file"),
    ("`http.", "a key of the policy file"),
    ("`secrets: ", "a key of the policy file"),
    ("`secrets.", "a key of the policy file"),
    ("`quotas", "a key of the policy file"),
    ("`components: ", "a key of the policy file"),
    ("`storages`", "a key of the policy file"),
];

/// Searches all string literals of the libraries but those of their tests.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().filter(|source| is_of_a_library(&source.path)).flat_map(findings).collect()
}

fn is_of_a_library(path: &str) -> bool {
    let is_library = LIBRARIES.iter().any(|name| path.starts_with(&format!("runtime/{name}/src/")));
    is_library && path.ends_with(".rs") && !path.starts_with(OF_THE_POLICY_FILE) && !is_of_tests(path)
}

fn findings(source: &Source) -> Vec<String> {
    let told = |(line, text): (usize, String)| {
        let (word, what) = WORDS.iter().find(|(word, _)| is_in(&text, word))?;
        let (path, word) = (&source.path, word.trim());
        Some(format!(
            "{path}:{line}: a text with {what} (`{word}`): make it a `Remedy`, which front ends word"
        ))
    };
    literals(super::codes::without_tests(&source.text)).into_iter().filter_map(told).collect()
}

/// Whether a text has the word. An option has a letter after its hyphens.
fn is_in(text: &str, word: &str) -> bool {
    let is_option = word.ends_with("--");
    text.match_indices(word).any(|(at, _)| {
        !is_option || text[at + word.len()..].starts_with(|next: char| next.is_ascii_lowercase())
    })
}

/// The string literals of a Rust source, with the line where each begins. Comments are not literals.
fn literals(source: &str) -> Vec<(usize, String)> {
    let (mut found, mut rest, mut line) = (Vec::new(), source, 1);
    while let Some(next) = rest.chars().next() {
        let (length, text) = match next {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '\'' => (character(rest), None),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#\"") => raw(rest),
            '"' => quoted(rest),
            // A name that ends in `r` begins no raw literal.
            next if next.is_alphanumeric() || next == '_' => {
                (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), None)
            }
            next => (next.len_utf8(), None),
        };
        found.extend(text.map(|text| (line, text)));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length of a character literal; 1 for the apostrophe of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => rest.get(3..).and_then(|rest| rest.find('\'')).map_or(1, |end| end + 4),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

/// `r"…"` or `r#"…"#`: its length and its text.
fn raw(rest: &str) -> (usize, Option<String>) {
    let (begin, end) = if rest.starts_with("r#") { (3, "\"#") } else { (2, "\"") };
    let length = rest[begin..].find(end).unwrap_or(rest.len() - begin);
    let text = &rest[begin..begin + length];
    ((begin + length + end.len()).min(rest.len()), Some(text.to_owned()))
}

/// `"…"`: its length and its text, with lines that a backslash joins joined.
fn quoted(rest: &str) -> (usize, Option<String>) {
    let (mut text, mut chars) = (String::new(), rest.char_indices().skip(1).peekable());
    while let Some((at, next)) = chars.next() {
        match next {
            '"' => return (at + 1, Some(text)),
            '\\' => match chars.next() {
                Some((_, '\n')) => while chars.next_if(|(_, next)| next.is_whitespace()).is_some() {},
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            other => text.push(other),
        }
    }
    (rest.len(), Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_of_front_ends_in_texts_alone() {
        let text = r##"
            // `stepbox run` in a comment
            let help = "wait; `stepbox run` starts \
                        one";
            let (lifetime, quote): (&'static str, char) = ("`stepbox` alone", '"');
            let option = "restart it with `--newest-job`";
            let no_option = "a -- b `--` c";
            let key = r#"add it to `http.hosts`"#;
            let of_a_step = "raise `limits.time_ms_max`";
        "##;
        let source = |path: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let sources = [
            source("runtime/batch/src/a.rs"),
            source("runtime/host/src/config/policy_file.rs"),
            source("runtime/host/src/a/tests.rs"),
            source("runtime/cli/src/a.rs"),
        ];
        let expected = [
            "runtime/batch/src/a.rs:3: a text with a shell command (``stepbox`): make it a `Remedy`, which front ends word",
            "runtime/batch/src/a.rs:6: a text with an option of the command line (``--`): make it a `Remedy`, which front \
             ends word",
            "runtime/batch/src/a.rs:8: a text with a key of the policy file (``http.`): make it a `Remedy`, which front ends \
             word",
        ];
        assert_eq!(check(&sources), expected);
    }
}
