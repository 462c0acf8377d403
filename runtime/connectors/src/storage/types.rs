//! The types of storage, one row for each.

use secrecy::SecretString;
use serde::Deserialize;

use super::local::LocalSettings;
use super::named::{NamedStorage, check_name};
use super::s3::S3Form;
use super::{KeySource, Settings};
use crate::error::ConnectorError;

/// Makes the types of storage from one row each: the variant, the name in settings and jobs, and the settings.
macro_rules! storage_types {
    ($($(#[doc = $doc:literal])* $variant:ident: $name:literal => $settings:ty,)*) => {
        /// The types of storage there are.
        pub(crate) const STORAGE_TYPES: &[&str] = &[$($name),*];

        /// The settings of a storage, as the operator writes them: `{ type: local, path: /srv/exchange }`.
        #[derive(Debug, PartialEq, Eq, Deserialize)]
        #[serde(tag = "type")]
        pub enum StorageSettings {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant($settings),)*
        }

        impl StorageSettings {
            fn of_type(&self) -> &dyn Settings {
                match self {
                    $(Self::$variant(settings) => settings,)*
                }
            }
        }
    };
}

storage_types! {
    /// A folder, on a file system that all workers share.
    Local: "local" => LocalSettings,
    /// A bucket that speaks S3.
    S3: "s3" => S3Form,
}

/// The type whose storage a job need not name: files of this machine in the tenant's folders.
pub(crate) const UNNAMED_TYPE: &str = STORAGE_TYPES[0];

impl StorageSettings {
    /// The sources of the keys, each with the name of its setting.
    pub fn keys(&self) -> Vec<(&'static str, &KeySource)> {
        self.of_type().keys()
    }

    /// Refuses settings that are wrong in any case, independent of the keys and of what exists now.
    pub fn check(&self, name: &str) -> Result<(), ConnectorError> {
        check_name(name)?;
        self.of_type().check(name)
    }

    /// Sets the storage up.
    ///
    /// No request is sent. `key` reads the key that a setting names.
    pub fn open<E: From<ConnectorError>>(
        &self,
        name: &str,
        mut key: impl FnMut(&'static str, &KeySource) -> Result<String, E>,
    ) -> Result<NamedStorage, E> {
        let settings = self.of_type();
        let keys = settings.keys().into_iter().map(|(setting, source)| Ok(key(setting, source)?.into()));
        let keys = keys.collect::<Result<Vec<SecretString>, E>>()?;
        Ok(NamedStorage::new(name, settings.open(name, &keys)?)?)
    }
}
