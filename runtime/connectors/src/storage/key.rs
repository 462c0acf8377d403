//! The source of a storage's key. The settings themselves contain no key.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The source of a key: a file, or a variable of the environment.
///
/// A value in another form gives neither. So a key that was written there by mistake is in no message.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Given")]
pub struct KeySource {
    /// The path of the file.
    pub file: Option<PathBuf>,
    /// The name of the variable of the environment.
    pub env: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Place(Place),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    file: Option<PathBuf>,
    env: Option<String>,
}

impl From<Given> for KeySource {
    fn from(given: Given) -> Self {
        match given {
            Given::Place(Place { file, env }) => Self { file, env },
            Given::Other(_) => Self::default(),
        }
    }
}
