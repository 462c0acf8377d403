//! Where the next page of a list begins.
//!
//! A cursor is opaque, and bound to its list: to the route, the tenant and every filter. A cursor of another list would
//! show rows that nobody asked for, or leave some out without a word.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::failure::Failure;

/// The form of a cursor. Another form gets another number.
const FORM: u8 = 1;
/// How long a cursor may be, in bytes of text.
const CURSOR_BYTES_MAX: usize = 1024;

/// A list, as its cursors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding([u8; 8]);

impl Binding {
    /// The list of a path with these filters, in any order.
    pub(crate) fn new(path: &str, filters: &[(String, String)]) -> Self {
        let mut filters: Vec<_> = filters.iter().collect();
        filters.sort();
        let mut hash = Sha256::new();
        for part in
            [path].into_iter().chain(filters.into_iter().flat_map(|(name, value)| [name.as_str(), value]))
        {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut binding = [0; 8];
        binding.copy_from_slice(&hash.finalize()[..8]);
        Self(binding)
    }

    /// The cursor of the page after this key.
    pub(crate) fn cursor(self, key: &str) -> String {
        URL_SAFE_NO_PAD.encode([&[FORM], &self.0[..], key.as_bytes()].concat())
    }

    /// The key of a cursor of this list.
    pub(crate) fn key(self, cursor: &str) -> Result<String, Failure> {
        let invalid = || {
            let failure =
                Failure::bad_request("cursor-invalid", "the cursor is none of this list with these filters");
            failure.with_help("begin at the first page, without `after`")
        };
        if cursor.len() > CURSOR_BYTES_MAX {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        match bytes.strip_prefix(&[FORM]).and_then(|rest| rest.strip_prefix(&self.0[..])) {
            Some(key) => String::from_utf8(key.to_vec()).map_err(|_| invalid()),
            None => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_cursor_is_good_for_its_list_alone() {
        let list = Binding::new("/a", &filters(&[("status", "FAILED"), ("instance", "x")]));
        let cursor = list.cursor("118");
        let same = Binding::new("/a", &filters(&[("instance", "x"), ("status", "FAILED")]));
        assert_eq!(same.key(&cursor).unwrap(), "118");
        let others = [
            Binding::new("/b", &filters(&[("status", "FAILED"), ("instance", "x")])),
            Binding::new("/a", &filters(&[("status", "FAILED")])),
            Binding::new("/a", &filters(&[("status", "FAILED"), ("instance", "y")])),
            Binding::new("/a", &filters(&[("statu", "sFAILED"), ("instance", "x")])),
            Binding::new("/a", &[]),
        ];
        for other in others {
            assert_eq!(other.key(&cursor).unwrap_err().code(), "cursor-invalid");
        }
        let mut changed = cursor.clone().into_bytes();
        changed[5] ^= 1;
        let long = "A".repeat(1 << 20);
        for wrong in ["", "x", "118", "' OR 1=1 --", &String::from_utf8_lossy(&changed), &cursor[1..], &long]
        {
            assert_eq!(list.key(wrong).unwrap_err().code(), "cursor-invalid", "{wrong:.40}");
        }
    }
}
