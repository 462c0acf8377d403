//! Why a component is refused, or why the sandbox does not start.

use std::io;
use std::path::PathBuf;

use stepbox_batch::error::ElementError;
use stepbox_batch::name::Digest;
use stepbox_batch::remedy::Remedy;

use crate::upload::{Finding, World};

/// Why a component is refused. The texts complete the sentence "the component is refused: …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file has more bytes than a component may have.
    #[error("it has more than {max} bytes")]
    TooLarge {
        /// The maximum number of bytes.
        max: usize,
    },
    /// The bytes cannot be read.
    #[error("it cannot be read: {source}")]
    Unreadable {
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is text and not a binary.
    #[error("it is {what}, not a component")]
    IsText {
        /// The kind of text that it looks like.
        what: &'static str,
    },
    /// The file is another kind of binary.
    #[error("it is {what}, not a component")]
    IsNotWasm {
        /// The kind of binary that it looks like.
        what: &'static str,
    },
    /// The file is a WebAssembly module, but not a component.
    #[error("it is a core module, not a component")]
    IsCoreModule,
    /// The file is machine code that was compiled before. To run it would mean to trust it.
    #[error("it is compiled to machine code already; only WebAssembly is taken")]
    Precompiled,
    /// The end of the file is missing.
    #[error("it breaks off after {bytes} bytes")]
    Truncated {
        /// The number of bytes that are there.
        bytes: usize,
    },
    /// The component is not valid, or uses proposals that are off here.
    #[error("it is not valid: {problem}")]
    Malformed {
        /// The validator's message.
        problem: String,
    },
    /// The component is expensive to compile, as its counts show before compiling.
    #[error("it has {what}; at most {max} are taken")]
    TooComplex {
        /// The count, what is counted, and where.
        what: String,
        /// The maximum of that count.
        max: u64,
    },
    /// The component has none of the five worlds, or more than one.
    #[error("it is not a step: {problem}")]
    NoWorld {
        /// What is missing.
        problem: String,
        /// What the author can do about it.
        help: String,
    },
    /// The component is of one of the five worlds, but does not fit it.
    #[error("it does not fit the world `{world}`: {}", join(findings))]
    WrongWorld {
        /// The nearest world.
        world: World,
        /// The differences.
        findings: Vec<Finding>,
    },
    /// The component is valid, but does not compile.
    #[error("it does not compile: {problem}")]
    DoesNotCompile {
        /// The compiler's message.
        problem: String,
    },
    /// The component is too expensive to compile.
    #[error("compiling it takes {limit}")]
    CompileLimit {
        /// The limit that the compilation reached.
        limit: CompileLimit,
    },
    /// The process that compiles the component was killed, or does not work.
    #[error("the process that compiles it {problem}")]
    CompilerLost {
        /// What happened to the process.
        problem: String,
    },
    /// `describe` did not return.
    #[error("its `describe` failed: {source}")]
    DescribeFailed {
        /// The failure of the call.
        source: ElementError,
    },
    /// `describe` returned a description that cannot be shown or checked.
    #[error("what its `describe` returned is wrong: {problem}")]
    BadDescription {
        /// The problem with the description.
        problem: String,
    },
    /// The bytes do not have the digest that was asked for.
    #[error("its bytes are not those of {expected}, but of {found}")]
    OtherDigest {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
}

/// The limit that a compilation reached. The texts complete the sentence "compiling it takes …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileLimit {
    /// Too much computing time.
    #[error("longer than {}", seconds(*ms_max))]
    Time {
        /// The maximum computing time, in milliseconds.
        ms_max: u64,
    },
    /// Too much time on the clock, because the machine has other work.
    #[error("longer than {} on the clock", seconds(*ms_max))]
    Clock {
        /// The maximum time on the clock, in milliseconds.
        ms_max: u64,
    },
    /// Too much memory.
    #[error("more than {} MiB of memory", bytes_max >> 20)]
    Memory {
        /// The maximum memory, in bytes.
        bytes_max: u64,
    },
    /// Too much machine code.
    #[error("more than {} MiB of machine code", bytes_max >> 20)]
    Code {
        /// The maximum size of the machine code, in bytes.
        bytes_max: u64,
    },
}

impl CompileLimit {
    fn help(self) -> &'static str {
        match self {
            Self::Time { .. } | Self::Memory { .. } => "make it smaller, and its functions, too",
            Self::Clock { .. } => {
                "upload it again when the machine has less to do, or make it smaller (this is one and a half times the \
                 limit `time_ms_max` of compiling)"
            }
            Self::Code { .. } => "make it smaller: leave out what the step does not need",
        }
    }
}

impl From<CompileLimit> for ComponentError {
    fn from(limit: CompileLimit) -> Self {
        Self::CompileLimit { limit }
    }
}

impl CompileLimit {
    /// The setting that would raise the limit; `None` if the limit is fixed.
    fn setting(self) -> Option<&'static str> {
        match self {
            Self::Time { .. } | Self::Clock { .. } => Some("time_ms_max"),
            Self::Memory { .. } => Some("memory_bytes_max"),
            Self::Code { .. } => None,
        }
    }
}

/// Writes a time as `30 s` or `1500 ms`.
fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}

/// Joins the first few findings. They are enough: one type that differs makes many functions differ.
fn join(findings: &[Finding]) -> String {
    const SHOWN: usize = 3;
    let shown = findings.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match findings.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more like that"),
    }
}

impl ComponentError {
    /// The codes of all variants.
    pub const CODES: &[&str] = &[
        "component-is-empty",
        "component-too-large",
        "component-unreadable",
        "component-is-text",
        "component-is-not-wasm",
        "component-is-core-module",
        "component-precompiled",
        "component-truncated",
        "component-malformed",
        "component-too-complex",
        "component-no-world",
        "component-wrong-world",
        "component-does-not-compile",
        "compile-limit",
        "compiler-lost",
        "component-describe-failed",
        "component-bad-description",
        "component-other-digest",
    ];

    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "component-is-empty",
            Self::TooLarge { .. } => "component-too-large",
            Self::Unreadable { .. } => "component-unreadable",
            Self::IsText { .. } => "component-is-text",
            Self::IsNotWasm { .. } => "component-is-not-wasm",
            Self::IsCoreModule => "component-is-core-module",
            Self::Precompiled => "component-precompiled",
            Self::Truncated { .. } => "component-truncated",
            Self::Malformed { .. } => "component-malformed",
            Self::TooComplex { .. } => "component-too-complex",
            Self::NoWorld { .. } => "component-no-world",
            Self::WrongWorld { .. } => "component-wrong-world",
            Self::DoesNotCompile { .. } => "component-does-not-compile",
            Self::CompileLimit { .. } => "compile-limit",
            Self::CompilerLost { .. } => "compiler-lost",
            Self::DescribeFailed { .. } => "component-describe-failed",
            Self::BadDescription { .. } => "component-bad-description",
            Self::OtherDigest { .. } => "component-other-digest",
        }
    }

    /// What to do about the error; empty if there is no advice.
    pub fn help(&self) -> String {
        const MAKE: &str = "build the step for the target `wasm32-wasip2`, or turn the module into a component \
                            with `wasm-tools component new`";
        let help = match self {
            Self::Empty | Self::Truncated { .. } | Self::Unreadable { .. } => "upload the file again, whole",
            Self::TooLarge { .. } => "leave out debug information (`strip = true`, `wasm-tools strip`)",
            Self::IsText { what: "WebAssembly in its text form" } => {
                "turn it into a binary with `wasm-tools parse`"
            }
            Self::IsText { .. } | Self::IsNotWasm { .. } => "upload the `.wasm` file that the build made",
            Self::IsCoreModule => MAKE,
            Self::Precompiled => "upload the `.wasm` file that it was compiled from",
            Self::Malformed { .. } => "turn off proposals beyond WebAssembly 2.0 in the build of the step",
            Self::TooComplex { .. } => {
                "no program that we know of comes near; build it with optimisations, or split what was generated"
            }
            Self::NoWorld { help, .. } => help,
            Self::WrongWorld { findings, .. } => {
                return findings.first().map(Finding::help).unwrap_or_default();
            }
            Self::DescribeFailed { .. } => {
                "`describe` runs without any grant, with 1 second and 64 MiB; it should only return what it knows"
            }
            Self::BadDescription { .. } => {
                "the comments in `wit/0.1/types.wit` say what a description may hold"
            }
            Self::DoesNotCompile { .. } => "",
            Self::CompileLimit { limit } => limit.help(),
            Self::CompilerLost { .. } => {
                "try again; the log of the operating system shows whether it ended a process because memory ran out"
            }
            Self::OtherDigest { .. } => "upload the component again: the stored file was changed",
        };
        help.to_owned()
    }
}

impl ComponentError {
    /// What else to do about the error, for a front end to describe.
    pub fn remedies(&self) -> Vec<Remedy> {
        let limit = match self {
            Self::CompileLimit { limit } => limit.setting(),
            _ => None,
        };
        limit.map(|limit| Remedy::RaiseCompileLimit { limit: limit.to_owned() }).into_iter().collect()
    }
}

/// Why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not start on this machine.
    #[error("the engine does not start: {problem}")]
    Engine {
        /// The engine's message.
        problem: String,
    },
    /// The folder for compiled components cannot be used.
    #[error("the folder for compiled components `{}` {action}: {source}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What cannot be done with the folder.
        action: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The thread that keeps components interruptible does not start.
    #[error("no thread for the beat that keeps components interruptible: {source}")]
    Ticker {
        /// The error of the operating system.
        source: io::Error,
    },
}
