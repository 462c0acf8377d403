//! The source of a secret value of the policy file: a file or an environment variable. The value itself is
//! never in the policy file.

use std::io::Read;
use std::path::Path;

use super::Problem;
use crate::data_folder::{Owners, refuse_writable_by_others};
use crate::regular_file::open_regular;

/// The maximum length of a file with a secret value, in bytes: the longest value, and a line break.
const FILE_BYTES_MAX: u64 = (64 << 10) + 2;

/// The source of a value.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum Source<'a> {
    /// A file. A relative path starts in the data folder.
    File(&'a Path),
    /// An environment variable.
    Environment(&'a str),
}

impl<'a> Source<'a> {
    /// The one source that is named. The error is a text that follows the word "has".
    pub(in crate::config) fn of(file: Option<&'a Path>, env: Option<&'a str>) -> Result<Self, &'static str> {
        match (file, env) {
            (Some(_), Some(_)) => Err("both `file` and `env`"),
            (None, None) => Err("neither `file` nor `env`"),
            (Some(file), None) => Ok(Self::File(file)),
            (None, Some(variable)) => Ok(Self::Environment(variable)),
        }
    }

    /// Reads the value. Messages call it `name`.
    pub(in crate::config) fn read(self, name: &str, data_dir: &Path) -> Result<String, Problem> {
        match self {
            Self::File(path) => in_file(name, data_dir, path),
            Self::Environment(variable) => in_environment(name, variable),
        }
    }
}

/// The text of a file, without the byte order mark and the line break that editors add.
fn in_file(name: &str, data_dir: &Path, path: &Path) -> Result<String, Problem> {
    let path = &data_dir.join(path);
    let problem = |problem: String| Problem {
        message: format!("the secret `{name}` cannot be read from `{}`: {problem}", path.display()),
        help: "check the path; it must be a file with one line of text that you may read".to_owned(),
    };
    let failed = |error: std::io::Error| problem(error.to_string());
    let file = open_regular(path).map_err(failed)?;
    if let Err(error) = refuse_writable_by_others(path, &file, Owners::of(data_dir)) {
        let message = format!("the secret `{name}` cannot be used: {error}");
        return Err(Problem { message, help: error.help().unwrap_or_default() });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(problem("it is longer than 64 KiB".to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| problem("it is not UTF-8".to_owned()))?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    let ends = [text.ends_with('\n'), text.ends_with("\r\n")].into_iter().filter(|&ends| ends).count();
    text.truncate(text.len() - ends);
    Ok(text)
}

/// The value of an environment variable.
fn in_environment(name: &str, variable: &str) -> Result<String, Problem> {
    std::env::var(variable).map_err(|error| {
        let problem = match error {
            std::env::VarError::NotPresent => "is not set",
            std::env::VarError::NotUnicode(_) => "is not UTF-8",
        };
        Problem {
            message: format!("the secret `{name}` cannot be read: the variable `{variable}` {problem}"),
            help: format!("set `{variable}` where `stepbox` is started, or take the secret out"),
        }
    })
}
