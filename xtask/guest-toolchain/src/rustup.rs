//! The compiler in use, with the target that rustup installs beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Kind, Say, TARGET, Toolchain, cache, command};

/// How long rustup may take. Some networks drop packets instead of refusing them.
const FETCH_SECONDS_MAX: u64 = 120;

/// The target, if it is installed.
pub(crate) fn installed(_: Say<'_>) -> Result<Toolchain, String> {
    let version =
        command::line(Command::new("rustc").arg("--version")).ok_or("there is no `rustc` to be found")?;
    let libraries =
        command::line(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    if !libraries.is_some_and(|folder| has_std(Path::new(&folder))) {
        return Err(format!("{version} has no target `{TARGET}` installed"));
    }
    Ok(Toolchain {
        kind: Kind::Rustup,
        description: format!("{version}, with its target {TARGET} installed"),
        cargo: "cargo".into(),
        arguments: Vec::new(),
        environment: Vec::new(),
    })
}

/// The target, fetched.
pub(crate) fn fetch(say: Say<'_>) -> Result<Toolchain, String> {
    let log = cache::folder()?.join("rustup.log");
    say(&format!("fetching the target {TARGET} with rustup (at most {FETCH_SECONDS_MAX} s)"));
    command::run(Command::new("rustup").args(["target", "add", TARGET]), FETCH_SECONDS_MAX, &log)?;
    installed(say)
}

fn has_std(libraries: &Path) -> bool {
    let Ok(files) = fs::read_dir(libraries) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}
