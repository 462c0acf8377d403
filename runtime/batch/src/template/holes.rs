//! A text with holes. It is parsed before any value is known, so a value fills its hole and changes nothing else.

use serde_json::Value;

use super::{Asked, TemplateError, Values, asked, lookup, pieces};

/// How much of a value an error repeats, in characters.
const SHOWN_MAX: usize = 100;

/// A text of a definition in its parts: literal pieces and holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A text by the author of the definition.
    Literal(String),
    /// A place for a value of a run.
    Hole(Hole),
}

/// The place of the value of one parameter, or of one step's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    expression: String,
    /// The property of a step; `None` for a parameter.
    of_step: Option<String>,
}

impl Template {
    /// Parses a text in which parameters may be named, but no secrets.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let read = |piece| match piece {
            super::Piece::Literal(literal) => Ok(Piece::Literal(str::to_owned(literal))),
            super::Piece::Expression(expression) => Hole::parse(expression).map(Piece::Hole),
        };
        let pieces = pieces(text)?.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its parts, in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl Hole {
    fn parse(expression: &str) -> Result<Self, TemplateError> {
        let of_step = match asked(expression)? {
            Asked::Parameter(..) => None,
            Asked::Output(_, property, _) => Some(property.to_owned()),
            Asked::Secret(_) => {
                return Err(TemplateError::NoValue { expression: expression.to_owned() });
            }
        };
        Ok(Self { expression: expression.to_owned(), of_step })
    }

    /// The expression as it was written, without `${` and `}`.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The property of a step that it names, one of [`OUTPUT_PROPERTIES`](super::OUTPUT_PROPERTIES); `None` for a
    /// parameter.
    pub fn of_step(&self) -> Option<&str> {
        self.of_step.as_deref()
    }

    /// The run's value for this hole, as a text.
    ///
    /// An error if `judge` refuses the value.
    pub fn text(
        &self,
        values: Values<'_>,
        judge: impl FnOnce(&str) -> Result<(), &'static str>,
    ) -> Result<String, TemplateError> {
        let text = match lookup(&self.expression, values)? {
            Value::String(text) => text,
            value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
            _ => return Err(unfit(&self.expression, "it", "is no text or number")),
        };
        match judge(&text) {
            Ok(()) => Ok(text),
            Err(problem) => Err(unfit(&self.expression, &shown(&text), problem)),
        }
    }
}

/// The error for a value that is not allowed in the place of a template.
pub(super) fn unfit(expression: &str, value: &str, problem: &'static str) -> TemplateError {
    TemplateError::Unfit { expression: expression.to_owned(), value: value.to_owned(), problem }
}

/// A value for people, on one line and not too long.
pub(super) fn shown(value: &str) -> String {
    let start: String = value.chars().take(SHOWN_MAX).collect();
    let rest = if start.len() < value.len() { " …" } else { "" };
    format!("`{}`{rest}", start.escape_debug())
}

/// Whether a value is one plain name of a file or a folder.
///
/// A path of several names, or a name that leads to another place, is refused.
pub fn judge_name(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        Err("is empty, and stands for one name in a path")
    } else if value.contains(['/', '\\']) {
        Err("has a `/` or a `\\`, and stands for one name in a path")
    } else if value.chars().any(char::is_control) {
        Err("has a character that does not print")
    } else if value.trim().chars().all(|c| c == '.') {
        Err("is all dots, which is no name")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_read_before_there_are_values() {
        let template = Template::parse("read /srv/${parameters.a.b}/x").unwrap();
        let pieces: Vec<_> = template
            .pieces()
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => format!("`{text}`"),
                Piece::Hole(hole) => hole.expression().to_owned(),
            })
            .collect();
        assert_eq!(pieces, ["`read /srv/`", "parameters.a.b", "`/x`"]);
        let check = |text: &str, expected: &str| {
            assert_eq!(Template::parse(text).unwrap_err().to_string(), expected);
        };
        check("${secrets.a}", "there is no value for `${secrets.a}`");
        check("a ${parameters.b", "`a ${parameters.b` opens `${` without closing it");
    }

    #[test]
    fn a_value_fills_its_hole_or_is_refused() {
        let parameters = json!({ "a": "acme", "n": 7, "list": [], "sly": "${parameters.a}", "up": "a/../b" });
        let check = |name: &str, expected: &str| {
            let template = Template::parse(&format!("${{parameters.{name}}}")).unwrap();
            let [Piece::Hole(hole)] = template.pieces() else { panic!("{template:?}") };
            let found =
                hole.text(Values::of(&parameters), judge_name).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected);
        };
        check("a", "acme");
        check("n", "7");
        check("sly", "${parameters.a}");
        check("none", "there is no value for `${parameters.none}`");
        check("list", "it cannot stand for `${parameters.list}`: it is no text or number");
        check(
            "up",
            "`a/../b` cannot stand for `${parameters.up}`: it has a `/` or a `\\`, and stands for one name in a path",
        );
    }

    #[test]
    fn a_name_is_one_plain_name() {
        for name in ["acme", "a.csv", "..a", ".hidden", "a b", "Été", "%2e%2e", "a..b", "%job_label%"] {
            assert_eq!(judge_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "...", " ", ".. ", "/", "a/b", "../a", "a\\b", "a\0", "a\nb", "\u{7f}"] {
            assert!(judge_name(name).is_err(), "{name:?}");
        }
    }
}
