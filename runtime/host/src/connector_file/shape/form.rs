//! The shape of `form:`: tabs, and in them fields and groups.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use stepbox_batch::access::Role;
use stepbox_batch::instance_form::{Icon, Mode, Widget, Width};

use super::Ordered;

/// A right that the connector declares.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DeclaredRight {
    /// What it lets one do, for people.
    pub(in super::super) label: String,
    /// The weakest role that has it.
    pub(in super::super) from: Role,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Form {
    pub(in super::super) tabs: Ordered<Tab>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Tab {
    pub(in super::super) label: Option<String>,
    pub(in super::super) after: Option<String>,
    pub(in super::super) before: Option<String>,
    pub(in super::super) icon: Option<Icon>,
    pub(in super::super) right: Option<Right>,
    pub(in super::super) when: Option<Ordered<Value>>,
    #[serde(rename = "described-by")]
    pub(in super::super) described_by: Option<String>,
    pub(in super::super) hide: Option<bool>,
    #[serde(default)]
    pub(in super::super) fields: Vec<Entry>,
}

/// One right for both, or one to see and one to edit.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "a right, or `see` and `edit` with a right each")]
pub(in super::super) enum Right {
    Both(String),
    Each(EachRight),
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct EachRight {
    pub(in super::super) see: Option<String>,
    pub(in super::super) edit: Option<String>,
}

/// `urlToNotify`, `urlToNotify: { … }`, or `group: If it fails` with `fields`.
#[derive(Debug)]
pub(in super::super) enum Entry {
    Field(String, Box<Field>),
    Group(Group),
}

#[derive(Debug)]
pub(in super::super) struct Group {
    pub(in super::super) label: String,
    pub(in super::super) folded: Option<bool>,
    pub(in super::super) fields: Vec<Entry>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(in super::super) struct Field {
    pub(in super::super) after: Option<String>,
    pub(in super::super) before: Option<String>,
    pub(in super::super) widget: Option<Widget>,
    pub(in super::super) placeholder: Option<String>,
    pub(in super::super) help: Option<String>,
    #[serde(rename = "help_url")]
    pub(in super::super) help_url: Option<String>,
    pub(in super::super) when: Option<Ordered<Value>>,
    pub(in super::super) when_invalid: Option<String>,
    pub(in super::super) read_only: Option<ReadOnly>,
    pub(in super::super) r#in: Option<BTreeSet<Mode>>,
    pub(in super::super) suggest: Option<Vec<String>>,
    pub(in super::super) test: Option<String>,
    pub(in super::super) columns: Option<Ordered<String>>,
    pub(in super::super) reorder: Option<bool>,
    pub(in super::super) described_by: Option<String>,
    pub(in super::super) width: Option<Width>,
    pub(in super::super) hide: Option<bool>,
}

/// `true`, `after: create`, or `unless: author`.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged, expecting = "`true`, `after: create`, or `unless` with a right")]
pub(in super::super) enum ReadOnly {
    Always(bool),
    When(ReadOnlyWhen),
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in super::super) enum ReadOnlyWhen {
    After(Created),
    Unless(String),
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Created {
    Create,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field, a name with its keys, or a `group` with `fields`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Entry, E> {
        Ok(Entry::Field(name.to_owned(), Box::default()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entry, A::Error> {
        let Some(name) = access.next_key::<String>()? else {
            return Err(de::Error::custom("a field has a name"));
        };
        // A parameter may be called `group`, too; its value is a mapping.
        let keys = match name.as_str() {
            "group" => access.next_value::<LabelOrKeys>()?,
            _ => LabelOrKeys::Keys(access.next_value::<Option<Box<Field>>>()?.unwrap_or_default()),
        };
        match keys {
            LabelOrKeys::Keys(keys) => match access.next_key::<String>()? {
                None => Ok(Entry::Field(name, keys)),
                Some(other) => Err(de::Error::custom(format!(
                    "`{other}` stands beside the field `{name}`; each field is an entry of its own, and its keys stand below \
                     its name"
                ))),
            },
            LabelOrKeys::Label(label) => group(label, access).map(Entry::Group),
        }
    }
}

fn group<'de, A: MapAccess<'de>>(label: String, mut access: A) -> Result<Group, A::Error> {
    let mut group = Group { label, folded: None, fields: Vec::new() };
    while let Some(key) = access.next_key::<String>()? {
        match key.as_str() {
            "folded" => group.folded = Some(access.next_value()?),
            "fields" => group.fields = access.next_value()?,
            other => return Err(de::Error::unknown_field(other, &["group", "folded", "fields"])),
        }
    }
    Ok(group)
}

/// The label of a group, or the keys of a field.
enum LabelOrKeys {
    Label(String),
    Keys(Box<Field>),
}

impl<'de> Deserialize<'de> for LabelOrKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelVisitor;

        impl<'de> Visitor<'de> for LabelVisitor {
            type Value = LabelOrKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the label of a group, or the keys of a field")
            }

            fn visit_str<E: de::Error>(self, label: &str) -> Result<LabelOrKeys, E> {
                Ok(LabelOrKeys::Label(label.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<LabelOrKeys, A::Error> {
                let keys = Field::deserialize(de::value::MapAccessDeserializer::new(access))?;
                Ok(LabelOrKeys::Keys(Box::new(keys)))
            }
        }

        deserializer.deserialize_any(LabelVisitor)
    }
}
