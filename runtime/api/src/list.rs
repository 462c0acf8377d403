//! Rows of a list. A row that the store could not read keeps its place in the list.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use stepbox_batch::ports::listing;

/// A row of a list.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Row<T> {
    /// A row that could be read.
    Whole(T),
    /// A row that is damaged in the store.
    Damaged(DamagedRow),
}

/// A row that is damaged in the store.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRow {
    /// Its number; absent if the rows of the list have no numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The kind of row: `execution`.
    pub kind: String,
    /// Its name, as far as it can be read.
    pub name: String,
    /// What is wrong. No other row has this field.
    pub damaged: String,
}

impl<T> Row<T> {
    /// The rows of a list: those that could be read, then the damaged ones.
    pub fn of<D>(listing: &listing::Listing<D>, view: impl Fn(&D) -> T) -> Vec<Self> {
        let whole = listing.iter().map(|row| Self::Whole(view(row)));
        whole.chain(listing.damaged.iter().map(|row| Self::Damaged(DamagedRow::of(row)))).collect()
    }

    /// The row; `None` if it is damaged.
    pub fn whole(&self) -> Option<&T> {
        match self {
            Self::Whole(row) => Some(row),
            Self::Damaged(_) => None,
        }
    }
}

impl DamagedRow {
    /// Built from a row that the store could not read.
    pub fn of(damaged: &listing::Damaged) -> Self {
        let listing::Damaged { kind, name, number, reason } = damaged.clone();
        Self { id: number, kind: kind.to_owned(), name, damaged: reason }
    }
}

/// The field `damaged` decides, so that an error names the field that is wrong.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = Value::deserialize(deserializer)?;
        let read = match row.get("damaged") {
            Some(_) => serde_json::from_value(row).map(Self::Damaged),
            None => serde_json::from_value(row).map(Self::Whole),
        };
        read.map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::ports::Damaged;

    use super::*;
    use crate::instance::Instance;
    use crate::testing::{instance, survives};

    #[test]
    fn whole_and_damaged_rows_survive_a_wire() {
        let damaged = |number| Damaged {
            kind: "execution",
            name: "7".to_owned(),
            number,
            reason: "status 99".to_owned(),
        };
        let rows = vec![
            Row::Whole(Instance::of(&instance())),
            Row::Damaged(DamagedRow::of(&damaged(Some(7)))),
            Row::Damaged(DamagedRow::of(&damaged(None))),
        ];
        let shown = survives(&rows);
        assert!(shown[2].get("id").is_none());
        let wrong = serde_json::from_str::<Row<Instance>>(r#"{ "code": 7 }"#).unwrap_err().to_string();
        assert!(wrong.contains("invalid type: integer `7`"), "{wrong}");
    }
}
