//! The options of an element, read strictly: unknown options and wrong types are errors.
//!
//! An option that is null counts as missing, so that a template can leave it out.

use serde_json::{Map, Value};
use stepbox_batch::numbers::as_integer;

use crate::error::{ConnectorError, Result};
use crate::location::Location;

pub(crate) struct Options<'a>(Option<&'a Map<String, Value>>);

impl<'a> Options<'a> {
    /// Takes an object whose keys must all be among `known`.
    pub(crate) fn new(values: &'a Value, known: &'static [&'static str]) -> Result<Self> {
        let values = match values {
            Value::Null => return Ok(Self(None)),
            Value::Object(values) => values,
            other => return Err(ConnectorError::UnknownOption { option: other.to_string(), known }),
        };
        match values.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Self(Some(values))),
            Some(option) => Err(ConnectorError::UnknownOption { option: option.clone(), known }),
        }
    }

    fn get(&self, option: &str) -> Option<&'a Value> {
        self.0?.get(option).filter(|value| !value.is_null())
    }

    /// The place of a file. The option is required.
    pub(crate) fn location(&self, option: &'static str) -> Result<Location> {
        let value = self.get(option).ok_or(ConnectorError::MissingOption { option })?;
        Location::from_value(option, value)
    }

    /// A truth value.
    pub(crate) fn flag(&self, option: &'static str, default: bool) -> Result<bool> {
        match self.get(option) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(bad(option, format!("is {other}, which is neither true nor false"))),
        }
    }

    /// A whole number of at least 1; `None` if the option is missing.
    pub(crate) fn count(&self, option: &'static str) -> Result<Option<u64>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        // 2.0 counts as 2, as everywhere in Stepbox.
        let integer = value.as_number().and_then(as_integer);
        match integer.and_then(|integer| integer.as_u64()) {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(bad(option, format!("is {value}, which is not a whole number from 1 on"))),
        }
    }

    /// One printable ASCII character, or a tab; `None` if the option is missing.
    pub(crate) fn character(&self, option: &'static str) -> Result<Option<u8>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        match value.as_str().map(str::as_bytes) {
            Some(&[byte @ (b' '..=b'~' | b'\t')]) => Ok(Some(byte)),
            _ => Err(bad(option, format!("is {value}, which is not one printable ASCII character or tab"))),
        }
    }

    /// The text of an option; `None` if the option is missing or not a text.
    pub(crate) fn word(&self, option: &str) -> Option<&'a str> {
        self.get(option)?.as_str()
    }

    /// The choice for one of several words; the first choice if the option is missing.
    pub(crate) fn choice<T: Copy>(&self, option: &'static str, choices: &[(&str, T)]) -> Result<T> {
        let Some(value) = self.get(option) else { return Ok(choices[0].1) };
        let chosen = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        chosen.map(|&(_, choice)| choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
            bad(option, format!("is {value}, which is not one of {}", names.join(", ")))
        })
    }

    /// A list of at least one name, all different; `None` if the option is missing.
    pub(crate) fn names(&self, option: &'static str) -> Result<Option<Vec<String>>> {
        let Some(value) = self.get(option) else { return Ok(None) };
        let texts = value.as_array().map(|list| list.iter().map(|name| name.as_str().map(str::to_owned)));
        let names: Vec<String> = match texts.and_then(Iterator::collect) {
            Some(names) => names,
            None => return Err(bad(option, "is not a list of names".to_owned())),
        };
        if names.is_empty() {
            return Err(bad(option, "is an empty list".to_owned()));
        }
        match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            None => Ok(Some(names)),
            Some((_, name)) => Err(bad(option, format!("names `{name}` twice"))),
        }
    }
}

pub(crate) fn bad(option: &'static str, problem: String) -> ConnectorError {
    ConnectorError::BadOption { option, problem }
}
