//! What a step may touch: hosts and folders, by name. Nothing is granted by default but `work`.
//!
//! The same grants are served through two doors: the contract's own `http` and `files`, and WASI's.

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

/// The name of the folder that every step has without asking.
pub const WORK_FOLDER: &str = "work";

/// Files that no step opens although they have a name in its folders.
pub trait Withheld: fmt::Debug + Send + Sync {
    /// Whether a file is one of them. One that cannot be judged is not opened either.
    fn withholds(&self, file: &Metadata) -> io::Result<bool>;
}

/// What a step may touch.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    http: Vec<HttpGrant>,
    folders: Vec<Arc<FolderGrant>>,
    withheld: Option<Arc<dyn Withheld>>,
}

impl Grants {
    /// Nothing: no hosts, no folders.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds the right to send requests, in a job's words: `POST https://api.example.com`.
    pub fn with_http(self, line: &str) -> Result<Self, GrantError> {
        Ok(self.with_http_grant(HttpGrant::parse(line)?))
    }

    /// Adds the right to send requests.
    #[must_use]
    pub fn with_http_grant(mut self, grant: HttpGrant) -> Self {
        self.http.push(grant);
        self
    }

    /// Adds an open folder under the name that the step knows it by. Whatever later happens to the
    /// path it was opened from, the step works in this folder and nowhere else.
    pub fn with_folder(mut self, name: &str, access: Access, folder: Dir) -> Result<Self, GrantError> {
        if self.folder(name).is_some() {
            return Err(GrantError::FolderTwice { name: name.to_owned() });
        }
        let withheld = self.withheld.clone();
        self.folders.push(Arc::new(FolderGrant::new(name, access, folder, withheld)?));
        Ok(self)
    }

    /// Keeps files back, in whichever of the folders that are added from now on they have a name.
    pub fn without(self, withheld: Arc<dyn Withheld>) -> Self {
        Self { withheld: Some(withheld), ..self }
    }

    /// Whether a file in one of the folders is kept back.
    pub(crate) fn withholds(&self, file: &Metadata) -> bool {
        self.folders.iter().any(|folder| folder.withholds(file))
    }

    /// The hosts.
    pub fn http(&self) -> &[HttpGrant] {
        &self.http
    }

    /// The folders.
    pub fn folders(&self) -> &[Arc<FolderGrant>] {
        &self.folders
    }

    /// The folder of that name.
    pub fn folder(&self, name: &str) -> Option<&Arc<FolderGrant>> {
        self.folders.iter().find(|folder| folder.name() == name)
    }
}

/// Why a grant is none.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// A line that is not `METHOD scheme://host[:port][/path]`.
    #[error("`{line}` is no grant for HTTP: {problem}")]
    BadHttp {
        /// As it was written.
        line: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A line that is not `read PATH` or `write PATH`.
    #[error("`{line}` is no grant for a folder: {problem}")]
    BadFolder {
        /// As it was written.
        line: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A name that no path could begin with.
    #[error("`{name}` is no name for a granted folder: {problem}")]
    BadFolderName {
        /// As it was written.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A template that cannot be read, or a value that would make the grant another one.
    #[error(transparent)]
    Template(TemplateError),
    /// Two folders of one name.
    #[error("two folders are granted under the name `{name}`")]
    FolderTwice {
        /// The name.
        name: String,
    },
}

impl GrantError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &["grant-http-malformed", "grant-folder-malformed", "grant-folder-twice"];
    // Those of templates are `TemplateError`'s.

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadHttp { .. } => "grant-http-malformed",
            Self::BadFolder { .. } | Self::BadFolderName { .. } => "grant-folder-malformed",
            Self::Template(error) => error.code(),
            Self::FolderTwice { .. } => "grant-folder-twice",
        }
    }

    /// What to do about it.
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
