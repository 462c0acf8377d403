//! The values that the steps of a run share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many bytes the values of an execution context may take together.
pub const CONTEXT_BYTES_MAX: usize = 64 << 10;

/// Key/values shared by the steps of a run, stored with each checkpoint.
///
/// Values are JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionContext(pub BTreeMap<String, Value>);

impl ExecutionContext {
    /// Bytes of all keys and values as JSON.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| entry_bytes(key, value)).sum()
    }
}

/// Bytes of a key and its value as JSON. The JSON is only counted, not kept.
pub(crate) fn entry_bytes(key: &str, value: &Value) -> usize {
    let mut text = Length(0);
    // Serializing fails only for keys that are not text, and all keys are text.
    let _ = serde_json::to_writer(&mut text, value);
    key.len() + text.0
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
