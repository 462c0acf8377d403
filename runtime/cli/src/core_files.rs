//! No core files: this program has secrets in its memory while jobs run.

/// Prevents that a crash writes memory of this process, or of those that it starts, to a disk, and that another
/// program of the same user looks into it. A setting that fails is ignored, since the program works without it.
#[cfg(unix)]
pub(crate) fn forbid() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(not(unix))]
pub(crate) fn forbid() {}
