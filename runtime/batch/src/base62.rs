//! Bytes as letters and digits: a text that fits into addresses, headers and command lines as it is.

/// The digits, in the order of their values.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number that the bytes are, the first byte first, in `digits` digits of base 62.
///
/// Leading zeros are written, so that every value of as many bytes has the same length. 16 bytes need 22 digits, and
/// 32 bytes need 43. Digits that are too few cut the number's beginning off.
pub fn base62(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec![b'0'; digits];
    for place in text.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *place = DIGITS[rest as usize];
    }
    text.into_iter().map(char::from).collect()
}

/// Whether a text has letters and digits of ASCII only.
pub fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_same_length_whatever_it_is() {
        let rows: [(&[u8], usize, &str); 7] = [
            (&[0], 2, "00"),
            (&[61], 2, "0z"),
            (&[62], 2, "10"),
            (&[1, 0], 3, "048"),
            (&[255; 4], 6, "4gfFC3"),
            (&[0; 32], 43, "0000000000000000000000000000000000000000000"),
            (&[255; 16], 22, "7n42DGM5Tflk9n8mt7Fhc7"),
        ];
        for (bytes, digits, expected) in rows {
            assert_eq!(base62(bytes, digits), expected, "{bytes:?}");
        }
        assert_ne!(&base62(&[255; 32], 43)[..1], "0", "32 bytes need all 43 digits");
        assert!(is_base62("aZ9") && !is_base62("a-b") && !is_base62("é"));
    }
}
