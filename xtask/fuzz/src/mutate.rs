//! Changes to inputs, decided by numbers that a seed decides.

/// A stream of numbers: xorshift64*.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

/// Texts that parsers treat in a special way.
const TOKENS: [&[u8]; 22] = [
    b"\"",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
    b"\xc3",
    b"{",
    b"}",
    b"[",
    b":",
    b"${parameters.a}",
    b"&a *a",
    b"\\ud800",
    b"null",
    b"18446744073709551615",
    b"-1",
    b"1e999",
    b"\xff\xff\xff\xff",
    b"\x80\x80\x80\x80\x08",
];

/// Changes an input in one to four places; `other` provides a part of itself.
pub fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        if is_component(bytes) && numbers.below(2) == 0 {
            change_sections(bytes, numbers);
        } else {
            change_bytes(bytes, other, numbers);
        }
    }
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len() + 1);
    let part = |bytes: &[u8], numbers: &mut Numbers| {
        let start = numbers.below(bytes.len() + 1);
        let length = numbers.below((bytes.len() - start).min(64) + 1);
        start..start + length
    };
    match numbers.below(7) {
        0 => drop(bytes.splice(at..at, TOKENS[numbers.below(TOKENS.len())].iter().copied())),
        1 => drop(bytes.drain(part(bytes, numbers))),
        2 => {
            let copy = bytes[part(bytes, numbers)].to_vec();
            drop(bytes.splice(at..at, copy));
        }
        3 => drop(bytes.splice(at..at, other[part(other, numbers)].iter().copied())),
        4 => bytes.truncate(at),
        5 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
        _ if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        _ => {}
    }
}

fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

/// Leaves out, doubles, moves or changes a section, and keeps the lengths right, so that only a reader of the
/// section's content notices.
pub fn change_sections(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let Some(mut sections) = sections(bytes).filter(|sections| !sections.is_empty()) else { return };
    let (one, other) = (numbers.below(sections.len()), numbers.below(sections.len()));
    match numbers.below(8) {
        0 => drop(sections.remove(one)),
        1 => sections.insert(other, sections[one].clone()),
        2 => sections.swap(one, other),
        _ => {
            let lender = sections[other].1.clone();
            let body = &mut sections[one].1;
            // A nested module or component.
            if numbers.below(2) == 0 && body.starts_with(b"\0asm") {
                change_sections(body, numbers);
            } else {
                change_bytes(body, &lender, numbers);
            }
        }
    }
    bytes.truncate(8);
    for (id, body) in sections {
        bytes.push(id);
        push_leb(bytes, body.len());
        bytes.extend(body);
    }
}

/// The sections after the first 8 bytes: a number and a body each.
fn sections(bytes: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut rest = bytes.get(8..)?;
    let mut sections = Vec::new();
    while let [id, after @ ..] = rest {
        let (length, after) = take_leb(after)?;
        let (body, after) = after.split_at_checked(length)?;
        sections.push((*id, body.to_vec()));
        rest = after;
    }
    Some(sections)
}

fn take_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let length = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)? + 1;
    let (leb, rest) = bytes.split_at(length);
    let number = leb.iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    Some((number, rest))
}

fn push_leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_put_together_as_they_were() {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for (id, length) in [(0, 3), (7, 0), (1, 200)] {
            bytes.push(id);
            push_leb(&mut bytes, length);
            bytes.extend(vec![id; length]);
        }
        let found: Vec<_> = sections(&bytes).unwrap().iter().map(|(id, body)| (*id, body.len())).collect();
        assert_eq!(found, [(0, 3), (7, 0), (1, 200)]);
        bytes.pop();
        assert_eq!(sections(&bytes), None);
    }
}
