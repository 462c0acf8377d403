//! `policy.yaml` in the data folder: what the operator allows beyond the default policy, what the operator
//! forbids, and how much compiling a component may cost. `tenants/NAME.yaml` has the same shape.
//!
//! ```yaml
//! network:
//!   loopback: true   # requests of steps may go to this machine itself; for development
//!   private: true    # and to private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, …
//! http:              # what granted requests are cut down to; each list may be left out
//!   hosts: [api.example.com, "*.example.org"]
//!   schemes: [https]
//!   methods: [GET, POST]
//!   ports: [443]
//! files:             # below which folders jobs may read and write; without it, as this user may
//!   folders: [/srv/stepbox]
//! limits:            # how much one step may use at most, whatever its job says
//!   memory_bytes_max: 268435456
//! quotas:            # how much all jobs may use together, in one process
//!   running_max: 8
//! secrets:           # what requests take along without their step knowing it, and where to
//!   crm_token: { file: crm-token.txt, hosts: [api.example.com] }
//! storages:          # where jobs may keep files beside the folders, by name
//!   exchange: { type: s3, bucket: acme, prefix: exchange/, region: eu-central-1,
//!               access_key_id: { env: S3_KEY_ID }, secret_access_key: { file: s3-secret.txt } }
//!   archive: { type: local, path: /srv/archive }
//! shared: { type: local, path: /srv/shared }   # what workers on several machines share beside the database
//! components:
//!   signed_by: [{ name: acme, key: RWQ… }]   # only what one of these keys signed comes in, and is run
//!   upload: false                            # no new one comes in
//!   count_max: 100                           # how many may be kept, and so on
//!   compile: { time_ms_max: 20000, memory_bytes_max: 1073741824 }   # the defaults
//! suspended: true    # nothing of the tenant begins, until this is taken out
//! ```
//!
//! The two networks are closed unless the file opens them. The grants of jobs are cut down only if the file
//! says so.

mod components;
mod files;
mod quotas;
mod secrets;
mod shared;
pub(super) mod source;
mod storages;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stepbox_batch::nearest::nearest;
use stepbox_connectors::{NamedStorage, StorageSettings};
use stepbox_sandbox::{CompileProcess, HttpPolicy, HttpPolicyError};

use self::components::Components;
use self::files::Files;
use self::quotas::{Limits, Quotas};
use super::error::{ConfigError, ConfigWarning};
use crate::data_folder::{Owners, refuse_writable_by_others};
use crate::policy::Policy;
use crate::regular_file::open_regular;

/// The name of the file in the data folder.
pub const POLICY_FILE: &str = "policy.yaml";

/// How to correct a value of the wrong shape.
const HELP: &str = "`docs/operators.md` shows the form of the file";

/// The maximum length of the file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The whole file.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PolicyFile {
    network: Network,
    http: Http,
    files: Files,
    limits: Limits,
    quotas: Quotas,
    secrets: secrets::Shape,
    storages: storages::Shape,
    shared: Option<StorageSettings>,
    components: Components,
    suspended: bool,
}

/// Which special addresses are open.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Network {
    /// The loopback addresses of this machine.
    loopback: bool,
    /// Private networks.
    private: bool,
}

/// The limits to which granted requests are cut down; a list that is left out allows everything.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    hosts: Option<Vec<String>>,
    schemes: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    ports: Option<Vec<u16>>,
}

impl Http {
    fn policy(&self) -> Result<HttpPolicy, HttpPolicyError> {
        let mut policy = HttpPolicy::default();
        if let Some(hosts) = &self.hosts {
            policy = policy.with_hosts(hosts.iter().map(String::as_str))?;
        }
        if let Some(schemes) = &self.schemes {
            policy = policy.with_schemes(schemes.iter().map(String::as_str))?;
        }
        if let Some(methods) = &self.methods {
            policy = policy.with_methods(methods.iter().map(String::as_str))?;
        }
        if let Some(ports) = &self.ports {
            policy = policy.with_ports(ports.iter().copied())?;
        }
        Ok(policy)
    }
}

impl PolicyFile {
    /// Reads a file. A missing file opens nothing.
    pub(super) fn read(path: &Path, data_dir: &Path) -> Result<Self, ConfigError> {
        read(path, Owners::of(data_dir))
    }

    /// The policy of a tenant that uses this file: the policy of a user's own machine, with the additions and
    /// the restrictions of the file. A setting that is right in the file but cannot be used now is added to
    /// the warnings.
    pub(super) fn policy(
        &self,
        file: &Path,
        data_dir: &Path,
        base: &Path,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Policy, ConfigError> {
        self.build(data_dir, base, warnings).map_err(|wrong| wrong.within(file))
    }

    fn build(
        &self,
        data_dir: &Path,
        base: &Path,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Policy, Problem> {
        let mut policy = Policy::own_machine(base).with_http(self.http.policy()?);
        policy.quotas = self.quotas.over(policy.quotas);
        policy.limits = self.limits.into();
        if let Some(files) = self.files.policy(warnings)? {
            policy.files = files;
        }
        policy.components = self.components.policy(policy.components)?;
        if self.network.loopback {
            policy = policy.with_loopback();
        }
        if self.network.private {
            policy = policy.with_private_networks();
        }
        policy.http.check(policy.network)?;
        policy = storages::add(&self.storages, policy, data_dir, warnings)?;
        secrets::add(&self.secrets, policy, data_dir, warnings)
    }

    /// Whether no execution of a tenant that uses this file may begin.
    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The storage where workers on several machines keep their shared data.
    pub(super) fn shared_storage(
        &self,
        file: &Path,
        data_dir: &Path,
    ) -> Result<Option<NamedStorage>, ConfigError> {
        shared::open(self.shared.as_ref(), data_dir).map_err(|wrong| wrong.within(file))
    }

    /// The files that this file names.
    pub(super) fn named_files(&self, data_dir: &Path) -> Vec<PathBuf> {
        let keys = self.storages.values().chain(&self.shared).flat_map(storages::key_files);
        let named = self.secrets.values().filter_map(secrets::SecretShape::file).chain(keys);
        named.map(|file| data_dir.join(file)).collect()
    }

    /// Sets the limits of compiling that the file names.
    pub(super) fn limit(&self, process: CompileProcess) -> CompileProcess {
        self.components.limit(process)
    }

    /// Refuses, in the file of one tenant, settings that apply to the whole process.
    pub(super) fn refuse_common(&self, file: &Path) -> Result<(), ConfigError> {
        let common =
            [("shared", self.shared.is_some()), ("components.compile", self.components.limits_compiling())];
        match common.into_iter().find(|(_, is_there)| *is_there) {
            None => Ok(()),
            Some((key, _)) => Err(Problem {
                message: format!("`{key}` holds for all tenants, and has no effect in the file of one"),
                help: format!("write it into `{POLICY_FILE}`"),
            }
            .within(file)),
        }
    }

    /// Whether another file has the same settings for the whole process.
    pub(super) fn is_same_for_process(&self, other: &Self) -> bool {
        self.shared == other.shared && self.components.is_same_for_process(&other.components)
    }
}

/// A setting that is invalid or that has no effect. The messages contain nothing of a secret's value.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: String,
}

impl From<HttpPolicyError> for Problem {
    fn from(error: HttpPolicyError) -> Self {
        Self { message: error.to_string(), help: error.help() }
    }
}

impl Problem {
    pub(super) fn within(self, file: &Path) -> ConfigError {
        let Self { message, help } = self;
        ConfigError::Malformed { file: file.to_owned(), place: String::new(), message, help }
    }

    /// The same problem as a warning, for problems that must fail only the steps that need the setting.
    fn as_warning(&self) -> ConfigWarning {
        ConfigWarning { message: self.message.clone(), help: self.help.clone() }
    }
}

/// Reads a file. A missing file opens nothing.
fn read(path: &Path, owners: Owners) -> Result<PolicyFile, ConfigError> {
    match open_regular(path) {
        Ok(file) => Ok(read_open(path, file, owners)?.unwrap_or_default()),
        // If the data folder is not a folder, opening the store reports it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(PolicyFile::default())
        }
        Err(error) => Err(ConfigError::unreadable(path)(error)),
    }
}

/// Reads a file of the operator that is open at `path`; `None` if nothing is in it.
pub(super) fn read_open<T: DeserializeOwned>(
    path: &Path,
    file: File,
    owners: Owners,
) -> Result<Option<T>, ConfigError> {
    refuse_writable_by_others(path, &file, owners)?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(ConfigError::unreadable(path))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLong { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    parse(path, &text)
}

pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<Option<T>, ConfigError> {
    let mistake = |place: String, message: String, help: String| ConfigError::Malformed {
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
    serde_saphyr::from_str_with_options::<Option<T>>(text, options).map_err(|error| {
        let place = error.location().map(|at| format!(", line {}, column {}", at.line(), at.column()));
        let (message, help) = describe(error.without_snippet());
        mistake(place.unwrap_or_default(), message, help)
    })
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
            // The library's text ends with the place, and the message already begins with the place.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.split(" at line ").next().unwrap_or(text).trim_start_matches("error: ");
            let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
            if let Some(text) =
                text.strip_suffix("expected a nonzero u64").or(text.strip_suffix("expected a nonzero usize"))
            {
                let message = format!("{text}expected 1 or more");
                return (message, "limits cannot be switched off; leave it out for the default".to_owned());
            }
            (text.to_owned(), HELP.to_owned())
        }
    }
}

/// The content of a file or its error, for the tests of all modules of this folder.
#[cfg(test)]
fn found(text: &str, tell: impl FnOnce(&PolicyFile, Policy) -> String) -> String {
    match parse::<PolicyFile>(Path::new("policy.yaml"), text.as_bytes()).map(Option::unwrap_or_default) {
        Ok(file) => match file.build(Path::new("."), Path::new("."), &mut Vec::new()) {
            Ok(policy) => tell(&file, policy),
            Err(Problem { message, help }) => format!("{message} | {help}"),
        },
        Err(error) => match error.help() {
            Some(help) => format!("{error} | {help}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = found(text, |_, Policy { network, http, .. }| {
            let (loopback, private) = (network.allow_loopback, network.allow_private);
            format!("loopback={loopback} private={private} {http}").trim_end().to_owned()
        });
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
            "elephants: {}",
            "policy.yaml, line 1, column 1: the key `elephants` is not known here | known are `network`, `http`, \
             `files`, `limits`, `quotas`, `secrets`, `storages`, `shared`, `components`, `suspended`",
        );
        let help = HELP;
        let boolean = format!("policy.yaml, line 1, column 22: invalid boolean | {help}");
        check("network: { loopback: perhaps }", &boolean);
        check(
            "network: {}\nnetwork: {}",
            &format!("policy.yaml, line 2, column 1: duplicate mapping key: network | {help}"),
        );
        check("network: [", &format!("policy.yaml, line 1, column 10: expected mapping start | {help}"));
    }

    #[test]
    fn cuts_requests_down_to_what_it_lists() {
        check(
            "http: { hosts: [api.example.com, \"*.example.org\"], schemes: [https], methods: [GET, POST], ports: [443] }",
            "loopback=false private=false hosts: api.example.com, *.example.org; schemes: https; \
             methods: GET, POST; ports: 443",
        );
        check("http: { methods: [GET] }", "loopback=false private=false methods: GET");
        check(
            "http: { host: [a.example] }",
            "policy.yaml, line 1, column 9: the key `host` is not known here | did you mean `hosts`?",
        );
        check(
            "http: { hosts: [] }",
            "the policy allows no hosts at all, so that no request could be sent | \
             leave `hosts` out to allow all of them, or list some",
        );
        check(
            "http: { hosts: [localhost] }",
            "`localhost` among the hosts that the policy allows has no effect: it is a loopback address, and loopback \
             addresses are not open | take `localhost` out, or open loopback addresses",
        );
        check(
            "http: { hosts: [localhost] }\nnetwork: { loopback: true }",
            "loopback=true private=false hosts: localhost",
        );
    }
}
