//! Texts that are too long are cut.

use std::borrow::Cow;

/// The beginning of a text, at most `max` bytes, cut at a character.
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The beginning of a text, with a mark that gives the length of the whole text.
///
/// So a reader does not take the beginning for the whole. At most `max` bytes with the mark.
pub fn cut_with_mark(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let mark = format!(" … (cut: {} bytes in all)", text.len());
    Cow::Owned(format!("{}{mark}", cut(text, max.saturating_sub(mark.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_texts_at_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("a", 9), "a");
        assert_eq!(cut_with_mark("abc", 3), "abc");
        let marked = cut_with_mark(&"é".repeat(100), 60).into_owned();
        assert!(marked.ends_with("é … (cut: 200 bytes in all)") && marked.len() <= 60, "{marked}");
    }
}
