//! The parameters of statements, and the values of rows.
//!
//! PostgreSQL accepts every text except NUL, but steps, items and files may contain NUL. So `\u{1a}` ("substitute",
//! which is hardly used) begins an escape: `\u{1a}0` is NUL, and `\u{1a}1` is `\u{1a}` itself. Equal texts stay
//! equal, and nothing else changes.

use std::borrow::Cow;

use memchr::memchr2;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::trouble::{Outcome, Trouble};
use crate::record::columns::Columns;

const ESCAPE: char = '\u{1a}';

/// A parameter of a statement. It has as few types as the columns.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Flag(bool),
    Number(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<&'a [u8]>),
    Numbers(Vec<i64>),
    Texts(Vec<Cow<'a, str>>),
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Flag(flag) => flag.to_sql_checked(ty, out),
            Self::Number(number) => number.to_sql_checked(ty, out),
            Self::Text(text) => text.to_sql_checked(ty, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(ty, out),
            Self::Numbers(numbers) => numbers.to_sql_checked(ty, out),
            Self::Texts(texts) => texts.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true // each variant checks the type itself
    }

    to_sql_checked!();
}

/// The text in the form that PostgreSQL accepts.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if memchr2(0, ESCAPE as u8, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// The text as it was given.
fn unescaped(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        unescaped.push(match character {
            ESCAPE if characters.next() == Some('0') => '\0',
            other => other,
        });
    }
    unescaped
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(escaped(text)))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(escaped))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl<'a> From<&'a Option<Vec<u8>>> for Value<'a> {
    fn from(bytes: &'a Option<Vec<u8>>) -> Self {
        Self::Bytes(bytes.as_deref())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Vec<i64>> for Value<'_> {
    fn from(numbers: Vec<i64>) -> Self {
        Self::Numbers(numbers)
    }
}

impl<'a, T: AsRef<str> + ?Sized + 'a> FromIterator<&'a T> for Value<'a> {
    fn from_iter<I: IntoIterator<Item = &'a T>>(texts: I) -> Self {
        Self::Texts(texts.into_iter().map(|text| escaped(text.as_ref())).collect())
    }
}

/// Named parameters: `named! {"tenant": tenant, "id": id}`.
macro_rules! named {
    ($($name:literal : $value:expr),* $(,)?) => {
        [$(($name, $crate::postgres::value::Value::from($value))),*]
    };
}
pub(super) use named;

impl Columns for Row {
    type Error = Trouble;

    fn text(&self, column: &str) -> Outcome<String> {
        self.try_get(column).map(unescaped).map_err(Trouble::Column)
    }

    fn maybe_text(&self, column: &str) -> Outcome<Option<String>> {
        let text: Option<String> = self.try_get(column).map_err(Trouble::Column)?;
        Ok(text.map(unescaped))
    }

    fn number(&self, column: &str) -> Outcome<i64> {
        self.try_get(column).map_err(Trouble::Column)
    }

    fn maybe_number(&self, column: &str) -> Outcome<Option<i64>> {
        self.try_get(column).map_err(Trouble::Column)
    }

    fn flag(&self, column: &str) -> Outcome<bool> {
        self.try_get(column).map_err(Trouble::Column)
    }

    fn maybe_bytes(&self, column: &str) -> Outcome<Option<Vec<u8>>> {
        self.try_get(column).map_err(Trouble::Column)
    }
}

/// A statement with numbered parameters instead of named ones, and the name that belongs to each number.
pub(super) fn numbered(sql: &str, names: &[&str]) -> (String, Vec<usize>) {
    let (mut text, mut order) = (String::with_capacity(sql.len()), Vec::new());
    let mut rest = sql;
    while let Some(at) = rest.find(':') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let length = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_');
        let (name, after) = rest.split_at(length.unwrap_or(rest.len()));
        let Some(index) = names.iter().position(|known| *known == name) else {
            // A cast, or the bounds of an array.
            text.push(':');
            continue;
        };
        let number = order.iter().position(|known| *known == index).unwrap_or_else(|| {
            order.push(index);
            order.len() - 1
        });
        text.push_str(&format!("${}", number + 1));
        rest = after;
    }
    text.push_str(rest);
    (text, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_as_it_went() {
        for text in ["", "plain", "\0", "\u{1a}", "\u{1a}0", "a\0\u{1a}1\0", "один\0🙂", "\0\0\u{1a}\u{1a}"]
        {
            let stored = escaped(text);
            assert!(!stored.contains('\0'), "{text:?}");
            assert_eq!(unescaped(stored.into_owned()), text);
        }
        assert_eq!(escaped("a\0b\u{1a}"), "a\u{1a}0b\u{1a}1");
    }

    #[test]
    fn names_become_numbers() {
        let (text, order) = numbered(
            "SELECT :b::BIGINT, x[1:2] WHERE a = :a AND c = :b OR d = :other",
            &["a", "unused", "b"],
        );
        assert_eq!(text, "SELECT $1::BIGINT, x[1:2] WHERE a = $2 AND c = $1 OR d = :other");
        assert_eq!(order, [2, 0]);
    }
}
