//! What can go wrong between a request and its execution.

use std::path::PathBuf;

use stepbox_batch::component_quota::ComponentQuotaError;
use stepbox_batch::error::ElementError;
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::form_answer::BadFormQuestion;
use stepbox_batch::name::{
    ConnectorCode, Digest, InstanceCode, JobExecutionId, NameError, StepName, TenantId,
};
use stepbox_batch::parameters::Violation;
use stepbox_batch::ports::RepositoryError;
use stepbox_batch::remedy::{Listed, Remedy};
use stepbox_connectors::ConnectorError;
use stepbox_sandbox::{ComponentError, HttpPolicyError, SecretError};

use crate::access::AccountError;
use crate::components_policy::ComponentsPolicyError;
use crate::connector_file::ConnectorFileError;
use crate::signature::SignatureError;

/// An instance that could not run with the new version of its connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{code}`: {reason}")]
pub struct BrokenInstance {
    /// The instance.
    pub code: InstanceCode,
    /// Why it could not run.
    pub reason: String,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused the request, or could not answer.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Somebody does not come in, or a password, a link or a token cannot be used or made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// An invalid name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A connector's folder has a mistake.
    #[error(transparent)]
    ConnectorFile(#[from] ConnectorFileError),
    /// An uploaded component is refused.
    #[error("the component is refused: {0}")]
    Component(#[from] ComponentError),
    /// A component has no accepted signature.
    #[error("the component is refused: {0}")]
    Signature(#[from] SignatureError),
    /// The tenant's policy allows no new components.
    #[error("the policy lets no new components in")]
    UploadClosed,
    /// A component that an execution began with has been removed since.
    #[error("the component {0} was removed")]
    ComponentGone(Digest),
    /// Parameters that violate the job's constraints.
    #[error("{count} of the parameters of {subject} cannot be accepted", count = violations.len())]
    Violations {
        /// The instance or job.
        subject: String,
        /// All violations, by path.
        violations: Vec<Violation>,
    },
    /// Values of parameters that the viewer may not change.
    #[error("{count} of the parameters of {subject} may not be changed", count = violations.len())]
    GuardedParameters {
        /// The instance or job.
        subject: String,
        /// What is refused, by path.
        violations: Vec<Violation>,
    },
    /// A new version of a connector with which existing instances could not run.
    #[error(
        "{count} of the instances of `{connector}` would not run any more",
        count = instances.len()
    )]
    BreaksInstances {
        /// The connector.
        connector: ConnectorCode,
        /// All such instances, by code.
        instances: Vec<BrokenInstance>,
    },
    /// The named object does not exist.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// The kind of object: `connector`, `job`, …
        kind: &'static str,
        /// The name as it was given.
        name: String,
        /// The name that may have been meant.
        nearest: Option<String>,
        /// How to see the names that exist.
        remedy: Remedy,
    },
    /// A job does not belong to the connector or the type that was named with it.
    #[error("{message}")]
    Mismatch {
        /// What does not fit together.
        message: String,
        /// What would fit.
        help: String,
    },
    /// The tenant does not exist.
    #[error("there is no tenant `{0}`")]
    UnknownTenant(TenantId),
    /// The tenant is suspended: none of its executions may begin now.
    #[error("the tenant `{0}` is suspended: nothing new of it is accepted or begun")]
    TenantSuspended(TenantId),
    /// A tenant's policy has a setting that is invalid or that has no effect.
    #[error("the policy of the tenant `{tenant}`: {source}")]
    Policy {
        /// The tenant.
        tenant: TenantId,
        /// What is wrong with the policy.
        source: HttpPolicyError,
    },
    /// A tenant's policy has a secret that is invalid or that has no effect.
    #[error("the policy of the tenant `{tenant}`: {source}")]
    Secret {
        /// The tenant.
        tenant: TenantId,
        /// What is wrong with the secret.
        source: SecretError,
    },
    /// A tenant's policy has a setting for components that is invalid or that has no effect.
    #[error("the policy of the tenant `{tenant}`: {source}")]
    ComponentsPolicy {
        /// The tenant.
        tenant: TenantId,
        /// What is wrong with the setting.
        source: ComponentsPolicyError,
    },
    /// A tenant's policy has storages that are invalid or that have no effect.
    #[error("the policy of the tenant `{tenant}`: {source}")]
    Storages {
        /// The tenant.
        tenant: TenantId,
        /// What is wrong with the storages.
        source: ConnectorError,
    },
    /// A tenant's policy opens a folder of the installation itself.
    #[error("the policy of the tenant `{tenant}` opens `{}`, where this installation keeps files of its own", path.display())]
    OwnFolder {
        /// The tenant.
        tenant: TenantId,
        /// The folder.
        path: PathBuf,
    },
    /// A step names a storage that it cannot use.
    #[error("the step `{step}` cannot run: {source}")]
    StorageOfStep {
        /// The step.
        step: StepName,
        /// What is wrong.
        source: ConnectorError,
    },
    /// A step would overwrite its own input.
    #[error("the step `{step}` cannot run: it reads and writes `{path}`, and would replace its own input")]
    OutputIsInput {
        /// The step.
        step: StepName,
        /// The path of its output.
        path: String,
    },
    /// Two steps that run side by side would write the same file, or one step would write the file that the
    /// other reads.
    #[error(
        "the steps `{one}` and `{other}` cannot run side by side: both use `{path}`, and one replaces it"
    )]
    OutputsClash {
        /// A step.
        one: StepName,
        /// A step of another branch.
        other: StepName,
        /// The path that both use.
        path: String,
    },
    /// The storage that workers on several machines share has failed.
    #[error("the shared storage: {0}")]
    SharedStorage(#[source] ConnectorError),
    /// A moment before 1970 or after 9999, for which no execution can wait.
    #[error("{ms} ms after 1970 is no moment to wait for: it is in none of the years 1970 to 9999")]
    BadMoment {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        ms: i64,
    },
    /// A form asks something that cannot be asked.
    #[error("the form cannot ask that: {0}")]
    FormQuestion(#[source] BadFormQuestion),
    /// A label is empty or too long.
    #[error("a label has 1 to 255 characters")]
    BadLabel,
    /// A file or folder of the data folder cannot be used.
    #[error("{} {action}: {source}", path.display())]
    DataFolder {
        /// The file or folder.
        path: PathBuf,
        /// The failed action: `cannot be written`, …
        action: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Another user could have changed a file or folder that decides what this installation does.
    #[error("`{}` cannot be trusted: {whom} may write it (mode {mode:o})", path.display())]
    WritableByOthers {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Who may write: `everybody`, `its group`, or `its owner, user 1001,`.
        whom: String,
    },
    /// The sandbox cannot start.
    #[error("the sandbox does not start: {0}")]
    Sandbox(String),
    /// The steps of the job have changed since the execution began.
    #[error("the steps of the job have changed since execution {0} began, not only their components")]
    StepsChanged(u64),
    /// The step that rejected items cannot read the corrected items.
    #[error("corrected items of execution {id} cannot be imported again: {reason}")]
    CannotReimport {
        /// The execution.
        id: u64,
        /// The reason.
        reason: String,
    },
    /// The name of an uploaded file is not valid.
    #[error("a file's name has 1 to 255 bytes, no `/` or `\\`, and no invisible characters")]
    BadFileName,
    /// The bytes of an uploaded file did not arrive.
    #[error("the file did not arrive as a whole: {0}")]
    UploadBroken(#[source] std::io::Error),
    /// A file that a step has written cannot be opened.
    #[error("the output cannot be read: {0}")]
    Output(#[source] ConnectorError),
    /// The installation already has a worker in this process; only one is allowed.
    #[error("this installation has a worker in this process already")]
    WorkerExists,
    /// The tenant's quota of running executions is used up.
    #[error("{max} executions of this tenant are running, and no more may at a time")]
    TooManyRunning {
        /// The quota.
        max: usize,
    },
    /// The task that ran an execution ended because of a defect of Stepbox.
    #[error("the run of execution {0} broke off; it will be marked as FAILED when its lease runs out")]
    RunBrokeOff(u64),
}

/// Whether the code is the code of a refused component, wherever a connector file names it.
fn is_of_a_component(code: &str) -> bool {
    code.starts_with("component-") || code == "version-exists" || ComponentError::CODES.contains(&code)
}

impl Error {
    /// The error that a name does not exist. `nearest` may have been meant; `remedy` shows the names that
    /// exist.
    pub(crate) fn not_found(kind: &'static str, name: &str, nearest: Option<&str>, remedy: Remedy) -> Self {
        Self::NotFound { kind, name: name.to_owned(), nearest: nearest.map(str::to_owned), remedy }
    }

    /// The error that there is no execution with that number.
    pub(crate) fn no_execution(id: JobExecutionId) -> Self {
        Self::not_found("execution", &id.to_string(), None, Remedy::List { what: Listed::Executions })
    }

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Name(_) => "bad-name",
            Self::ConnectorFile(error) => error.code,
            Self::Component(error) => error.code(),
            Self::Signature(error) => error.code(),
            Self::UploadClosed => "component-upload-closed",
            Self::ComponentGone(_) => "component-gone",
            Self::Violations { .. } => "parameters-invalid",
            Self::GuardedParameters { .. } => "parameters-guarded",
            Self::BreaksInstances { .. } => "instances-would-break",
            Self::NotFound { .. } => "not-found",
            Self::Mismatch { .. } => "job-mismatch",
            Self::UnknownTenant(_) => "unknown-tenant",
            Self::TenantSuspended(_) => "tenant-suspended",
            Self::Policy { source, .. } => source.code(),
            Self::Secret { source, .. } => source.code(),
            Self::ComponentsPolicy { source, .. } => source.code(),
            Self::Storages { source, .. } | Self::StorageOfStep { source, .. } => source.code(),
            Self::SharedStorage(source) | Self::Output(source) => source.code(),
            Self::OutputIsInput { .. } => "output-is-input",
            Self::OutputsClash { .. } => "outputs-clash",
            Self::OwnFolder { .. } => "path-in-data-folder",
            Self::BadMoment { .. } => "bad-moment",
            Self::FormQuestion(_) => "form-question-invalid",
            Self::BadLabel | Self::BadFileName => "bad-name",
            Self::UploadBroken(_) => "upload-broken",
            Self::DataFolder { .. } => "data-folder",
            Self::WritableByOthers { .. } => "writable-by-others",
            Self::Sandbox(_) => "sandbox-unavailable",
            Self::StepsChanged(_) => "steps-changed",
            Self::CannotReimport { .. } => "cannot-reimport",
            Self::TooManyRunning { .. } => "too-many-running",
            Self::WorkerExists => "worker-exists",
            Self::RunBrokeOff(_) => "run-broke-off",
        }
    }

    /// The kind of the error, for exit codes and HTTP statuses.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repository(error) => error.kind(),
            Self::Account(error) => error.kind(),
            Self::ConnectorFile(error) if is_of_a_component(error.code) => ErrorKind::ComponentRefused,
            Self::Name(_)
            | Self::ConnectorFile(_)
            | Self::Mismatch { .. }
            | Self::Policy { .. }
            | Self::Secret { .. }
            | Self::ComponentsPolicy { .. }
            | Self::Storages { .. }
            | Self::OwnFolder { .. }
            | Self::StorageOfStep { .. }
            | Self::OutputIsInput { .. }
            | Self::OutputsClash { .. }
            | Self::StepsChanged(_)
            | Self::CannotReimport { .. }
            | Self::BadMoment { .. }
            | Self::FormQuestion(_)
            | Self::BadLabel
            | Self::BadFileName
            | Self::UploadBroken(_) => ErrorKind::BadRequest,
            Self::Component(_) | Self::Signature(_) => ErrorKind::ComponentRefused,
            Self::UploadClosed | Self::GuardedParameters { .. } => ErrorKind::Forbidden,
            Self::TooManyRunning { .. } => ErrorKind::TooMany,
            Self::Output(source) if source.is_not_found() => ErrorKind::NotFound,
            Self::Output(_) => ErrorKind::WrongState,
            Self::WorkerExists | Self::TenantSuspended(_) => ErrorKind::WrongState,
            Self::Violations { .. } => ErrorKind::Violations,
            Self::BreaksInstances { .. } => ErrorKind::Conflict,
            Self::NotFound { .. } | Self::UnknownTenant(_) | Self::ComponentGone(_) => ErrorKind::NotFound,
            Self::DataFolder { .. } | Self::WritableByOthers { .. } | Self::SharedStorage(_) => {
                ErrorKind::StoreUnavailable
            }
            Self::Sandbox(_) | Self::RunBrokeOff(_) => ErrorKind::Unexpected,
        }
    }

    /// How to correct it; `None` if there is nothing to add, or if the remedies contain it.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::NotFound { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::Mismatch { help, .. } => help.clone(),
            Self::ConnectorFile(error) => error.help.clone(),
            Self::Component(error) => error.help(),
            Self::Signature(error) => error.help(),
            Self::ComponentsPolicy { source, .. } => source.help(),
            Self::Policy { source, .. } => source.help(),
            Self::Secret { source, .. } => source.help(),
            Self::Storages { source, .. }
            | Self::StorageOfStep { source, .. }
            | Self::SharedStorage(source)
            | Self::Output(source) => source.help(),
            Self::Repository(error) => help_of_store(error),
            Self::Name(error) => help_of_name(error),
            Self::Account(error) => error.help().to_owned(),
            other => other.own_help().to_owned(),
        };
        (!help.is_empty()).then_some(help)
    }

    fn own_help(&self) -> &'static str {
        match self {
            Self::OutputIsInput { .. } => "write to another path",
            Self::OutputsClash { .. } => "give each of the two a path of its own",
            Self::OwnFolder { .. } => {
                "open a folder apart from the data folder, the policy, the secrets and what machines share"
            }
            Self::TooManyRunning { .. } => "wait until one has ended",
            Self::CannotReimport { .. } => {
                "import the corrected file with an instance of your own, whose job reads such files"
            }
            Self::TenantSuspended(_) => "ask the operator, who suspended it and can end that",
            Self::UploadClosed => "have the operator upload it",
            Self::GuardedParameters { .. } => {
                "leave these out: they stay as they are; or ask an administrator for the role"
            }
            Self::BadLabel => "write a text for people, or leave it out",
            Self::DataFolder { .. } => "check that the data folder can be written and has room",
            Self::WritableByOthers { .. } => {
                "look whether it is still what you put there; let it belong to you, and let you alone write it: mode 700 for \
                 a folder, 600 for a file"
            }
            _ => "",
        }
    }

    /// The same error as the failure of an element.
    pub(crate) fn to_element_error(&self) -> ElementError {
        let failed = ElementError::failed(self.code(), self.to_string());
        failed.with_help(self.help().unwrap_or_default()).with_remedies(self.remedies())
    }

    /// Further ways to correct it, which a front end puts into words.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NotFound { nearest: None, remedy, .. } => vec![remedy.clone()],
            Self::ConnectorFile(error) => error.remedies.clone(),
            Self::Component(error) => error.remedies(),
            Self::Policy { source, .. } => source.remedies(),
            Self::Secret { source, .. } => source.remedies(),
            Self::Storages { source, .. }
            | Self::StorageOfStep { source, .. }
            | Self::SharedStorage(source)
            | Self::Output(source) => source.remedies(),
            Self::Repository(error) => remedies_of_store(error),
            Self::TooManyRunning { .. } => vec![Remedy::RaiseQuota { quota: "running_max".to_owned() }],
            Self::StepsChanged(id) => vec![Remedy::RestartWithOtherSteps { execution: JobExecutionId(*id) }],
            Self::UploadClosed => vec![Remedy::AllowUploads],
            Self::ComponentGone(_) => vec![Remedy::UploadComponent, Remedy::RestartWithNewestComponents],
            _ => Vec::new(),
        }
    }
}

/// How to correct a name.
fn help_of_name(error: &NameError) -> String {
    match error {
        NameError::Empty { .. } => "give it one, such as `my_export`".to_owned(),
        NameError::TooLong { .. } => "choose a shorter one".to_owned(),
        NameError::BadCharacter { text, .. } => {
            let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            format!("`{}` would do", text.chars().map(allowed).collect::<String>())
        }
        _ => String::new(),
    }
}

/// How to correct an error of the store; empty if there is nothing to add, or if the remedies contain it.
fn help_of_store(error: &RepositoryError) -> String {
    let help = match error {
        RepositoryError::VersionExists { reference, .. } => {
            return format!(
                "give it another version in its `describe`, a pre-release such as `{}` while you work on it; \
                 or remove `{reference}` first",
                reference.split('+').next().unwrap_or_default().to_owned() + "-dev"
            );
        }
        RepositoryError::LastOperator(_) => "make another user an operator first",
        RepositoryError::TooManyTokens { .. } => "revoke one that is not used any more",
        RepositoryError::QueueFull { .. } => "wait until workers have taken some",
        RepositoryError::ConcurrencyReached { .. } => {
            "wait until that one has ended, or publish the instance so that it waits by itself"
        }
        RepositoryError::ComponentQuota(ComponentQuotaError::Size { .. }) => {
            "leave out debug information (`strip = true`)"
        }
        RepositoryError::StaleVersion { .. } => "look at it as it is now, and change that",
        RepositoryError::FileQuota(_) => "remove files that nothing needs any more",
        RepositoryError::Busy { .. } => "try again; another process is writing",
        RepositoryError::OtherEncoding { .. } => {
            "make a database with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`, and name that one"
        }
        RepositoryError::NewerVersion { .. } => "use the newer Stepbox that wrote it",
        RepositoryError::Unavailable { store, .. } | RepositoryError::Refused { store, .. }
            if store.starts_with("PostgreSQL") =>
        {
            "check the URL, and that the server runs and lets you in; its log may say more"
        }
        RepositoryError::Unavailable { .. } | RepositoryError::Refused { .. } => {
            "check that the data folder exists, can be written and has room"
        }
        _ => "",
    };
    help.to_owned()
}

fn remedies_of_store(error: &RepositoryError) -> Vec<Remedy> {
    match error {
        RepositoryError::QueueFull { .. } => {
            let quota = Remedy::RaiseQuota { quota: "queued_max".to_owned() };
            vec![Remedy::List { what: Listed::Workers }, quota]
        }
        RepositoryError::ConcurrencyReached { id, .. } => vec![Remedy::StopExecution { execution: *id }],
        RepositoryError::NotUnique { id } | RepositoryError::WrongStatus { id, .. } => {
            vec![Remedy::ShowExecution { execution: *id }]
        }
        RepositoryError::ComponentQuota(error) => {
            let quota = Remedy::RaiseComponentQuota { quota: error.quota().to_owned() };
            match error {
                ComponentQuotaError::Size { .. } => vec![quota],
                _ => vec![Remedy::RemoveComponents, quota],
            }
        }
        RepositoryError::NotFound { kind: "user", .. } => vec![Remedy::List { what: Listed::Users }],
        RepositoryError::NotFound { kind: "member", .. } => vec![Remedy::List { what: Listed::Members }],
        RepositoryError::NotFound { kind: "token", .. } => vec![Remedy::List { what: Listed::Tokens }],
        RepositoryError::FileQuota(error) => vec![Remedy::RaiseQuota { quota: error.quota().to_owned() }],
        RepositoryError::OlderVersion { .. } => vec![Remedy::MigrateStore],
        _ => Vec::new(),
    }
}
