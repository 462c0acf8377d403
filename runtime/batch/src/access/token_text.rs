//! The text of a token, as a program sends it.

use std::fmt;

use crate::base62::{base62, is_base62};

/// Begins every token, so that people and scanners of secrets recognise it.
const PREFIX: &str = "sbx_";
/// How many digits 32 bytes need.
const DIGITS: usize = 43;
/// How many digits the checksum needs.
const CHECK_DIGITS: usize = 6;

/// The text of a token: `sbx_`, 43 random letters and digits, and 6 of a checksum.
///
/// The checksum tells typing mistakes and cut-off texts from unknown tokens without asking the store. It proves
/// nothing: anybody can compute it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(String);

impl TokenText {
    /// Makes a text of 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let text = format!("{PREFIX}{}", base62(&bytes, DIGITS));
        let check = checksum(&text);
        Self(text + &check)
    }

    /// Checks a text. `None` if it cannot be a token.
    pub fn parse(text: &str) -> Option<Self> {
        // Judged before anything is computed: a text may be of any length.
        if text.len() != PREFIX.len() + DIGITS + CHECK_DIGITS {
            return None;
        }
        let digits = text.strip_prefix(PREFIX).filter(|digits| is_base62(digits))?;
        let check = &digits[DIGITS..];
        (checksum(&text[..PREFIX.len() + DIGITS]) == check).then(|| Self(text.to_owned()))
    }

    /// The text itself, which is a secret.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checksum(text: &str) -> String {
    base62(&crc32fast::hash(text.as_bytes()).to_be_bytes(), CHECK_DIGITS)
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went() {
        for bytes in [[0; 32], [7; 32], [255; 32]] {
            let token = TokenText::from_bytes(bytes);
            assert_eq!(token.as_str().len(), 53);
            assert!(token.as_str().starts_with("sbx_"));
            assert_eq!(TokenText::parse(token.as_str()), Some(token.clone()));
            assert_eq!(format!("{token:?}"), "TokenText(…)");
        }
    }

    /// The form is a promise: tokens are kept elsewhere for months.
    #[test]
    fn the_form_stays_as_it_is() {
        let token = TokenText::from_bytes([0; 32]);
        assert_eq!(token.as_str(), concat!("sbx_", "0000000000000000000000000000000000000000000", "3UvflE"));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let whole = TokenText::from_bytes([7; 32]).as_str().to_owned();
        let mut swapped = whole.clone().into_bytes();
        swapped.swap(10, 11);
        if swapped[10] == swapped[11] {
            swapped[10] ^= 1;
        }
        let rows = [
            String::new(),
            "sbx_".to_owned(),
            whole[1..].to_owned(),
            whole[..52].to_owned(),
            format!("{whole}0"),
            format!(" {whole}"),
            format!("{whole}\n"),
            whole.to_lowercase(),
            whole.replace("sbx_", "SBX_"),
            whole.replace("sbx_", "sbx-"),
            String::from_utf8(swapped).unwrap(),
            format!("sbx_{}", "é".repeat(24) + "0"),
            "x".repeat(1 << 20),
        ];
        for text in rows {
            assert_eq!(TokenText::parse(&text), None, "{:.60}", text);
        }
    }
}
