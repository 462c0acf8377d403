//! The grants of a step: the hosts and folders that it may use, by name. By default only `work` is granted.
//!
//! The same grants apply to both doors: the contract's own `http` and `files`, and WASI's interfaces.

mod folder;
mod http;
mod path;
mod template;

use std::fmt;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata};
use stepbox_batch::template::TemplateError;

pub use self::folder::{Access, FolderGrant};
pub use self::http::HttpGrant;
pub use self::template::{FolderTemplate, HttpTemplate};

/// The name of the folder that every step gets without a grant.
pub const WORK_FOLDER: &str = "work";

/// Files that no step opens, even if its folders have a name for them.
pub trait Withheld: fmt::Debug + Send + Sync {
    /// Whether a file is withheld. A file that cannot be judged is not opened either.
    fn withholds(&self, file: &Metadata) -> io::Result<bool>;
}

/// The hosts and folders that a step may use.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    http: Vec<HttpGrant>,
    folders: Vec<Arc<FolderGrant>>,
    withheld: Option<Arc<dyn Withheld>>,
}

impl Grants {
    /// No grants: no hosts, no folders.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the right to send requests, as a job writes it: `POST https://api.example.com`.
    pub fn with_http(self, line: &str) -> Result<Self, GrantError> {
        Ok(self.with_http_grant(HttpGrant::parse(line)?))
    }

    /// Adds the right to send requests, as a grant that was read before.
    #[must_use]
    pub fn with_http_grant(mut self, grant: HttpGrant) -> Self {
        self.http.push(grant);
        self
    }

    /// Adds an open folder under the name that the step uses.
    ///
    /// The step works in this folder and in no other one, whatever happens later to the path that it was
    /// opened from.
    pub fn with_folder(mut self, name: &str, access: Access, folder: Dir) -> Result<Self, GrantError> {
        if self.folder(name).is_some() {
            return Err(GrantError::FolderTwice { name: name.to_owned() });
        }
        let withheld = self.withheld.clone();
        self.folders.push(Arc::new(FolderGrant::new(name, access, folder, withheld)?));
        Ok(self)
    }

    /// Withholds files, in all folders that are added from now on.
    pub fn without(self, withheld: Arc<dyn Withheld>) -> Self {
        Self { withheld: Some(withheld), ..self }
    }

    /// Whether a file in one of the folders is withheld.
    pub(crate) fn withholds(&self, file: &Metadata) -> bool {
        self.folders.iter().any(|folder| folder.withholds(file))
    }

    /// The grants for HTTP.
    pub fn http(&self) -> &[HttpGrant] {
        &self.http
    }

    /// The granted folders.
    pub fn folders(&self) -> &[Arc<FolderGrant>] {
        &self.folders
    }

    /// The folder of that name; `None` if no folder has it.
    pub fn folder(&self, name: &str) -> Option<&Arc<FolderGrant>> {
        self.folders.iter().find(|folder| folder.name() == name)
    }
}

/// Why a grant is refused.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The line is not `METHOD scheme://host[:port][/path]`.
    #[error("`{line}` is no grant for HTTP: {problem}")]
    BadHttp {
        /// The line as it was written.
        line: String,
        /// The problem with the line.
        problem: String,
    },
    /// The line is not `read PATH` or `write PATH`.
    #[error("`{line}` is no grant for a folder: {problem}")]
    BadFolder {
        /// The line as it was written.
        line: String,
        /// The problem with the line.
        problem: String,
    },
    /// No path can begin with this name.
    #[error("`{name}` is no name for a granted folder: {problem}")]
    BadFolderName {
        /// The name as it was written.
        name: String,
        /// The problem with the name.
        problem: &'static str,
    },
    /// The template cannot be read, or a value would change the meaning of the grant.
    #[error(transparent)]
    Template(TemplateError),
    /// Two folders have the same name.
    #[error("two folders are granted under the name `{name}`")]
    FolderTwice {
        /// The name.
        name: String,
    },
}

impl GrantError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &["grant-http-malformed", "grant-folder-malformed", "grant-folder-twice"];
    // The codes of templates are `TemplateError`'s.

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadHttp { .. } => "grant-http-malformed",
            Self::BadFolder { .. } | Self::BadFolderName { .. } => "grant-folder-malformed",
            Self::Template(error) => error.code(),
            Self::FolderTwice { .. } => "grant-folder-twice",
        }
    }

    /// What to do about the error.
    pub fn help(&self) -> String {
        match self {
            Self::BadHttp { .. } => {
                "write it like `POST https://api.example.com`, `* http://localhost:8080` or \
                 `GET https://*.example.com/feed/*`"
                    .to_owned()
            }
            Self::BadFolder { .. } => "write it like `read /srv/inbox` or `write /srv/outbox`".to_owned(),
            Self::BadFolderName { .. } => "write it like `inbox`".to_owned(),
            Self::Template(error) => error.help().to_owned(),
            Self::FolderTwice { name } => format!("give one of the two folders another name than `{name}`"),
        }
    }
}
