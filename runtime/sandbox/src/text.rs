//! Texts of components on their way to a store.

use std::borrow::Cow;

/// A text that every store takes: NUL, which PostgreSQL cannot keep, becomes the replacement character.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
