//! What a component says about the form of a job: the question, the answer as data of a closed form, and why there may be
//! none.
//!
//! An answer suggests. Nothing in it allows a value: what is saved is checked by the schema of the job's parameters
//! alone. Its texts are plain text, and those that only people read are already harmless: see
//! [`on_one_line`]. Values keep every character, because they are compared with others; a page shows the label
//! of a value, and never the value itself.

mod read;

use serde_json::{Map, Value};

use crate::cut::cut;
use crate::error::ElementError;
use crate::visible::on_one_line;

/// The maximum length of a question, in bytes.
pub const QUESTION_BYTES_MAX: usize = 256 << 10;
/// The maximum length of an answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// How many bytes of a source show its columns to a component.
pub const SOURCE_BYTES_MAX: u64 = 64 << 10;
/// How many questions of a tenant are answered at a time.
pub const QUESTIONS_AT_A_TIME: usize = 2;

/// The maximum length of the name of the tab or field that asks, in bytes.
const WHAT_BYTES_MAX: usize = 200;
/// The maximum length of a tag of BCP 47 that somebody uses, in bytes.
const LANGUAGE_BYTES_MAX: usize = 35;
/// The maximum length of a note, and of a component's own words about a failure, in bytes.
const NOTE_BYTES_MAX: usize = 4 << 10;

/// A question about the form of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct FormQuestion {
    /// The name of the tab or the field that asks.
    pub what: String,
    /// The parameters as they stand in the form; those that the person may not see are left out.
    pub parameters: Map<String, Value>,
    /// The names of the columns of the source; empty if it could not or may not be read.
    pub header: Vec<String>,
    /// The language of the person, a tag of BCP 47.
    pub language: String,
}

/// Why a question cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFormQuestion {
    /// The name of what asks is empty or too long.
    #[error("the name of the tab or the field has {bytes} bytes, not 1 to {WHAT_BYTES_MAX}")]
    What {
        /// The length of the name, in bytes.
        bytes: usize,
    },
    /// The language is no tag.
    #[error("the language is no tag of BCP 47, such as `en` or `de-CH`")]
    Language,
    /// The question is too long.
    #[error("the question has {bytes} bytes; at most {QUESTION_BYTES_MAX} are asked")]
    TooLong {
        /// The length of the question, in bytes.
        bytes: usize,
    },
}

impl FormQuestion {
    /// Checks that the question can be asked.
    pub fn check(&self) -> Result<(), BadFormQuestion> {
        if self.what.is_empty() || self.what.len() > WHAT_BYTES_MAX {
            return Err(BadFormQuestion::What { bytes: self.what.len() });
        }
        let is_part =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if self.language.len() > LANGUAGE_BYTES_MAX || !self.language.split('-').all(is_part) {
            return Err(BadFormQuestion::Language);
        }
        match self.to_text().len() {
            bytes if bytes > QUESTION_BYTES_MAX => Err(BadFormQuestion::TooLong { bytes }),
            _ => Ok(()),
        }
    }

    /// The question as one text: the same text is the same question.
    pub fn to_text(&self) -> String {
        let Self { what, parameters, header, language } = self;
        serde_json::json!([what, parameters, header, language]).to_string()
    }
}

/// What a component says about the form, block by block in the order of the page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FormAnswer {
    /// The blocks, at most 20.
    pub blocks: Vec<FormBlock>,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum FormBlock {
    /// A sentence for people.
    Note {
        /// The sentence, harmless on one line.
        text: String,
        /// How it is meant.
        tone: Tone,
    },
    /// What may stand in the rows of a parameter.
    Table(FormTable),
    /// How items would look.
    Preview {
        /// The names of the columns, harmless on one line.
        header: Vec<String>,
        /// The cells, as many in each row as the header has, harmless on one line.
        rows: Vec<Vec<String>>,
    },
    /// Parameters of the job that are shown here.
    Fields(Vec<String>),
}

/// How a note is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// A fact.
    #[default]
    Info,
    /// All is well.
    Success,
    /// Something may not be as it was meant.
    Warning,
    /// With these values a run would fail.
    Problem,
}

impl Tone {
    /// All tones.
    pub const ALL: [Self; 4] = [Self::Info, Self::Success, Self::Warning, Self::Problem];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What may stand in the rows of a parameter that is a list of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct FormTable {
    /// The name of the parameter.
    pub parameter: String,
    /// The columns of its rows, in their order.
    pub columns: Vec<FormColumn>,
    /// Rows to begin with: texts, numbers, truth values and nulls by the name of their column.
    pub defaults: Vec<Map<String, Value>>,
}

/// What may stand in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormColumn {
    /// The name of the property.
    pub name: String,
    /// The values that make sense.
    pub options: Vec<FormOption>,
    /// Whether other values make sense, too.
    pub free: bool,
}

/// A value that makes sense in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormOption {
    /// The value, with every character that it has.
    pub value: String,
    /// Its name for people, harmless on one line.
    pub label: String,
    /// A few words about it, harmless on one line; may be empty.
    pub hint: String,
}

/// A mistake in an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", if place.is_empty() { "it".to_owned() } else { format!("`{place}`") })]
pub struct BadFormAnswer {
    /// A JSON pointer into the answer; empty for the answer as a whole.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl FormAnswer {
    /// Reads the answer of a component for a job whose parameters have this schema.
    ///
    /// # Errors
    /// A text that is not JSON, a key that the form does not have, a limit that is broken, and a parameter or column
    /// that the schema does not have: each makes the whole answer void.
    pub fn parse(text: &str, schema: &Value) -> Result<Self, BadFormAnswer> {
        read::answer(text, schema)
    }
}

/// Why there is no answer. A page then shows the parameters as it does without the component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormFailure {
    /// The component does not export the interface.
    #[error("it does not describe forms")]
    Unfit,
    /// The component cannot run now.
    #[error("it cannot run: {message}")]
    Unavailable {
        /// The code of the reason.
        code: String,
        /// The reason.
        message: String,
    },
    /// The component returned an error of its own.
    #[error("{message} (`{code}`)")]
    Refused {
        /// The component's code.
        code: String,
        /// The component's words.
        message: String,
    },
    /// A limit or a trap ended the call.
    #[error("{message}")]
    Ended {
        /// The code of the reason.
        code: String,
        /// What happened: `ran longer than 5000 ms`.
        message: String,
    },
    /// The answer is too long.
    #[error("its answer has {bytes} bytes; at most {ANSWER_BYTES_MAX} are read")]
    TooLong {
        /// The length of the answer, in bytes.
        bytes: usize,
    },
    /// The answer breaks the form.
    #[error("its answer is wrong: {0}")]
    BadAnswer(#[from] BadFormAnswer),
    /// So many questions of the tenant are being answered.
    #[error("{QUESTIONS_AT_A_TIME} other questions are being answered")]
    Busy,
}

impl FormFailure {
    /// The codes of all variants.
    pub const CODES: &[&str] = &[
        "form-describer-unfit",
        "form-describer-unavailable",
        "form-describer-refused",
        "form-describer-ended",
        "form-answer-too-long",
        "form-answer-invalid",
        "form-describers-busy",
    ];

    /// The component cannot run now.
    pub fn unavailable(code: &str, message: &str) -> Self {
        Self::Unavailable { code: code.to_owned(), message: harmless(message, NOTE_BYTES_MAX) }
    }

    /// The component returned an error of its own.
    pub fn refused(error: &ElementError) -> Self {
        let message = harmless(&error.message, NOTE_BYTES_MAX);
        Self::Refused { code: harmless(&error.code, NOTE_BYTES_MAX), message }
    }

    /// A limit or a trap ended the call.
    pub fn ended(error: &ElementError) -> Self {
        Self::Ended { code: error.code.to_string(), message: harmless(&error.message, NOTE_BYTES_MAX) }
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unfit => "form-describer-unfit",
            Self::Unavailable { .. } => "form-describer-unavailable",
            Self::Refused { .. } => "form-describer-refused",
            Self::Ended { .. } => "form-describer-ended",
            Self::TooLong { .. } => "form-answer-too-long",
            Self::BadAnswer(_) => "form-answer-invalid",
            Self::Busy => "form-describers-busy",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unfit => "name a component that exports the interface `form`, or export it from this one",
            Self::Unavailable { .. } => {
                "ask the operator why the component does not run; fill in the values yourself"
            }
            Self::Refused { .. } => "correct what it names, or fill in the values yourself",
            Self::Ended { .. } => {
                "fill in the values yourself, and tell the author of the component: a question gets 500 ms of computing, \
                 5 seconds on the clock and 64 MiB, and no files or requests"
            }
            Self::TooLong { .. } | Self::BadAnswer(_) => {
                "fill in the values yourself, and tell the author of the component: the comments of `form` in \
                 `wit/0.1/worlds.wit` say what an answer may hold"
            }
            Self::Busy => "try again in a second",
        }
    }
}

/// A text that only people read, on one line and at most so long.
fn harmless(text: &str, bytes_max: usize) -> String {
    on_one_line(cut(text, bytes_max)).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_is_bounded() {
        let question = |what: &str, language: &str, bytes: usize| FormQuestion {
            what: what.to_owned(),
            parameters: Map::from_iter([("a".to_owned(), json!("x".repeat(bytes)))]),
            header: Vec::new(),
            language: language.to_owned(),
        };
        let rows = [
            (question("mapping", "de-CH", 1), "fine"),
            (question("mapping", "zh-Hant-TW", QUESTION_BYTES_MAX - 100), "fine"),
            (question("", "en", 1), "the name of the tab or the field has 0 bytes"),
            (question(&"x".repeat(201), "en", 1), "the name of the tab or the field has 201 bytes"),
            (question("mapping", "", 1), "the language is no tag"),
            (question("mapping", "en\r\nx", 1), "the language is no tag"),
            (question("mapping", "en--x", 1), "the language is no tag"),
            (question("mapping", &"en-".repeat(20), 1), "the language is no tag"),
            (question("mapping", "en", QUESTION_BYTES_MAX), "the question has 262"),
        ];
        for (question, expected) in rows {
            let found = question.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned());
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn the_words_of_a_component_are_harmless() {
        let error =
            ElementError::failed("no-paper", format!("\u{1b}[2J\nno\u{202e} paper{}", "x".repeat(9000)));
        let FormFailure::Refused { message, .. } = FormFailure::refused(&error) else {
            panic!("another failure")
        };
        assert!(message.starts_with(r"\u{1b}[2J\nno\u{202e} paperxxx"), "{message}");
        assert!(message.len() < 5000);
        assert!(FormFailure::CODES.contains(&FormFailure::refused(&error).code()));
    }
}
