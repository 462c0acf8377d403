//! Texts of unknown origin, made harmless: whatever would steer a terminal is shown as an escape.

use std::borrow::Cow;

/// A text of one or more lines, in which only line ends and tabs keep their effect.
pub(crate) fn in_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| steers(character) && !matches!(character, '\n' | '\t'), by_name)
}

/// A text in which nothing keeps its effect, so that it stays on one line.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    escaped(text, steers, by_name)
}

/// JSON whose strings hold such characters only as JSON escapes.
pub(crate) fn in_json(json: &str) -> Cow<'_, str> {
    let by_number = |character: char| format!("\\u{:04x}", u32::from(character));
    escaped(json, |character| steers(character) && character != '\n', by_number)
}

/// Whether a character moves the cursor, changes how others look, or ends a line.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Line and paragraph separator; marks, embeddings, overrides and isolates of direction.
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `\n`, `\u{1b}`.
fn by_name(character: char) -> String {
    character.escape_default().to_string()
}

fn escaped(text: &str, is_meant: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&is_meant) {
        return Cow::Borrowed(text);
    }
    let mut harmless = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_meant(character) {
            true => harmless.push_str(&escape(character)),
            false => harmless.push(character),
        }
    }
    Cow::Owned(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        let rows = [
            ("plain ü 漢", "plain ü 漢", "plain ü 漢"),
            ("a\tb\nc", "a\tb\nc", r"a\tb\nc"),
            ("\u{1b}[31mred", r"\u{1b}[31mred", r"\u{1b}[31mred"),
            ("a\rb", r"a\rb", r"a\rb"),
            ("\u{9b}2J\u{7f}", r"\u{9b}2J\u{7f}", r"\u{9b}2J\u{7f}"),
            ("gpj.\u{202e}exe", r"gpj.\u{202e}exe", r"gpj.\u{202e}exe"),
        ];
        for (text, lines, line) in rows {
            assert_eq!((&*in_lines(text), &*on_one_line(text)), (lines, line));
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{202e}\n" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let harmless = in_json(&text);
        assert!(!harmless.chars().any(|character| steers(character) && character != '\n'), "{harmless}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&harmless).unwrap(), value);
    }
}
