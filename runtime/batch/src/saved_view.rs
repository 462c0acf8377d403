//! Filters of executions that a user keeps under a name.

use crate::visible::unseen;

/// How many views a user may keep in a tenant.
pub const VIEWS_MAX: u32 = 50;
/// The longest name of a view, in characters.
pub const VIEW_CHARACTERS_MAX: usize = 60;

/// A filter of executions with the name that a user gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedView {
    /// The name, unique among the views of the user in the tenant.
    pub name: String,
    /// The text of the filter: see [`filter_text`](crate::execution::filter_text).
    pub filter: String,
}

/// Why a view is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedViewError {
    /// The name is empty.
    #[error("the view has no name")]
    NoName,
    /// The name is too long.
    #[error("the name of the view has {length} characters; at most {VIEW_CHARACTERS_MAX} are allowed")]
    LongName {
        /// How many characters it has.
        length: usize,
    },
    /// The name has a character that is not visible.
    #[error("the name of the view holds the character U+{code:04X}, which cannot be seen")]
    UnseenCharacter {
        /// The first such character.
        code: u32,
    },
}

impl SavedViewError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "view-invalid"
    }
}

impl SavedView {
    /// A view of a name that was typed. Spaces around it do not count.
    pub fn new(name: &str, filter: impl Into<String>) -> Result<Self, SavedViewError> {
        let name = name.trim();
        let length = name.chars().count();
        if length == 0 {
            return Err(SavedViewError::NoName);
        }
        if length > VIEW_CHARACTERS_MAX {
            return Err(SavedViewError::LongName { length });
        }
        if let Some(character) = name.chars().find(|character| unseen(*character).is_some()) {
            return Err(SavedViewError::UnseenCharacter { code: character.into() });
        }
        Ok(Self { name: name.to_owned(), filter: filter.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_can_be_seen() {
        let long = "x".repeat(61);
        let rows = [
            ("Exports of this week", "ok"),
            ("  <b> ä 値 ", "ok"),
            ("", "the view has no name"),
            ("   ", "the view has no name"),
            (&long, "the name of the view has 61 characters; at most 60 are allowed"),
            ("a\u{202e}b", "the name of the view holds the character U+202E, which cannot be seen"),
            ("a\nb", "the name of the view holds the character U+000A, which cannot be seen"),
        ];
        for (name, expected) in rows {
            let said = SavedView::new(name, "").map_or_else(|error| error.to_string(), |_| "ok".to_owned());
            assert_eq!(said, expected, "{name:?}");
        }
    }
}
