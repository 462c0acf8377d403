//! Replaces texts by other texts while a body streams by, in pieces of any size.
//!
//! Only the possible beginning of a sought text is held back, so an answer that comes slowly is passed on as
//! it comes. No sought text contains another one (the policy refuses such secrets, and placeholders are
//! random). So the first text that is complete is also the first one that began, wherever the pieces are cut.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::EgressError;
use crate::secrets::{Bound, Direction};

/// How much of a body is rewritten at a time, in bytes.
pub(super) const PIECE_BYTES: usize = 4 << 10;

/// Replaces any number of texts, each by its own substitute.
pub(super) struct Rewriter {
    direction: Direction,
    rules: Vec<Rule>,
    /// Whether a byte is the first byte of a sought text.
    begins: Box<[bool; 256]>,
    /// How many more bytes may come out: a placeholder of 47 bytes may stand for a value of 64 KiB.
    room: u64,
    /// The error if there is no room left.
    over: Option<EgressError>,
}

/// A sought text, and how many of its bytes match the end of the input so far.
struct Rule {
    bound: Arc<Bound>,
    /// Why the text must not occur here at all; `None` if it is replaced.
    refusal: Option<EgressError>,
    matched: usize,
}

impl Rewriter {
    pub(super) fn new(
        direction: Direction,
        bound: impl IntoIterator<Item = (Arc<Bound>, Option<EgressError>)>,
    ) -> Self {
        let rules: Vec<Rule> =
            bound.into_iter().map(|(bound, refusal)| Rule { bound, refusal, matched: 0 }).collect();
        let mut begins = Box::new([false; 256]);
        for rule in &rules {
            begins[usize::from(rule.bound.sought(direction)[0])] = true;
        }
        Self { direction, rules, begins, room: u64::MAX, over: None }
    }

    /// Limits the output to `room` bytes.
    pub(super) fn with_room(self, room: u64, over: EgressError) -> Self {
        Self { room, over: Some(over), ..self }
    }

    /// Takes a piece of input and writes the part of the output that is certain.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), EgressError> {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            if self.held() == 0 && !self.begins[usize::from(byte)] {
                let plain = rest.iter().position(|&byte| self.begins[usize::from(byte)]);
                let (plain, others) = rest.split_at(plain.unwrap_or(rest.len()));
                self.put(plain, out)?;
                rest = others;
            } else {
                self.take(byte, out)?;
                rest = after;
            }
        }
        Ok(())
    }

    /// Ends the input: the bytes that were held back are not a sought text, so they are written.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EgressError> {
        let (bound, held) = self.longest();
        let rest = bound.map(|bound| bound.sought(self.direction)[..held].to_vec()).unwrap_or_default();
        self.forget();
        self.put(&rest, out)
    }

    /// The number of bytes that are held back.
    pub(super) fn held(&self) -> usize {
        self.rules.iter().map(|rule| rule.matched).max().unwrap_or(0)
    }

    /// Rewrites a whole text; `None` if there was nothing to replace.
    pub(super) fn whole(&mut self, text: &[u8]) -> Result<Option<Vec<u8>>, EgressError> {
        let mut out = Vec::with_capacity(text.len());
        self.push(text, &mut out)?;
        self.finish(&mut out)?;
        Ok((out != text).then_some(out))
    }

    /// Rewrites the values of headers. Values with insertions are marked as sensitive, so that nothing prints
    /// them.
    pub(super) fn headers(&mut self, headers: &mut HeaderMap) -> Result<(), EgressError> {
        for value in headers.values_mut() {
            let Some(rewritten) = self.whole(value.as_bytes())? else { continue };
            *value = HeaderValue::from_maybe_shared(bytes::Bytes::from(rewritten))
                .map_err(|_| EgressError::BadRequest("a header has no possible value".to_owned()))?;
            value.set_sensitive(true);
        }
        Ok(())
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), EgressError> {
        let (before, held) = self.longest();
        let before = before.cloned();
        for rule in &mut self.rules {
            rule.matched = rule.bound.after(self.direction, rule.matched, byte);
        }
        // The held bytes are the beginning of the text with the longest match.
        let held_text = before.as_ref().map_or(&[][..], |bound| &bound.sought(self.direction)[..held]);
        let complete =
            self.rules.iter().position(|rule| rule.matched == rule.bound.sought(self.direction).len());
        let Some(complete) = complete else {
            let leaves = held + 1 - self.held();
            if leaves <= held {
                return self.put(&held_text[..leaves], out);
            }
            self.put(held_text, out)?;
            return self.put(&[byte], out);
        };
        let rule = &self.rules[complete];
        if let Some(refusal) = &rule.refusal {
            return Err(refusal.clone());
        }
        let (bound, leaves) = (rule.bound.clone(), held + 1 - rule.matched);
        self.forget();
        self.put(&held_text[..leaves], out)?;
        self.put(bound.substitute(self.direction), out)
    }

    fn longest(&self) -> (Option<&Arc<Bound>>, usize) {
        let longest = self.rules.iter().max_by_key(|rule| rule.matched);
        (longest.map(|rule| &rule.bound), longest.map_or(0, |rule| rule.matched))
    }

    fn forget(&mut self) {
        self.rules.iter_mut().for_each(|rule| rule.matched = 0);
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EgressError> {
        match (self.room.checked_sub(bytes.len() as u64), &self.over) {
            (Some(room), _) => self.room = room,
            (None, Some(over)) => return Err(over.clone()),
            (None, None) => {}
        }
        out.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::{Secret, StepSecrets};

    const VALUES: [&str; 3] = ["aabaaabaaaa", "abcdefgh", "fghabcde"];

    fn bound() -> StepSecrets {
        let secret = |(number, value): (usize, &&str)| {
            Secret::new(&format!("s{number}"), *value, ["a.example"]).unwrap()
        };
        StepSecrets::bind(VALUES.iter().enumerate().map(secret))
    }

    fn rewriter(secrets: &StepSecrets, direction: Direction) -> Rewriter {
        Rewriter::new(direction, secrets.iter().map(|bound| (bound.clone(), None)))
    }

    /// The output for a text that comes in pieces: uncertain bytes come later, and no byte comes twice.
    fn in_pieces(secrets: &StepSecrets, direction: Direction, pieces: &[&[u8]]) -> String {
        let (mut rewriter, mut out) = (rewriter(secrets, direction), Vec::new());
        for piece in pieces {
            rewriter.push(piece, &mut out).unwrap();
        }
        rewriter.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Placeholders are random, so the rows say `{0}` for the first one.
    fn with_placeholders(secrets: &StepSecrets, text: &str) -> String {
        secrets.iter().enumerate().fold(text.to_owned(), |text, (number, bound)| {
            text.replace(&format!("{{{number}}}"), bound.placeholder())
        })
    }

    /// Values in a text, and the same text without them.
    const ROWS: &[(&str, &str)] = &[
        ("", ""),
        ("nothing to see", "nothing to see"),
        ("aabaaabaaaa", "{0}"),
        ("aabaaabaaabaaaa", "aaba{0}"),
        ("aaaabaaabaaaa", "aa{0}"),
        ("aabaaabaaaaabaaabaaaa", "{0}abaaabaaaa"),
        ("xabcdefghy", "x{1}y"),
        ("abcdefghabcdefgh", "{1}{1}"),
        ("abcdefghabcde", "{1}abcde"),
        ("fghabcdefgh", "{2}fgh"),
        ("abcdefg", "abcdefg"),
        ("abcdefabcdefgh", "abcdef{1}"),
        ("aabaaabaaaabcdefgh", "{0}bcdefgh"),
        ("é abcdefgh ü aabaaabaaaa", "é {1} ü {0}"),
    ];

    #[test]
    fn a_value_is_found_wherever_the_text_is_cut() {
        let secrets = bound();
        for (text, expected) in ROWS {
            let expected = with_placeholders(&secrets, expected);
            let bytes = text.as_bytes();
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(in_pieces(&secrets, Direction::Back, &pieces), expected, "{text}");
                }
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(in_pieces(&secrets, Direction::Back, &single), expected, "{text}");
        }
    }

    #[test]
    fn a_placeholder_is_found_wherever_the_text_is_cut() {
        let secrets = bound();
        let text = with_placeholders(&secrets, "{1}stepbox-secret-{0} stepbox-{2}stepbox-secret-0123");
        let expected = "abcdefghstepbox-secret-aabaaabaaaa stepbox-fghabcdestepbox-secret-0123";
        for cut in 0..=text.len() {
            let pieces = [&text.as_bytes()[..cut], &text.as_bytes()[cut..]];
            assert_eq!(in_pieces(&secrets, Direction::Out, &pieces), expected, "cut at {cut}");
        }
    }

    #[test]
    fn only_what_may_be_a_beginning_waits() {
        let secrets = bound();
        let (mut rewriter, mut out) = (rewriter(&secrets, Direction::Back), Vec::new());
        for (piece, expected) in
            [("xyz", "xyz"), ("xabcd", "x"), ("efx", "abcdefx"), ("aab", ""), ("x", "aabx")]
        {
            out.clear();
            rewriter.push(piece.as_bytes(), &mut out).unwrap();
            assert_eq!(str::from_utf8(&out).unwrap(), expected, "{piece}");
        }
    }

    #[test]
    fn what_comes_out_has_a_limit() {
        let secrets = bound();
        let text = with_placeholders(&secrets, "{0}").repeat(100);
        let over = EgressError::OverLimit("too much".to_owned());
        let with_room =
            |room| rewriter(&secrets, Direction::Out).with_room(room, over.clone()).whole(text.as_bytes());
        assert_eq!(with_room(1100).unwrap().unwrap().len(), 1100);
        assert_eq!(with_room(1099), Err(over.clone()));
    }

    #[test]
    fn what_is_refused_never_comes_out() {
        let secrets = bound();
        let refusal = EgressError::BadRequest("not here".to_owned());
        let rules = secrets.iter().map(|bound| (bound.clone(), Some(refusal.clone())));
        let mut rewriter = Rewriter::new(Direction::Out, rules);
        let (text, mut out) = (with_placeholders(&secrets, "before {2} after"), Vec::new());
        assert_eq!(rewriter.push(text.as_bytes(), &mut out), Err(refusal));
        assert_eq!(out, b"before ");
    }
}
