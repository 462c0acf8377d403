//! Parsing simple rows, as nearly all rows are, by searching instead of reading each byte.
//!
//! A cell is plain, or enclosed from its first byte to its last. csv-core parses everything else: text after a closing
//! enclosure, a row that the window cuts off, an empty line.

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use super::cells::Cells;
use super::copy_short::{append_part, find_in_part};
use super::dialect::Dialect;

/// Appends the cells of the row at the beginning of `input`, and returns its length in bytes and lines with its line
/// end. `None` if the row is not a simple one; then the caller must remove what was appended.
pub(super) fn append_simple_row(
    dialect: Dialect,
    input: &[u8],
    is_last: bool,
    Cells { text, ends, settled }: &mut Cells,
) -> Option<(usize, u64)> {
    let (mut at, mut lines) = (0, 1);
    let enclosure = dialect.enclosure_or_none();
    let mut line_end = memchr2(b'\n', b'\r', input).filter(|&end| end > 0)?;
    loop {
        if input.get(at).is_some_and(|&byte| u16::from(byte) == enclosure) {
            let (cell, start) = (text.len(), at);
            at += append_enclosed(enclosure as u8, &input[at..], text)?;
            if at - start > text.len() - cell + 2 {
                settled.push(ends.len() as u32);
            }
            // Only an enclosed cell can contain a line end.
            if at > line_end {
                lines += memchr_iter(b'\n', &text[cell..]).count() as u64;
                line_end = at + memchr2(b'\n', b'\r', &input[at..])?;
            }
        } else {
            let end = find_in_part(dialect.delimiter, input, at..line_end);
            append_part(input, at..end, text);
            at = end;
        }
        ends.push(text.len() as u32);
        if at == line_end {
            break;
        }
        if input[at] != dialect.delimiter {
            return None;
        }
        at += 1;
    }
    Some((after_line_end(input, at, is_last)?, lines))
}

/// Like [`append_simple_row`], without the cells: only enclosures and line ends are searched for.
pub(super) fn skip_simple_row(dialect: Dialect, input: &[u8], is_last: bool) -> Option<(usize, u64)> {
    let delimiter = dialect.delimiter;
    let Some(enclosure) = dialect.enclosure else {
        let line_end = memchr2(b'\n', b'\r', input).filter(|&end| end > 0)?;
        return Some((after_line_end(input, line_end, is_last)?, 1));
    };
    let (mut at, mut lines) = (0, 1);
    loop {
        if input.get(at) == Some(&enclosure) {
            let end = at + enclosed_bytes(enclosure, &input[at..])?;
            lines += memchr_iter(b'\n', &input[at..end]).count() as u64;
            match *input.get(end)? {
                b'\n' | b'\r' => return Some((after_line_end(input, end, is_last)?, lines)),
                byte if byte == delimiter => at = end + 1,
                _ => return None,
            }
            continue;
        }
        at += memchr3(b'\n', b'\r', enclosure, &input[at..])?;
        if input[at] != enclosure {
            return if at > 0 { Some((after_line_end(input, at, is_last)?, lines)) } else { None };
        }
        // Inside of a plain cell, an enclosure is a character like any other.
        if input[at - 1] != delimiter {
            at += 1;
            // Skips the rest of the cell, which must not look like the beginning of an enclosed one.
            at += memchr3(b'\n', b'\r', delimiter, &input[at..])?;
            if input[at] != delimiter {
                return Some((after_line_end(input, at, is_last)?, lines));
            }
            at += 1;
        }
    }
}

/// Where the next row begins after a line end; `None` if that is not in the window.
fn after_line_end(input: &[u8], at: usize, is_last: bool) -> Option<usize> {
    match (input[at], input.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        // The line feed may be the first byte of the next window.
        (b'\r', None) if !is_last => None,
        _ => Some(at + 1),
    }
}

/// The length in bytes of the enclosed cell at the beginning of `input`; `None` if the cell is not closed there.
fn enclosed_bytes(enclosure: u8, input: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr(enclosure, &input[at..])? + 1;
        match input.get(at) {
            Some(&byte) if byte == enclosure => at += 1,
            _ => return Some(at),
        }
    }
}

/// Appends the enclosed cell at the beginning of `input`, and returns the cell's length in bytes; `None` if the cell is
/// not closed there.
fn append_enclosed(enclosure: u8, input: &[u8], text: &mut Vec<u8>) -> Option<usize> {
    let mut at = 1;
    loop {
        let closing = at + memchr(enclosure, &input[at..])?;
        if input.get(closing + 1) != Some(&enclosure) {
            append_part(input, at..closing, text);
            return Some(closing + 1);
        }
        // A doubled enclosure means one character.
        text.extend_from_slice(&input[at..=closing]);
        at = closing + 2;
    }
}
