//! What is wrong with a text, where, and what the right form is.

use super::term::Term;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{wrong}")]
pub struct FilterTextError {
    place: String,
    wrong: Wrong,
}

/// What is wrong with a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// There is no such qualifier.
    #[error("there is no qualifier `{name}`{}", meant(*nearest))]
    UnknownQualifier {
        /// The word before the colon.
        name: String,
        /// The one that may be meant.
        nearest: Option<&'static str>,
    },
    /// Nothing stands after the colon, or between two commas.
    #[error("a value is missing")]
    NoValue {
        /// The right form.
        form: &'static str,
    },
    /// The value is none of the qualifier's.
    #[error("`{value}` is no value of it{}", reason(why.as_deref()))]
    BadValue {
        /// The value.
        value: String,
        /// The right form.
        form: &'static str,
        /// What is wrong with it.
        why: Option<String>,
    },
    /// The qualifier is there a second time.
    #[error("the qualifier is there already")]
    Twice {
        /// The right form.
        form: &'static str,
    },
    /// A `-` does not go with the qualifier.
    #[error("`-` does not go with this qualifier")]
    NotExcludable {
        /// The right form.
        form: &'static str,
    },
    /// A `-` before a word.
    #[error("`-` goes before a qualifier only")]
    ExcludedWord,
    /// A pair of quotes with nothing between.
    #[error("a word is missing")]
    EmptyWord,
    /// A quote without its end.
    #[error("the quote is not closed")]
    OpenQuote,
    /// There are too many values.
    #[error("there are more than {max} values")]
    TooManyValues {
        /// How many there may be.
        max: usize,
    },
    /// The text is too long.
    #[error("the filter is longer than {max} bytes")]
    TooLong {
        /// How many bytes it may have.
        max: usize,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}:`?")).unwrap_or_default()
}

fn reason(why: Option<&str>) -> String {
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

/// How many characters of a term are shown.
const SHOWN_MAX: usize = 60;

impl FilterTextError {
    pub(super) fn at(term: &Term, wrong: Wrong) -> Self {
        let mut shown: String = term.text.chars().take(SHOWN_MAX).collect();
        if shown.len() < term.text.len() {
            shown.push('…');
        }
        Self { place: format!("`{shown}`, at character {}: ", term.at), wrong }
    }

    pub(super) fn whole(wrong: Wrong) -> Self {
        Self { place: String::new(), wrong }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "filter-invalid"
    }

    /// What is wrong.
    pub fn wrong(&self) -> &Wrong {
        &self.wrong
    }

    /// The right form, or what else helps.
    pub fn help(&self) -> String {
        match &self.wrong {
            Wrong::NoValue { form } | Wrong::BadValue { form, .. } => format!("write {form}"),
            Wrong::Twice { form } => format!("write it once: {form}"),
            Wrong::NotExcludable { form } => format!("say what you want instead: {form}"),
            Wrong::UnknownQualifier { .. } => {
                let names: Vec<_> = super::QUALIFIERS.iter().map(|known| known.name).collect();
                format!("the qualifiers are {}; put a word with a colon in quotes", names.join(", "))
            }
            Wrong::ExcludedWord => "such as -user:schedule".to_owned(),
            Wrong::EmptyWord => "leave the quotes out".to_owned(),
            Wrong::OpenQuote => "such as user:\"nightly build\"".to_owned(),
            Wrong::TooManyValues { .. } | Wrong::TooLong { .. } => "ask for less at a time".to_owned(),
        }
    }
}
