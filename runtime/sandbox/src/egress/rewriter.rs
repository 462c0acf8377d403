//! Puts one text in the place of another while it streams by, in pieces of any size.
//!
//! Nothing is held back but what may be the beginning of a text that is looked for, so that an answer
//! that comes slowly is heard as it comes. No text that is looked for holds another one (the policy
//! refuses such secrets, and placeholders are random), so the first one that is complete is the first one
//! that began, wherever the pieces are cut.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::EgressError;
use crate::secrets::{Bound, Direction};

/// How much of a body is rewritten at a time, in bytes.
pub(super) const PIECE_BYTES: usize = 4 << 10;

/// Puts one text in the place of another, for as many of them as there are.
pub(super) struct Rewriter {
    direction: Direction,
    rules: Vec<Rule>,
    /// Whether a byte begins a text that is looked for.
    begins: Box<[bool; 256]>,
    /// How much more may come out, in bytes: a placeholder of 47 bytes may stand for a value of 64 KiB.
    room: u64,
    /// What is said when there is no room left.
    over: Option<EgressError>,
}

/// A text that is looked for, and how many bytes of it have been seen last.
struct Rule {
    bound: Arc<Bound>,
    /// Why it must not stand here at all.
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

    /// Lets no more than so many bytes out.
    pub(super) fn with_room(self, room: u64, over: EgressError) -> Self {
        Self { room, over: Some(over), ..self }
    }

    /// Takes a piece in, and puts out what is certain.
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

    /// Nothing more comes: what was held back is no text that is looked for.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EgressError> {
        let (bound, held) = self.longest();
        let rest = bound.map(|bound| bound.sought(self.direction)[..held].to_vec()).unwrap_or_default();
        self.forget();
        self.put(&rest, out)
    }

    /// How many bytes are held back.
    pub(super) fn held(&self) -> usize {
        self.rules.iter().map(|rule| rule.matched).max().unwrap_or(0)
    }

    /// A text that is whole; none if there was nothing to rewrite.
    pub(super) fn whole(&mut self, text: &[u8]) -> Result<Option<Vec<u8>>, EgressError> {
        let mut out = Vec::with_capacity(text.len());
        self.push(text, &mut out)?;
        self.finish(&mut out)?;
        Ok((out != text).then_some(out))
    }

    /// The values of headers. What was put in is marked so that nothing prints it.
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
        // What is held is the beginning of the text that most is seen of.
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

    /// What comes out of a text in pieces: whatever is not certain comes later, and nothing twice.
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
