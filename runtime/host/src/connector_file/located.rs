//! Where each value of a YAML file stands, by JSON pointer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::part;

/// The values of a file and their places, to be asked by JSON pointer. A table of all pointers would
/// repeat a long key for each value below it.
#[derive(Debug, Default)]
pub(super) struct Locations(Option<Spanned<Node>>);

impl Locations {
    /// The places in a file that was parsed before.
    pub(super) fn of(text: &str) -> Self {
        // A number such as `.nan` is for others to refuse.
        let options = serde_saphyr::options! {
            non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough
        };
        Self(serde_saphyr::from_str_with_options(text, options).ok())
    }

    /// Line and column of a value, or of the nearest one around it.
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

/// A YAML value, of which only the shape matters.
#[derive(Debug)]
enum Node {
    Leaf,
    Sequence(Vec<Spanned<Node>>),
    Mapping(Vec<(String, Spanned<Node>)>),
}

impl Node {
    /// The value that one part of a pointer leads to.
    fn child(&self, name: &str) -> Option<&Spanned<Self>> {
        match self {
            Self::Leaf => None,
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

    leaf!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

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
        // As texts, like the form takes them: as any value, `on` would be a boolean.
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

    /// It took 100 GB, in a file that is small enough to be read.
    #[test]
    fn a_long_key_above_many_values_costs_no_more_than_they_do() {
        let text = format!("? {}\n: [{}]\n", "k".repeat(400 << 10), "1,".repeat(200 << 10));
        assert!(text.len() < 1 << 20);
        assert_eq!(Locations::of(&text).at("/x"), Some((1, 1)));
    }
}
