//! `policy.yaml` in the data folder: what the operator opens beyond the default policy, and how much
//! compiling a component may cost.
//!
//! ```yaml
//! network:
//!   loopback: true   # requests of steps may go to this machine itself; for development
//!   private: true    # and to private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, …
//! components:
//!   compile: { time_ms_max: 30000, memory_bytes_max: 1073741824 }   # the defaults
//! ```
//!
//! The networks are closed unless the file opens them. It has no say on files: whoever runs the command line
//! on their own machine may use what the process may use.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::path::Path;

use serde::Deserialize;
use stepbox::batch::nearest::nearest;
use stepbox::{CompileProcess, Policy};

use crate::error::CliError;

/// The file's name in the data folder.
pub(crate) const POLICY_FILE: &str = "policy.yaml";

/// How long the file may be, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The whole file.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyFile {
    network: Network,
    components: Components,
}

/// Which special addresses are open.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Network {
    /// This machine itself.
    loopback: bool,
    /// Private networks.
    private: bool,
}

/// What is asked of components before they are kept.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Components {
    compile: Compile,
}

/// How much compiling one component may take.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Compile {
    /// In milliseconds of computing.
    time_ms_max: Option<NonZeroU64>,
    /// In bytes.
    memory_bytes_max: Option<NonZeroU64>,
}

impl PolicyFile {
    /// The one in a data folder. Without it nothing is opened.
    pub(crate) fn in_folder(data_dir: &Path) -> Result<Self, CliError> {
        read(&data_dir.join(POLICY_FILE))
    }

    /// What jobs may touch on somebody's own machine, and what the file opens beside it.
    pub(crate) fn policy(&self, base: &Path) -> Policy {
        let mut policy = Policy::own_machine(base);
        if self.network.loopback {
            policy = policy.with_loopback();
        }
        if self.network.private {
            policy = policy.with_private_networks();
        }
        policy
    }

    /// Sets the limits that the file names.
    pub(crate) fn limit(&self, process: CompileProcess) -> CompileProcess {
        let Compile { time_ms_max, memory_bytes_max } = self.components.compile;
        CompileProcess {
            time_ms_max: time_ms_max.map_or(process.time_ms_max, NonZeroU64::get),
            memory_bytes_max: memory_bytes_max.map_or(process.memory_bytes_max, NonZeroU64::get),
            ..process
        }
    }
}

/// No file opens nothing.
fn read(path: &Path) -> Result<PolicyFile, CliError> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A data folder that is none is told when the store is opened.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(PolicyFile::default());
        }
        Err(error) => return Err(CliError::unreadable(path)(error)),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(CliError::unreadable(path))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let subject = format!("`{}`", path.display());
        return Err(CliError::TooLong { subject, bytes_max: FILE_BYTES_MAX });
    }
    parse(path, &text)
}

fn parse(path: &Path, text: &[u8]) -> Result<PolicyFile, CliError> {
    let mistake = |place: String, message: String, help: String| CliError::PolicyFile {
        file: path.to_owned(),
        place,
        message,
        help,
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(mistake(
            String::new(),
            "it is not UTF-8".to_owned(),
            "save the file as UTF-8".to_owned(),
        ));
    };
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Option<PolicyFile>>(text, options) {
        Ok(file) => Ok(file.unwrap_or_default()),
        Err(error) => {
            let place = error.location().map(|at| format!(", line {}, column {}", at.line(), at.column()));
            let (message, help) = describe(error.without_snippet());
            Err(mistake(place.unwrap_or_default(), message, help))
        }
    }
}

fn describe(error: &serde_saphyr::Error) -> (String, String) {
    match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            let message = format!("the key `{field}` is not known here");
            let help = match nearest(field, expected.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known are `{}`", expected.join("`, `")),
            };
            (message, help)
        }
        other => {
            // The library's own text ends with the place, which stands in front already.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.split(" at line ").next().unwrap_or(text).trim_start_matches("error: ");
            let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
            if text.ends_with("expected a nonzero u64") {
                let message = text.replace("a nonzero u64", "1 or more");
                return (message, "limits cannot be switched off; leave it out for the default".to_owned());
            }
            (text.to_owned(), "the file may say `network: { loopback: true, private: true }`".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match parse(Path::new("policy.yaml"), text.as_bytes()) {
            Ok(file) => {
                let Network { loopback, private } = file.network;
                let CompileProcess { time_ms_max, memory_bytes_max, .. } =
                    file.limit(CompileProcess::new("stepbox", []));
                match (time_ms_max, memory_bytes_max) {
                    (30_000, 0x4000_0000) => format!("loopback={loopback} private={private}"),
                    (time, memory) => format!("time={time} memory={memory}"),
                }
            }
            Err(error) => match error.help() {
                Some(help) => format!("{error} | {help}"),
                None => error.to_string(),
            },
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn opens_what_it_says_and_nothing_else() {
        check("", "loopback=false private=false");
        check("# nothing\n", "loopback=false private=false");
        check("network: { loopback: true }", "loopback=true private=false");
        check("network:\n  loopback: true\n  private: true\n", "loopback=true private=true");
        check(
            "network:\n  lopback: true\n",
            "policy.yaml, line 2, column 3: the key `lopback` is not known here | did you mean `loopback`?",
        );
        check(
            "files: {}",
            "policy.yaml, line 1, column 1: the key `files` is not known here | known are `network`, `components`",
        );
        check("components: { compile: { time_ms_max: 5000 } }", "time=5000 memory=1073741824");
        check("components: { compile: { memory_bytes_max: 536870912 } }", "time=30000 memory=536870912");
        check(
            "components: { compile: { time_ms_max: 0 } }",
            "policy.yaml, line 1, column 26: invalid value: integer `0`, expected 1 or more | limits cannot be \
             switched off; leave it out for the default",
        );
        check(
            "components: { compile: { seconds: 5 } }",
            "policy.yaml, line 1, column 26: the key `seconds` is not known here | known are `time_ms_max`, \
             `memory_bytes_max`",
        );
        let help = "the file may say `network: { loopback: true, private: true }`";
        let boolean = format!("policy.yaml, line 1, column 22: invalid boolean | {help}");
        check("network: { loopback: perhaps }", &boolean);
        check(
            "network: {}\nnetwork: {}",
            &format!("policy.yaml, line 2, column 1: duplicate mapping key: network | {help}"),
        );
        check("network: [", &format!("policy.yaml, line 1, column 10: expected mapping start | {help}"));
    }
}
