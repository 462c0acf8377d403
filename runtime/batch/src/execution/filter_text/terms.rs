//! A text as terms.

use super::error::{FilterTextError, Wrong};
use super::term::Term;

/// The terms of a text, between spaces. What stands in quotes holds spaces, commas and colons.
pub(super) fn split(text: &str) -> Result<Vec<Term>, FilterTextError> {
    let mut terms = Vec::new();
    let mut characters = text.chars().enumerate().peekable();
    while let Some((place, first)) = characters.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut term = Term {
            at: place + 1,
            text: first.to_string(),
            is_excluded: first == '-',
            qualifier: None,
            values: vec![String::new()],
            is_quoted: false,
        };
        let mut is_within = false;
        let mut current = (first != '-').then_some(first);
        loop {
            match current {
                Some('"') => {
                    is_within = !is_within;
                    term.is_quoted = true;
                }
                Some(':')
                    if !is_within
                        && term.qualifier.is_none()
                        && term.values.len() == 1
                        && !term.is_quoted =>
                {
                    term.qualifier = Some(term.values.remove(0));
                    term.values.push(String::new());
                }
                Some(',') if !is_within => term.values.push(String::new()),
                Some(other) => term.values.last_mut().into_iter().for_each(|value| value.push(other)),
                None => {}
            }
            match characters.next_if(|(_, next)| is_within || !next.is_whitespace()) {
                Some((_, next)) => {
                    term.text.push(next);
                    current = Some(next);
                }
                None => break,
            }
        }
        if is_within {
            return Err(FilterTextError::at(&term, Wrong::OpenQuote));
        }
        terms.push(term);
    }
    Ok(terms)
}
