//! The place of each value of a YAML file, by JSON pointer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use stepbox_batch::numbers::keeps_digits;

use super::part;

/// The values of a file with their places, searched by JSON pointer. A table of all pointers would repeat a
/// long key for each value below it.
#[derive(Debug, Default)]
pub(super) struct Locations(Option<Spanned<Node>>);

impl Locations {
    /// The places in a file that has already been parsed.
    pub(super) fn of(text: &str) -> Self {
        // A number such as `.nan` is refused elsewhere.
        let options = serde_saphyr::options! {
            non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
        };
        Self(serde_saphyr::from_str_with_options(text, options).ok())
    }

    /// Line and column of a value, or of the nearest value around it.
    pub(super) fn at(&self, pointer: &str) -> Option<(u64, u64)> {
        let mut found = self.0.as_ref()?;
        for name in pointer.split('/').skip(1) {
            match found.value.child(name) {
                Some(child) => found = child,
                None => break,
            }
        }
        Some((found.referenced.line(), found.referenced.column()))
    }
}

/// A number that would be rounded, and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rounded {
    pub(super) number: String,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Locations {
    /// The first number of the file that has more digits than 64 bits hold.
    pub(super) fn first_rounded(&self, text: &str) -> Option<Rounded> {
        rounded_in(self.0.as_ref()?, &text.lines().collect::<Vec<_>>())
    }
}

fn rounded_in(node: &Spanned<Node>, lines: &[&str]) -> Option<Rounded> {
    match &node.value {
        Node::Leaf => None,
        Node::Float => {
            let (line, column) = (node.defined.line(), node.defined.column());
            let line_text = lines.get(usize::try_from(line.checked_sub(1)?).ok()?)?;
            let rest = line_text.chars().skip(usize::try_from(column.checked_sub(1)?).ok()?);
            let number: String = rest.take_while(|c| !c.is_whitespace() && !",]}#".contains(*c)).collect();
            (!keeps_digits(&number)).then_some(Rounded { number, line, column })
        }
        Node::Sequence(items) => items.iter().find_map(|item| rounded_in(item, lines)),
        Node::Mapping(entries) => entries.iter().find_map(|(_, item)| rounded_in(item, lines)),
    }
}

/// A YAML value, reduced to its shape.
#[derive(Debug)]
enum Node {
    Leaf,
    /// A number that is not an integer of 64 bits.
    Float,
    Sequence(Vec<Spanned<Node>>),
    Mapping(Vec<(String, Spanned<Node>)>),
}

impl Node {
    /// The value that one part of a pointer leads to.
    fn child(&self, name: &str) -> Option<&Spanned<Self>> {
        match self {
            Self::Leaf | Self::Float => None,
            Self::Sequence(items) => items.get(name.parse::<usize>().ok()?),
            Self::Mapping(entries) => entries.iter().find(|(key, _)| part(key) == name).map(|(_, item)| item),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! leaf {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Node, E> {
            Ok(Node::Leaf)
        })*
    };
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    leaf!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_str: &str);

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Float)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        // Keys are read as texts, as in the shape: read as any value, `on` would be a boolean.
        while let Some(name) = access.next_key::<String>()? {
            entries.push((name, access.next_value()?));
        }
        Ok(Node::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_value_or_what_is_around_it() {
        let locations = Locations::of("a:\n  - x: 1\n    y/z: [2, 3]\n    on: { 4: [.nan, yes] }\n");
        let rows = [
            ("", Some((1, 1))),
            ("/a/0/x", Some((2, 8))),
            ("/a/0/y~1z/1", Some((3, 14))),
            ("/a/0/nothing/here", Some((2, 5))),
            ("/a/0/on/4/1", Some((4, 21))),
            ("/a/x", Some((2, 3))),
        ];
        for (pointer, expected) in rows {
            assert_eq!(locations.at(pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn finds_a_number_that_would_be_rounded() {
        let text = "a: 0.1\nb: [1, 123456789012345678901234567890]\nc: \"9876543210987654321098765\"\n";
        let rounded = Locations::of(text).first_rounded(text).unwrap();
        assert_eq!(
            (rounded.number.as_str(), rounded.line, rounded.column),
            ("123456789012345678901234567890", 2, 8)
        );
        let text = "a: [0.1, 18446744073709551615, 007, NO, 1e3, 2.0]\n";
        assert_eq!(Locations::of(text).first_rounded(text), None);
    }

    /// This once took 100 GB, for a file that is small enough to be read.
    #[test]
    fn a_long_key_above_many_values_costs_no_more_than_they_do() {
        let text = format!("? {}\n: [{}]\n", "k".repeat(400 << 10), "1,".repeat(200 << 10));
        assert!(text.len() < 1 << 20);
        assert_eq!(Locations::of(&text).at("/x"), Some((1, 1)));
    }
}
