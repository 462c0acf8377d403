//! Searching and copying for short cells. Most cells are a few bytes long. A function call to find their end, and
//! another to copy them, costs more than the work itself. So this code takes 16 bytes at once, in registers.

use std::ops::Range;

use memchr::memchr;

const SHORT_BYTES: usize = 16;
/// The value 1 in each byte.
const ONES: u128 = u128::MAX / 0xff;

/// The place of an ASCII byte in a part of `text`; the end of the part if the byte is not there.
#[inline]
pub(super) fn find_in_part(byte: u8, text: &[u8], part: Range<usize>) -> usize {
    let Range { start, end } = part;
    if let Some(&short) = text[start..].first_chunk::<SHORT_BYTES>() {
        let equal_is_zero = u128::from_le_bytes(short) ^ (ONES * u128::from(byte));
        // The lowest bit that is set here is the highest bit of the first zero byte.
        let zeros = equal_is_zero.wrapping_sub(ONES) & !equal_is_zero & (ONES << 7);
        if zeros != 0 {
            return end.min(start + zeros.trailing_zeros() as usize / 8);
        }
    }
    memchr(byte, &text[start..end]).map_or(end, |found| start + found)
}

/// Appends a part of `text`. For a short part, 16 bytes are copied and the extra bytes are removed again.
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
        // Bytes that differ from the wanted byte in one bit, or from which the subtraction borrows.
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
