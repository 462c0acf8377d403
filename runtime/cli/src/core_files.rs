//! No core files: the memory of this program holds secrets while jobs run.

/// Sees to it that a crash leaves nothing of this process, nor of those that it starts, on a disk, and that no other
/// program of the same user may look into it. What cannot be set stays as it is: nobody runs worse for that.
#[cfg(unix)]
pub(crate) fn forbid() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(not(unix))]
pub(crate) fn forbid() {}
