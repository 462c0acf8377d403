//! The secrets of a running step, each with its placeholder.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Secret;

/// The beginning of every placeholder, so that people recognise one.
const PREFIX: &str = "stepbox-secret-";
/// The randomness of a placeholder, in bytes: enough that it cannot be guessed.
const RANDOM_BYTES: usize = 16;

/// The secrets of a running step, each with the placeholder that its components see.
///
/// Give all components of a step the same ones. Cheap to clone; empty by default.
#[derive(Clone, Default)]
pub struct StepSecrets(Arc<[Arc<Bound>]>);

/// A secret and its placeholder in this run.
pub(crate) struct Bound {
    pub(crate) secret: Secret,
    placeholder: String,
    borders_of_value: Box<[u32]>,
    borders_of_placeholder: Box<[u32]>,
}

/// The direction of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Out: placeholders become values.
    Out,
    /// Back: values become placeholders.
    Back,
}

impl StepSecrets {
    /// Draws a placeholder for each secret.
    pub fn bind(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(secrets.into_iter().map(|secret| Arc::new(Bound::new(secret, placeholder()))).collect())
    }

    /// The placeholder of each secret, by the secret's name.
    pub fn placeholders(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|bound| (bound.secret.name().to_owned(), bound.placeholder.clone())).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Bound>> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Bound {
    fn new(secret: Secret, placeholder: String) -> Self {
        let borders_of_value = borders(secret.value().as_bytes());
        let borders_of_placeholder = borders(placeholder.as_bytes());
        Self { secret, placeholder, borders_of_value, borders_of_placeholder }
    }

    pub(crate) fn placeholder(&self) -> &str {
        &self.placeholder
    }

    /// The text that is looked for.
    pub(crate) fn sought(&self, direction: Direction) -> &[u8] {
        match direction {
            Direction::Out => self.placeholder.as_bytes(),
            Direction::Back => self.secret.value().as_bytes(),
        }
    }

    /// The text that replaces it.
    pub(crate) fn substitute(&self, direction: Direction) -> &[u8] {
        match direction {
            Direction::Out => self.secret.value().as_bytes(),
            Direction::Back => self.placeholder.as_bytes(),
        }
    }

    /// The number of bytes of the sought text that match after one more byte. `matched` bytes matched before.
    pub(crate) fn after(&self, direction: Direction, mut matched: usize, byte: u8) -> usize {
        let (sought, borders) = match direction {
            Direction::Out => (self.placeholder.as_bytes(), &self.borders_of_placeholder),
            Direction::Back => (self.secret.value().as_bytes(), &self.borders_of_value),
        };
        while matched > 0 && sought[matched] != byte {
            matched = borders[matched - 1] as usize;
        }
        if sought[matched] == byte { matched + 1 } else { 0 }
    }
}

/// For each beginning of a text: the length of its longest shorter suffix that is also a beginning of the
/// text (Knuth, Morris and Pratt).
fn borders(text: &[u8]) -> Box<[u32]> {
    let mut borders = vec![0_u32; text.len()];
    let mut length = 0;
    for end in 1..text.len() {
        while length > 0 && text[length] != text[end] {
            length = borders[length - 1] as usize;
        }
        length += usize::from(text[length] == text[end]);
        // The length is at most the 64 KiB of a value.
        borders[end] = length as u32;
    }
    borders.into()
}

fn placeholder() -> String {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).expect("the operating system gives randomness, or nothing here is safe");
    random.iter().fold(PREFIX.to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

impl fmt::Debug for StepSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|bound| bound.secret.name())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_draws_placeholders_of_its_own() {
        let secret = Secret::new("token", "s3cr3t-value", ["a.example"]).unwrap();
        let drawn: Vec<_> = (0..2).map(|_| StepSecrets::bind([secret.clone()])).collect();
        let [one, other] = [&drawn[0], &drawn[1]].map(|drawn| drawn.placeholders()["token"].clone());
        assert_ne!(one, other);
        assert!(one.starts_with(PREFIX) && one.len() == PREFIX.len() + 32, "{one}");
        assert_eq!(format!("{:?}", drawn[0]), r#"["token"]"#);
    }

    #[test]
    fn borders_are_those_of_the_text() {
        let check = |text: &str, expected: &[u32]| assert_eq!(&*borders(text.as_bytes()), expected, "{text}");
        check("", &[]);
        check("a", &[0]);
        check("aaaa", &[0, 1, 2, 3]);
        check("abcabcd", &[0, 0, 0, 1, 2, 3, 0]);
        check("aabaaab", &[0, 1, 0, 1, 2, 2, 3]);
    }
}
