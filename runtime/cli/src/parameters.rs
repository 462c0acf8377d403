//! Parameters on the command line: JSON, `@FILE` with JSON, or `-` for JSON on standard input.
//!
//! This file checks only the JSON, by [`strict_json`]. The job checks the parameters.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use stepbox::batch::strict_json::{self, JsonError};

use crate::error::CliError;

/// The most bytes of the text of parameters: more than any parameters that are accepted.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Reads parameters from the place that the argument names.
pub(crate) fn read(argument: &str) -> Result<Value, CliError> {
    if argument == "-" {
        let text = limited(io::stdin(), "standard input", Path::new("-"))?;
        return parse("standard input", &text);
    }
    if let Some(path) = argument.strip_prefix('@') {
        let path = Path::new(path);
        let subject = format!("`{}`", path.display());
        let file = File::open(path).map_err(CliError::unreadable(path))?;
        return parse(&subject, &limited(file, &subject, path)?);
    }
    parse("the parameters", argument.as_bytes()).map_err(|error| point_at_file(error, argument))
}

fn limited(source: impl Read, subject: &str, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    source.take(TEXT_BYTES_MAX + 1).read_to_end(&mut text).map_err(CliError::unreadable(path))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(CliError::TooLong { subject: subject.to_owned(), bytes_max: TEXT_BYTES_MAX });
    }
    Ok(text)
}

fn parse(subject: &str, text: &[u8]) -> Result<Value, CliError> {
    strict_json::parse(text).map_err(|JsonError { line, column, message, is_rounded_number }| {
        let help = match is_rounded_number {
            true => "write it as a text, in quotes, if the job takes one; or with fewer digits",
            false => "write a JSON object, such as `{\"delimiter\":\";\"}`, in single quotes for the shell",
        };
        CliError::ParametersMalformed {
            subject: subject.to_owned(),
            line,
            column,
            message,
            help: help.to_owned(),
        }
    })
}

/// Adds a help for a user who wrote the name of a file.
fn point_at_file(mut error: CliError, argument: &str) -> CliError {
    if let CliError::ParametersMalformed { help, .. } = &mut error
        && Path::new(argument).is_file()
    {
        *help = format!("to read the file, write `@{argument}`");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_text_is_told_with_its_place() {
        let error = read(r#"{"a":1,"a":2}"#).map_err(|error| error.to_string());
        assert_eq!(error, Err("the parameters, line 1, column 10: the key `a` appears twice".to_owned()));
    }
}
