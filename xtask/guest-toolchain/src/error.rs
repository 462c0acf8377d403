//! Errors of finding a toolchain and of building guests.

use std::path::PathBuf;

/// Why there is no toolchain, or no component.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// No way to a toolchain succeeded.
    #[error("no toolchain here builds {target} components\n{}\n{HELP}", tried(.refusals), target = crate::TARGET)]
    NoneFound {
        /// A sentence on each way that was tried.
        refusals: Vec<String>,
    },

    /// The environment asks for a toolchain that does not exist.
    #[error("`{variable}` is `{value}`\n   help: it can be `rustup` or `debian`, or unset", variable = crate::CHOICE_VARIABLE)]
    UnknownChoice {
        /// The value of the variable.
        value: String,
    },

    /// Cargo did not build the guests; its output is above.
    #[error("the guests of `{}` do not build with {toolchain}\n   help: read what cargo says above this", .workspace.display())]
    BuildFailed {
        /// The guests' workspace.
        workspace: PathBuf,
        /// The toolchain that built them.
        toolchain: String,
    },

    /// Cargo built the guests, but a component is missing.
    #[error("guest `{name}` is built, but there is no component at `{}`\n   help: check its `crate-type = [\"cdylib\"]`", .path.display())]
    MissingComponent {
        /// The guest.
        name: String,
        /// The expected path of its component.
        path: PathBuf,
    },

    /// A file or folder could not be read.
    #[error("`{}` cannot be read", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },

    /// Cargo could not be started.
    #[error("`{command}` cannot be started")]
    NotStarted {
        /// The command.
        command: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

const HELP: &str = "   help: one of these gives a toolchain\n\
     \x20        - where rustup reaches its server: `rustup target add wasm32-wasip2`\n\
     \x20        - on Debian, as root: `apt-get install rustc-web cargo-web rust-web-src wasi-libc lld-19`, then again";

fn tried(refusals: &[String]) -> String {
    let lines = refusals.iter().map(|refusal| format!("  tried: {refusal}"));
    lines.collect::<Vec<_>>().join("\n")
}
