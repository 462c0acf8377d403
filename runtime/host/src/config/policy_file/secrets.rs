//! `secrets` in `policy.yaml`: where each comes from, and which hosts may get it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stepbox_sandbox::{Secret, SecretError, UnusableSecret};

use super::{ConfigWarning, Problem};
use crate::data_folder::{Owners, refuse_writable_by_others};
use crate::policy::Policy;
use crate::regular_file::open_regular;

/// How long a file with a secret may be, in bytes: the longest value, and a line break.
const FILE_BYTES_MAX: u64 = (64 << 10) + 2;

/// The secrets by name.
pub(super) type Form = BTreeMap<String, SecretForm>;

/// Where a secret comes from, a file or a variable of the environment, and where it may go.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretForm {
    /// Read at each start and when it changes; relative paths begin in the data folder.
    file: Option<PathBuf>,
    env: Option<String>,
    hosts: Vec<String>,
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        Self { message: error.to_string(), help: error.help() }
    }
}

/// Reads all secrets, and gives them to a policy that otherwise stands. A secret whose value cannot be had, or cannot be
/// used, is a warning, and stops only the steps that name it: the file itself is right.
pub(super) fn add(
    form: &Form,
    mut policy: Policy,
    data_dir: &Path,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Policy, Problem> {
    for (name, secret) in form {
        secret.check(name)?;
        match secret.read(name, data_dir, &policy) {
            Ok(secret) => policy = policy.with_secret(secret),
            Err(unusable) => {
                warnings.push(unusable.as_warning());
                let Problem { message: problem, help } = unusable;
                policy.secrets.add_unusable(UnusableSecret { name: name.clone(), problem, help });
            }
        }
    }
    policy.check_secrets()?;
    Ok(policy)
}

/// Stands for a value that cannot be read, so that name and hosts are judged all the same.
const ANY_VALUE: &str = "a value to judge the rest by";

impl SecretForm {
    /// The file that it comes from.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Refuses what is wrong whatever the value is.
    fn check(&self, name: &str) -> Result<(), Problem> {
        self.secret(name, ANY_VALUE.to_owned())?;
        let problem = match (&self.file, &self.env) {
            (Some(_), Some(_)) => "both `file` and `env`",
            (None, None) => "neither `file` nor `env`",
            _ => return Ok(()),
        };
        Err(Problem {
            message: format!("the secret `{name}` has {problem}"),
            help: format!(
                "write `{name}: {{ file: PATH, hosts: [HOST] }}` or `{name}: {{ env: NAME, hosts: [HOST] }}`"
            ),
        })
    }

    /// The secret with its value, or why it cannot be used now.
    fn read(&self, name: &str, data_dir: &Path, policy: &Policy) -> Result<Secret, Problem> {
        let value = match (&self.file, &self.env) {
            (Some(file), _) => in_file(name, data_dir, file),
            (None, variable) => in_environment(name, variable.as_deref().unwrap_or_default()),
        };
        let secret = self.secret(name, value?)?;
        policy.secrets.check_apart(&secret)?;
        Ok(secret)
    }

    fn secret(&self, name: &str, value: String) -> Result<Secret, SecretError> {
        Secret::new(name, value, self.hosts.iter().map(String::as_str))
    }
}

/// The text of a file, without the line break that editors put at its end.
pub(super) fn in_file(name: &str, data_dir: &Path, path: &Path) -> Result<String, Problem> {
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
    // An editor's mark, and none of the secret.
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    let ends = [text.ends_with('\n'), text.ends_with("\r\n")].into_iter().filter(|&ends| ends).count();
    text.truncate(text.len() - ends);
    Ok(text)
}

pub(super) fn in_environment(name: &str, variable: &str) -> Result<String, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The secrets that a text comes to, or what is wrong with it, in a folder with some files.
    fn check(text: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("token", b"s3cr3t-value\n");
        write("windows", b"\xef\xbb\xbfs3cr3t-value\r\n");
        write("lines", b"s3cr3t-value\n\n");
        write("short", b"s3cr3t\n");
        write("empty", b"\n");
        write("latin1", b"s3cr3t-valu\xe9");
        write("long", &vec![b'x'; 70_000]);
        let form: Form = serde_saphyr::from_str(text).unwrap();
        let mut warnings = Vec::new();
        let found = match add(&form, Policy::own_machine("."), folder.path(), &mut warnings) {
            Ok(_) if !warnings.is_empty() => {
                assert!(warnings.iter().all(|warning| !warning.help.is_empty()), "{warnings:?}");
                warnings[0].message.replace(&format!("{}/", folder.path().display()), "")
            }
            Ok(policy) => format!("{:?}", policy.secrets),
            Err(Problem { message, help }) => {
                assert!(!help.is_empty(), "{message}");
                message.replace(&format!("{}/", folder.path().display()), "")
            }
        };
        assert_eq!(found, expected, "{text}");
        assert!(!found.contains("s3cr3t"), "{found}");
    }

    #[test]
    fn a_secret_is_read_from_a_file_or_the_environment() {
        let hosts = "hosts: [a.example]";
        let read = r#"Secrets { usable: [Secret { name: "t", hosts: ["a.example"], .. }], unusable: [] }"#;
        check("{}", "Secrets { usable: [], unusable: [] }");
        check(&format!("t: {{ file: token, {hosts} }}"), read);
        check(&format!("t: {{ file: windows, {hosts} }}"), read);
        // Cargo sets it for its tests.
        check(&format!("t: {{ env: CARGO_MANIFEST_DIR, {hosts} }}"), read);
        check(
            &format!("t: {{ env: STEPBOX_TEST_UNSET, {hosts} }}"),
            "the secret `t` cannot be read: the variable `STEPBOX_TEST_UNSET` is not set",
        );
        check(
            &format!("t: {{ file: missing, {hosts} }}"),
            "the secret `t` cannot be read from `missing`: No such file or directory (os error 2)",
        );
        check(
            &format!("t: {{ file: ., {hosts} }}"),
            "the secret `t` cannot be read from `.`: it is not a regular file",
        );
        check(
            &format!("t: {{ file: latin1, {hosts} }}"),
            "the secret `t` cannot be read from `latin1`: it is not UTF-8",
        );
        check(
            &format!("t: {{ file: long, {hosts} }}"),
            "the secret `t` cannot be read from `long`: it is longer than 64 KiB",
        );
        let unusable = "the value of the secret `t` cannot be used:";
        check(&format!("t: {{ file: empty, {hosts} }}"), &format!("{unusable} it is empty"));
        check(
            &format!("t: {{ file: short, {hosts} }}"),
            &format!("{unusable} it is shorter than 8 bytes, so it could not be told from other texts"),
        );
        check(
            &format!("t: {{ file: lines, {hosts} }}"),
            &format!("{unusable} it has control characters, such as a line break, which no header may have"),
        );
    }

    #[test]
    fn a_secret_has_one_source_and_hosts_that_it_reaches() {
        check("t: { hosts: [a.example] }", "the secret `t` has neither `file` nor `env`");
        check("t: { file: token, env: T, hosts: [a.example] }", "the secret `t` has both `file` and `env`");
        check("t: { file: token }", "the secret `t` has no hosts, so that it could not be sent anywhere");
        check(
            "t: { file: token, hosts: [localhost] }",
            "the host `localhost` of the secret `t` has no effect: it is a loopback address, and loopback addresses \
             are not open",
        );
        check(
            "{ t: { file: token, hosts: [a.example] }, u: { file: windows, hosts: [b.example] } }",
            "the value of the secret `u` is, or holds, or is a part of that of `t`",
        );
        let form: Result<Form, _> = serde_saphyr::from_str("t: { path: token }");
        assert!(form.unwrap_err().to_string().contains("unknown field `path`"));
    }
}
