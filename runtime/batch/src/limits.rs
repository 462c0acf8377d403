//! The limits that a step may set, in one table. Connector files, policies, stored jobs and the commands that show
//! them take the limits from here. A new limit needs a row here, a default and its enforcement in the sandbox, and
//! a line in the documents for step authors and operators.

use std::fmt;
use std::num::NonZeroU64;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Anything else, counted one by one.
    Count,
}

/// A limit that a step, or the policy of its tenant, may set.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The key of the limit: `memory_bytes_max`.
    pub name: &'static str,
    /// The unit of the limit.
    pub unit: LimitUnit,
    /// Whether it may be 0: a step can do without files and requests, but not without memory and time.
    pub may_be_zero: bool,
    field: fn(&mut LimitOverrides) -> &mut Option<u64>,
}

impl Limit {
    /// The value of the limit; `None` if the default applies.
    pub fn of(&self, limits: &LimitOverrides) -> Option<u64> {
        *(self.field)(&mut limits.clone())
    }

    /// Sets the limit; `None` restores the default.
    pub fn set(&self, limits: &mut LimitOverrides, value: Option<u64>) {
        *(self.field)(limits) = value;
    }
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $unit:ident, zero: $may_be_zero:literal;)*) => {
        /// The limits of a step that differ from the defaults of the sandbox.
        ///
        /// In a policy: how far a step may raise them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct LimitOverrides {
            $($(#[doc = $doc])* pub $name: Option<u64>,)*
        }

        /// All limits, in the order in which they are shown.
        pub const LIMITS: &[Limit] = &[$(Limit {
            name: stringify!($name),
            unit: LimitUnit::$unit,
            may_be_zero: $may_be_zero,
            field: |limits| &mut limits.$name,
        }),*];

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

limits! {
    /// How many bytes all memories and tables of one component may take together.
    memory_bytes_max: Bytes, zero: false;
    /// How long the step's components may run in one call of an element, or a tasklet in all, in milliseconds.
    time_ms_max: Milliseconds, zero: false;
    /// How long the step's components may compute, all together, in milliseconds of processor time.
    cpu_ms_max: Milliseconds, zero: false;
    /// How many bytes a step's components may write to files.
    disk_bytes_max: Bytes, zero: true;
    /// How many bytes of messages a step's components may log.
    log_bytes_max: Bytes, zero: true;
    /// How many HTTP requests a step's components may send.
    http_requests_max: Count, zero: true;
    /// How many bytes the bodies of a step's requests and answers may have, all together.
    http_bytes_max: Bytes, zero: true;
}

/// An object with all limits; a limit with its default value is null.
impl Serialize for LimitOverrides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(LIMITS.iter().map(|limit| (limit.name, limit.of(self))))
    }
}

/// An object with some limits. Unknown limits are refused.
impl<'de> Deserialize<'de> for LimitOverrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Limits { takes_any_zero: true })
    }
}

/// Reads limits as [`LimitOverrides`] does, and refuses 0 where a limit may not be 0.
pub fn deserialize_in_range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LimitOverrides, D::Error> {
    deserializer.deserialize_map(Limits { takes_any_zero: false })
}

struct Limits {
    takes_any_zero: bool,
}

impl<'de> Visitor<'de> for Limits {
    type Value = LimitOverrides;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limits by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitOverrides, A::Error> {
        let (mut limits, mut given) = (LimitOverrides::default(), Vec::new());
        while let Some(limit) = map.next_key_seed(Key)? {
            if given.contains(&limit.name) {
                return Err(A::Error::duplicate_field(limit.name));
            }
            given.push(limit.name);
            let value =
                map.next_value_seed(Value { may_be_zero: self.takes_any_zero || limit.may_be_zero })?;
            limit.set(&mut limits, value);
        }
        Ok(limits)
    }
}

/// The name of a limit.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = &'static Limit;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static Limit, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = &'static Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a limit")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'static Limit, E> {
        let found = LIMITS.iter().find(|limit| limit.name == name);
        found.ok_or_else(|| E::unknown_field(name, NAMES))
    }
}

/// The value of a limit.
struct Value {
    may_be_zero: bool,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
        match self.may_be_zero {
            true => Option::<u64>::deserialize(deserializer),
            false => Ok(Option::<NonZeroU64>::deserialize(deserializer)?.map(NonZeroU64::get)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_limit_has_a_value_of_its_own() {
        let mut limits = LimitOverrides::default();
        for (value, limit) in (1..).zip(LIMITS) {
            limit.set(&mut limits, Some(value));
        }
        let values: Vec<_> = LIMITS.iter().map(|limit| limit.of(&limits)).collect();
        assert_eq!(values, (1..=LIMITS.len() as u64).map(Some).collect::<Vec<_>>());
        assert_eq!(serde_json::from_value::<LimitOverrides>(json!(limits)).unwrap(), limits);
    }

    #[test]
    fn limits_are_read_strictly() {
        let check = |text: Value, expected: &str, expected_in_range: &str| {
            let told = |read: Result<LimitOverrides, serde_json::Error>| match read {
                Ok(limits) => {
                    let set = LIMITS.iter().filter_map(|limit| Some((limit.name, limit.of(&limits)?)));
                    set.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(told(LimitOverrides::deserialize(&text)), expected, "{text}");
            assert_eq!(told(deserialize_in_range(&text)), expected_in_range, "{text}");
        };
        let both = |text, expected| check(text, expected, expected);
        both(json!({}), "");
        both(json!({ "log_bytes_max": 0, "cpu_ms_max": 7 }), "cpu_ms_max=7 log_bytes_max=0");
        both(json!({ "time_ms_max": null }), "");
        let zero = json!({ "time_ms_max": 0 });
        check(zero, "time_ms_max=0", "invalid value: integer `0`, expected a nonzero u64");
        let unknown = "unknown field `time_max`, expected one of `memory_bytes_max`, `time_ms_max`, `cpu_ms_max`, \
                       `disk_bytes_max`, `log_bytes_max`, `http_requests_max`, `http_bytes_max`";
        both(json!({ "time_max": 7 }), unknown);
    }
}
