//! The beginning of an input, in the place of the whole: enough to find its columns.

use std::io::{self, Cursor, Read};

use super::{InputSource, OpenInput};
use crate::error::{ConnectorError, Result};

/// The bytes of a beginning never change.
impl InputSource for Cursor<Vec<u8>> {}

/// Reads the first `bytes_max` bytes of an input, without a line that is cut off at their end.
///
/// Fails if not even the first line fits.
pub(crate) fn beginning_of(input: OpenInput, path: &str, bytes_max: u64) -> Result<OpenInput> {
    let failed = |source| ConnectorError::file("read", path, source);
    let mut bytes = Vec::new();
    input.source.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let end = bytes[..bytes_max as usize].iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let end = end.ok_or_else(|| {
            failed(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its first line is longer than {bytes_max} bytes"),
            ))
        })?;
        bytes.truncate(end + 1);
    }
    let length = bytes.len() as u64;
    Ok(OpenInput { source: Box::new(Cursor::new(bytes)), length, version: input.version })
}
