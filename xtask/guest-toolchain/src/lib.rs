//! Finds or makes a toolchain that builds wasm32-wasip2 components, and builds the guests with it.
//!
//! Not every machine can fetch rustup's target, so there are two kinds of toolchain. [`find`] takes the first that it
//! gets, installed ones before those that take a while:
//!
//! 1. the target, installed beside the compiler in use ([`Kind::Rustup`]);
//! 2. a sysroot that an earlier call saved ([`Kind::Debian`]);
//! 3. the target, fetched with `rustup target add`;
//! 4. on a Debian-like machine, a sysroot made of the distribution's packages: once, in a minute or two, and then
//!    kept in the user's cache.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let toolchain = stepbox_guest_toolchain::find(&|message| eprintln!("{message}"))?;
//! let guests = stepbox_guest_toolchain::Guests::steps(Path::new("."));
//! for component in toolchain.build(&guests, Path::new("target/guests"))? {
//!     println!("{}: {}", component.name, component.path.display());
//! }
//! # Ok::<(), stepbox_guest_toolchain::ToolchainError>(())
//! ```
//!
//! The environment variable `STEPBOX_GUEST_TOOLCHAIN` (`rustup` or `debian`) forces a kind.

mod build;
mod cache;
mod command;
mod debian;
mod error;
mod guests;
mod rustup;

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::PathBuf;

pub use error::ToolchainError;
pub use guests::{Component, Guests};

/// The target that guests are built for. Its output is a component, not a module.
pub const TARGET: &str = "wasm32-wasip2";

/// Forces a kind of toolchain.
pub const CHOICE_VARIABLE: &str = "STEPBOX_GUEST_TOOLCHAIN";

/// Receives messages about long actions.
pub type Say<'a> = &'a dyn Fn(&str);

/// A toolchain that builds guests.
#[derive(Clone, Debug)]
pub struct Toolchain {
    kind: Kind,
    /// A description for people.
    description: String,
    cargo: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
}

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The compiler in use, with its target installed.
    Rustup,
    /// Debian's compiler, with a sysroot of our own making.
    Debian,
}

impl Toolchain {
    /// Where it comes from.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl Kind {
    /// As [`CHOICE_VARIABLE`] spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rustup => "rustup",
            Kind::Debian => "debian",
        }
    }

    fn named(name: &str) -> Option<Kind> {
        [Kind::Rustup, Kind::Debian].into_iter().find(|kind| kind.name() == name)
    }
}

/// Finds a toolchain, or makes one. The error lists the ways that failed and what would help. If the environment asks
/// for a kind, only that kind is tried.
pub fn find(say: Say<'_>) -> Result<Toolchain, ToolchainError> {
    find_kind(choice()?, say)
}

/// The same for this kind; `None` allows every kind.
pub fn find_kind(kind: Option<Kind>, say: Say<'_>) -> Result<Toolchain, ToolchainError> {
    let sources: &[Source] = match kind {
        None => &[rustup::installed, debian::saved, rustup::fetch, debian::make],
        Some(Kind::Rustup) => &[rustup::installed, rustup::fetch],
        Some(Kind::Debian) => &[debian::saved, debian::make],
    };
    let mut refusals = Vec::new();
    for source in sources {
        match source(say) {
            Ok(toolchain) => return Ok(toolchain),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(ToolchainError::NoneFound { refusals })
}

/// One way to a toolchain, or a sentence on why it failed.
type Source = fn(Say<'_>) -> Result<Toolchain, String>;

fn choice() -> Result<Option<Kind>, ToolchainError> {
    let Some(value) = std::env::var_os(CHOICE_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy().into_owned();
    Kind::named(&value).map(Some).ok_or(ToolchainError::UnknownChoice { value })
}
