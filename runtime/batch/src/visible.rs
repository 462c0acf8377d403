//! Texts that are safe to show. A character that would control a terminal or change how a page reads is shown as an
//! escape, and a text from outside never begins a line.
//!
//! Labels, names, messages, paths and items come from parameters, files, components and other machines. Code that
//! shows them, on a terminal, in a log or on a page, takes a [`Visible`], and only this module makes a [`Visible`].

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::Serialize;

/// Lines that are safe to show, each with its line end.
///
/// [`Visible::line`] makes a line of one text, so nothing in that text ends the line. Texts of several lines are
/// put after a name or an indent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible(String);

impl Visible {
    /// One line, whatever characters the text has.
    pub fn line(text: impl Display) -> Self {
        Self(format!("{}\n", on_one_line(&text.to_string()).trim_end()))
    }

    /// A name, followed by a text.
    ///
    /// Further lines of the text are indented to its first line.
    pub fn named(name: &str, text: &str) -> Self {
        let indent = " ".repeat(name.chars().count());
        let mut lines = text.lines();
        let first = Self::line(format_args!("{name}{}", lines.next().unwrap_or_default()));
        std::iter::once(first).chain(lines.map(|line| Self::line(format_args!("{indent}{line}")))).collect()
    }

    /// JSON over several lines.
    ///
    /// Control characters in its strings appear only as JSON escapes.
    ///
    /// # Panics
    ///
    /// If the value has keys that are not texts.
    pub fn json(value: &impl Serialize) -> Self {
        let json = serde_json::to_string_pretty(value).expect("its keys are texts");
        Self(in_json(&json) + "\n")
    }

    /// The same JSON on one line.
    ///
    /// # Panics
    ///
    /// If the value has keys that are not texts.
    pub fn json_line(value: &impl Serialize) -> Self {
        let json = serde_json::to_string(value).expect("its keys are texts");
        Self(in_json(&json) + "\n")
    }

    /// The same lines with a comma at the end, as between the values of a JSON array.
    #[must_use]
    pub fn followed(mut self) -> Self {
        let end = self.0.trim_end().len();
        self.0.replace_range(end.., ",\n");
        self
    }

    /// Indents every line by `places` places; an empty line stays empty.
    #[must_use]
    pub fn indented(&self, places: usize) -> Self {
        let indent = " ".repeat(places);
        self.0.lines().map(|line| Self::line(format_args!("{indent}{line}"))).collect()
    }

    /// Adds lines after these.
    #[must_use]
    pub fn and(mut self, below: Self) -> Self {
        self.0.push_str(&below.0);
        self
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines with their ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromIterator<Visible> for Visible {
    fn from_iter<I: IntoIterator<Item = Visible>>(parts: I) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

impl Extend<Visible> for Visible {
    fn extend<I: IntoIterator<Item = Visible>>(&mut self, parts: I) {
        parts.into_iter().for_each(|part| self.0.push_str(&part.0));
    }
}

impl Display for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text without any effect on a terminal or a page, so that it stays on one line.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    let by_name = |character: char| character.escape_default().to_string();
    escaped(text, steers, by_name)
}

/// JSON in which the strings have such characters only as JSON escapes. Line ends between values stay.
fn in_json(json: &str) -> String {
    // JSON writes a character above U+FFFF as two escapes, one for each half of the surrogate pair.
    let by_number = |character: char| {
        let mut halves = [0; 2];
        let halves = character.encode_utf16(&mut halves);
        halves.iter().map(|half| format!("\\u{half:04x}")).collect()
    };
    escaped(json, |character| steers(character) && character != '\n', by_number).into_owned()
}

/// The effect of an invisible character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// It moves the cursor, ends a line, or changes how other characters look.
    Steers,
    /// It has no visible effect, or it joins or shapes its neighbours, which some scripts need. Two texts that
    /// differ only in such a character may look the same.
    Hides,
}

/// The effect of an invisible character; `None` for a visible one. This is the only list of these characters. Code
/// that shows a text escapes those that steer; a name must not have any of them.
pub(crate) fn unseen(character: char) -> Option<Unseen> {
    match character {
        _ if character.is_control() => Some(Unseen::Steers),
        // Marks of direction.
        '\u{61c}' | '\u{200e}' | '\u{200f}'
        // Line and paragraph separator; embeddings, overrides and isolates of direction; shapes of digits.
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        // A mark of byte order; notes between lines; tags.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => Some(Unseen::Steers),
        // All others that Unicode calls ignorable: hyphens and joiners, fillers, variation selectors, musical
        // symbols.
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0080}'..='\u{e0fff}' => Some(Unseen::Hides),
        _ => None,
    }
}

/// Whether a character moves the cursor, ends a line, or changes how other characters look.
///
/// Joiners, which some scripts need, do not.
pub fn steers(character: char) -> bool {
    unseen(character) == Some(Unseen::Steers)
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
    fn what_steers_is_shown() {
        let rows = [
            ("plain ü 漢", "plain ü 漢"),
            ("a\tb\nc", r"a\tb\nc"),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("a\rb", r"a\rb"),
            ("\u{9b}2J\u{7f}", r"\u{9b}2J\u{7f}"),
            ("gpj.\u{202e}exe", r"gpj.\u{202e}exe"),
            ("\u{646}\u{6cc}\u{200c}\u{641} \u{feff}b", "\u{646}\u{6cc}\u{200c}\u{641} \\u{feff}b"),
            ("a\u{e0041}", r"a\u{e0041}"),
        ];
        for (text, expected) in rows {
            assert_eq!(Visible::line(text).as_str(), format!("{expected}\n"));
        }
    }

    #[test]
    fn a_text_from_outside_never_begins_a_line() {
        let text = "one\nerror: two\u{1b}[2J\r\nthree";
        let expected = "cause: one\n       error: two\\u{1b}[2J\n       three\n";
        assert_eq!(Visible::named("cause: ", text).as_str(), expected);
        assert_eq!(Visible::named("label  ", "").as_str(), "label\n");
        assert_eq!(Visible::line(text).as_str().lines().count(), 1);
        assert_eq!(Visible::line("a").and(Visible::line("")).indented(2).as_str(), "  a\n\n");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{202e}\n\u{e0041}" });
        assert_eq!(Visible::json(&1).followed().as_str(), "1,\n");
        for shown in [Visible::json(&value), Visible::json_line(&value)] {
            let shown = shown.as_str();
            assert!(!shown.chars().any(|character| steers(character) && character != '\n'), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(shown).unwrap(), value);
        }
    }
}
