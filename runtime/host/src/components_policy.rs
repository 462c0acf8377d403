//! Which components may come in, and be run.

use stepbox_batch::repository::Component;

use crate::signature::{self, SignatureError, SigningKey};

/// Which components may come in, and be run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComponentsPolicy {
    /// Whose signatures are accepted: each component needs one of these, to come in as well as to be run.
    /// None if no signature is asked for.
    pub signed_by: Option<Vec<SigningKey>>,
}

/// Why a policy cannot be, or has a setting without effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentsPolicyError {
    /// Nobody could sign.
    #[error("`components.signed_by` is empty, so that no component could be run")]
    NoKeys,
    /// Two keys of one name: nobody could tell whose signature it was.
    #[error("`components.signed_by` has two keys with the name `{0}`")]
    NameTwice(String),
    /// One key under two names.
    #[error("`{second}` in `components.signed_by` has no effect: it has the key of `{first}`")]
    KeyTwice {
        /// The one that counts.
        first: String,
        /// The one without effect.
        second: String,
    },
}

impl ComponentsPolicyError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "policy-components-malformed"
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NoKeys => "list a key, or leave `signed_by` out to ask for no signature".to_owned(),
            Self::NameTwice(name) => format!("give each key a name of its own, such as `{name}-2`"),
            Self::KeyTwice { second, .. } => format!("take `{second}` out"),
        }
    }
}

impl ComponentsPolicy {
    /// Whether each setting has an effect.
    pub fn check(&self) -> Result<(), ComponentsPolicyError> {
        self.signed_by.as_deref().map_or(Ok(()), check_keys)
    }

    /// Whether a component that is kept may be run.
    pub(crate) fn judge(&self, component: &Component) -> Result<(), SignatureError> {
        match &self.signed_by {
            Some(keys) => signature::judge(keys, component.signer.as_ref()),
            None => Ok(()),
        }
    }
}

fn check_keys(keys: &[SigningKey]) -> Result<(), ComponentsPolicyError> {
    if keys.is_empty() {
        return Err(ComponentsPolicyError::NoKeys);
    }
    for (index, key) in keys.iter().enumerate() {
        let earlier = &keys[..index];
        if earlier.iter().any(|earlier| earlier.name() == key.name()) {
            return Err(ComponentsPolicyError::NameTwice(key.name().to_owned()));
        }
        if let Some(first) = earlier.iter().find(|earlier| earlier.text() == key.text()) {
            let (first, second) = (first.name().to_owned(), key.name().to_owned());
            return Err(ComponentsPolicyError::KeyTwice { first, second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[(&str, &str)], expected: &str) {
        let keys = keys.iter().map(|(name, key)| SigningKey::new(name, key).unwrap()).collect();
        let policy = ComponentsPolicy { signed_by: Some(keys) };
        let found = policy.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn every_key_has_a_name_and_an_effect() {
        const A: &str = "RWSRZx0VI4kuZ4lciSqZLxjyd8ncJbbFhw3VRYESz3bRSF76K60A1M/U";
        const B: &str = "RWSQUze6JWE5jpHkYyXfImYmaP52zIxLtc+WZa5NpqWdsfPssP6beskg";
        check(&[("acme", A), ("bolt", B)], "fine");
        check(&[], "`components.signed_by` is empty, so that no component could be run");
        check(&[("acme", A), ("acme", B)], "`components.signed_by` has two keys with the name `acme`");
        check(
            &[("acme", A), ("bolt", B), ("acorn", A)],
            "`acorn` in `components.signed_by` has no effect: it has the key of `acme`",
        );
        assert_eq!(ComponentsPolicy::default().check(), Ok(()));
    }
}
