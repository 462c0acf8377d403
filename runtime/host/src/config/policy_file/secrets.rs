//! `secrets` in `policy.yaml`: the source of each secret, and the hosts that may get it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stepbox_sandbox::{Secret, SecretError, UnusableSecret};

use super::source::Source;
use super::{ConfigWarning, Problem};
use crate::policy::Policy;

/// The secrets by name.
pub(super) type Shape = BTreeMap<String, SecretShape>;

/// The source of a secret, which is a file or an environment variable, and its hosts.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretShape {
    /// Read at each start and when the file changes. Relative paths start in the data folder.
    file: Option<PathBuf>,
    env: Option<String>,
    hosts: Vec<String>,
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        Self { message: error.to_string(), help: error.help() }
    }
}

/// Reads all secrets and adds them to a policy that is otherwise complete. If a value cannot be read or used,
/// this is a warning and fails only the steps that name the secret, because the policy file itself is right.
pub(super) fn add(
    shape: &Shape,
    mut policy: Policy,
    data_dir: &Path,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<Policy, Problem> {
    for (name, secret) in shape {
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

/// Replaces a value that cannot be read, so that the name and the hosts are still checked.
const ANY_VALUE: &str = "a value to judge the rest by";

impl SecretShape {
    /// The file with the value.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Refuses settings that are wrong with any value.
    fn check(&self, name: &str) -> Result<(), Problem> {
        self.secret(name, ANY_VALUE.to_owned())?;
        self.source(name).map(|_| ())
    }

    fn source(&self, name: &str) -> Result<Source<'_>, Problem> {
        Source::of(self.file.as_deref(), self.env.as_deref()).map_err(|problem| Problem {
            message: format!("the secret `{name}` has {problem}"),
            help: format!(
                "write `{name}: {{ file: PATH, hosts: [HOST] }}` or `{name}: {{ env: NAME, hosts: [HOST] }}`"
            ),
        })
    }

    /// The secret with its value, or why it cannot be used now.
    fn read(&self, name: &str, data_dir: &Path, policy: &Policy) -> Result<Secret, Problem> {
        let secret = self.secret(name, self.source(name)?.read(name, data_dir)?)?;
        policy.secrets.check_apart(&secret)?;
        Ok(secret)
    }

    fn secret(&self, name: &str, value: String) -> Result<Secret, SecretError> {
        Secret::new(name, value, self.hosts.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the secrets of a text, or their error, with `expected`. The folder has some files.
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
        let shape: Shape = serde_saphyr::from_str(text).unwrap();
        let mut warnings = Vec::new();
        let found = match add(&shape, Policy::own_machine("."), folder.path(), &mut warnings) {
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
        // Cargo sets this variable for tests.
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
            &format!("{unusable} it is shorter than 8 bytes, so it cannot be distinguished from other texts"),
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
        let shape: Result<Shape, _> = serde_saphyr::from_str("t: { path: token }");
        assert!(shape.unwrap_err().to_string().contains("unknown field `path`"));
    }
}
