//! Which components may be uploaded and run.

use stepbox_batch::component_quota::ComponentQuota;
use stepbox_batch::inventory::Component;
use stepbox_sandbox::COMPONENT_BYTES_MAX;

use crate::signature::{self, SignatureError, SigningKey};

/// Which components may be uploaded and run.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentsPolicy {
    /// Whether new components may be uploaded through the tenant's own handle.
    ///
    /// If not, only the operator may upload them: `Stepbox::operator_of`. Components that are already stored
    /// can be used either way.
    pub upload: bool,
    /// The keys whose signatures are accepted: each component needs the signature of one of these keys, to be
    /// uploaded and to be run.
    ///
    /// `None` if no signature is required.
    pub signed_by: Option<Vec<SigningKey>>,
    /// The maximum number and the maximum size of components.
    pub quota: ComponentQuota,
}

impl Default for ComponentsPolicy {
    /// Uploads without signatures, 1000 components of at most 32 MiB each, and 4 GiB together.
    fn default() -> Self {
        Self {
            upload: true,
            signed_by: None,
            quota: ComponentQuota {
                count_max: 1000,
                size_bytes_max: COMPONENT_BYTES_MAX as u64,
                total_bytes_max: 4 << 30,
            },
        }
    }
}

/// Why a policy is invalid, or which of its settings has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentsPolicyError {
    /// There is no key, so nobody could sign.
    #[error("`signed_by` is empty, so that no component could be run")]
    NoKeys,
    /// Two keys have the same name, so a name would not say whose signature it was.
    #[error("`signed_by` has two keys with the name `{0}`")]
    NameTwice(String),
    /// The same key has two names.
    #[error("`{second}` in `signed_by` has no effect: it has the key of `{first}`")]
    KeyTwice {
        /// The name that counts.
        first: String,
        /// The name that has no effect.
        second: String,
    },
    /// The quota is larger than the maximum size of any component.
    #[error(
        "the quota `{name}` of components has no effect: no component may have more than {COMPONENT_BYTES_MAX} bytes"
    )]
    Idle {
        /// The setting.
        name: &'static str,
    },
    /// No component could be stored.
    #[error("the quota `{name}` of components is 0, so that no component could be kept")]
    NoRoom {
        /// The setting.
        name: &'static str,
    },
}

impl ComponentsPolicyError {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "policy-components-malformed"
    }

    /// How to correct it.
    pub fn help(&self) -> String {
        match self {
            Self::NoKeys => "list a key, or leave `signed_by` out to ask for no signature".to_owned(),
            Self::NameTwice(name) => format!("give each key a name of its own, such as `{name}-2`"),
            Self::KeyTwice { second, .. } => format!("take `{second}` out"),
            Self::Idle { name, .. } => format!("lower `{name}`, or leave it out"),
            Self::NoRoom { .. } => "write 1 or more, or `upload: false` to let nothing new in".to_owned(),
        }
    }
}

impl ComponentsPolicy {
    /// Whether each setting has an effect.
    pub fn check(&self) -> Result<(), ComponentsPolicyError> {
        self.signed_by.as_deref().map_or(Ok(()), check_keys)?;
        check_quota(&self.quota)
    }

    /// Whether a stored component may be run.
    pub(crate) fn judge(&self, component: &Component) -> Result<(), SignatureError> {
        match &self.signed_by {
            Some(keys) => signature::judge(keys, component.signer.as_ref()),
            None => Ok(()),
        }
    }
}

fn check_quota(quota: &ComponentQuota) -> Result<(), ComponentsPolicyError> {
    let ComponentQuota { count_max, size_bytes_max, total_bytes_max } = *quota;
    let values =
        [("count_max", count_max), ("size_bytes_max", size_bytes_max), ("total_bytes_max", total_bytes_max)];
    if let Some((name, _)) = values.into_iter().find(|(_, value)| *value == 0) {
        return Err(ComponentsPolicyError::NoRoom { name });
    }
    match size_bytes_max > COMPONENT_BYTES_MAX as u64 {
        true => Err(ComponentsPolicyError::Idle { name: "size_bytes_max" }),
        false => Ok(()),
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
        let policy = ComponentsPolicy { signed_by: Some(keys), ..ComponentsPolicy::default() };
        let found = policy.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn every_key_has_a_name_and_an_effect() {
        const A: &str = "RWSRZx0VI4kuZ4lciSqZLxjyd8ncJbbFhw3VRYESz3bRSF76K60A1M/U";
        const B: &str = "RWSQUze6JWE5jpHkYyXfImYmaP52zIxLtc+WZa5NpqWdsfPssP6beskg";
        check(&[("acme", A), ("bolt", B)], "fine");
        check(&[], "`signed_by` is empty, so that no component could be run");
        check(&[("acme", A), ("acme", B)], "`signed_by` has two keys with the name `acme`");
        check(
            &[("acme", A), ("bolt", B), ("acorn", A)],
            "`acorn` in `signed_by` has no effect: it has the key of `acme`",
        );
        assert_eq!(ComponentsPolicy::default().check(), Ok(()));
    }

    #[test]
    fn every_quota_has_an_effect() {
        let check = |change: fn(&mut ComponentQuota), expected: &str| {
            let mut policy = ComponentsPolicy::default();
            change(&mut policy.quota);
            let found = policy.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
            assert_eq!(found, expected);
        };
        check(|quota| quota.size_bytes_max = 1, "fine");
        check(
            |quota| quota.count_max = 0,
            "the quota `count_max` of components is 0, so that no component could be kept",
        );
        check(
            |quota| quota.size_bytes_max = (32 << 20) + 1,
            "the quota `size_bytes_max` of components has no effect: no component may have more than 33554432 bytes",
        );
    }
}
