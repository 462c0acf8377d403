//! Cells are mostly a few bytes long: so short that a call for finding their end, and another for
//! copying them, costs more than doing it. Here sixteen bytes are taken at once, in registers.

use std::ops::Range;

use memchr::memchr;

const SHORT_BYTES: usize = 16;
/// 1 in each byte.
const ONES: u128 = u128::MAX / 0xff;

/// Finds an ASCII byte in a part of `text`; else the end of the part.
#[inline]
pub(super) fn find_in_part(byte: u8, text: &[u8], part: Range<usize>) -> usize {
    let Range { start, end } = part;
    if let Some(&short) = text[start..].first_chunk::<SHORT_BYTES>() {
        let equal_is_zero = u128::from_le_bytes(short) ^ (ONES * u128::from(byte));
        // The lowest bit set here is the highest of the first byte that is zero.
        let zeros = equal_is_zero.wrapping_sub(ONES) & !equal_is_zero & (ONES << 7);
        if zeros != 0 {
            return end.min(start + zeros.trailing_zeros() as usize / 8);
        }
    }
    memchr(byte, &text[start..end]).map_or(end, |found| start + found)
}

/// Appends a part of `text`. The bytes after a short one come along and are taken off again.
#[inline]
pub(super) fn append_part(text: &[u8], part: Range<usize>, output: &mut Vec<u8>) {
    let Range { start, end } = part;
    match text[start..].first_chunk::<SHORT_BYTES>() {
        Some(short) if end - start <= SHORT_BYTES => {
            let length = output.len() + (end - start);
            output.extend_from_slice(short);
            output.truncate(length);
        }
        _ => output.extend_from_slice(&text[start..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_any_text() {
        // Bytes that differ from the one sought in one bit, or that borrow from it.
        let text: Vec<u8> = b"-,+,\x00\xac,.l\xff,\xad\x01,".iter().copied().cycle().take(50).collect();
        for start in 0..=text.len() {
            for end in start..=text.len() {
                let found = find_in_part(b',', &text, start..end);
                let expected = text[start..end].iter().position(|&byte| byte == b',');
                assert_eq!(found, expected.map_or(end, |at| start + at), "{start}..{end}");
                let mut output = b"x".to_vec();
                append_part(&text, start..end, &mut output);
                assert_eq!(output[1..], text[start..end]);
            }
        }
        let none = [b'a'; 40];
        assert_eq!(find_in_part(b',', &none, 3..37), 37);
    }
}
