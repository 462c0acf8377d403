//! Where the key of a storage comes from. No key stands in the settings themselves.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Where a key comes from: a file or a variable of the environment. What is written otherwise has neither, so that a
/// key that stands there by mistake is in no message.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Given")]
pub struct KeySource {
    /// Its path, if it is a file.
    pub file: Option<PathBuf>,
    /// Its name, if it is a variable of the environment.
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
