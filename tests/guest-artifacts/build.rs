//! Builds the guests, and writes down the paths of their components.

#![allow(clippy::print_stderr, reason = "cargo shows what a build script says")]

use std::env;
use std::error::Error;
use std::fmt::{self, Write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stepbox_guest_toolchain::{CHOICE_VARIABLE, Component, Guests, find};

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}"); // as people read it, not as Rust spells it
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let repository =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("this crate stands alone")?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let (steps, hostile) = (Guests::steps(repository), Guests::hostile(repository));
    rerun_if_changed(&[&steps, &hostile])?;

    let toolchain = find(&|message| eprintln!("{message} …"))?;
    let build = |guests| toolchain.build(guests, &guests_dir(&out_dir));
    let mut code =
        format!("/// What built the components.\npub const TOOLCHAIN: &str = {:?};\n", toolchain.to_string());
    write_module(&mut code, "steps", "The sample steps, from `guest-steps/samples/`.", &build(&steps)?)?;
    write_module(
        &mut code,
        "hostile",
        "The guests that misbehave, from `tests/guests/`.",
        &build(&hostile)?,
    )?;
    fs::write(out_dir.join("artifacts.rs"), code)?;
    Ok(())
}

/// A new file is always named in a changed one: a crate's module, or a manifest.
fn rerun_if_changed(sets: &[&Guests]) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={CHOICE_VARIABLE}");
    for guests in sets {
        for source in guests.sources()? {
            println!("cargo::rerun-if-changed={}", source.display());
        }
    }
    Ok(())
}

/// `<target>/guests`, the folder of `cargo xtask guests`, so that nothing is built twice.
///
/// Cargo allows this script to write only to: `<target>[/<triple>]/<profile>/build/<hash>/out`.
fn guests_dir(out_dir: &Path) -> PathBuf {
    let target = out_dir.ancestors().nth(4).unwrap_or(out_dir);
    let triple = env::var("TARGET").unwrap_or_default();
    let target = if target.ends_with(triple) { target.parent().unwrap_or(target) } else { target };
    target.join("guests")
}

fn write_module(code: &mut String, module: &str, about: &str, components: &[Component]) -> fmt::Result {
    writeln!(code, "\n/// {about}\npub mod {module} {{")?;
    for Component { name, path } in components {
        writeln!(code, "    /// The component of `{name}`.")?;
        writeln!(code, "    pub const {}: &str = {path:?};", name.to_uppercase())?;
    }
    writeln!(code, "    /// Name and component of each, sorted by name.")?;
    writeln!(code, "    pub const ALL: &[(&str, &str)] = &[")?;
    for Component { name, .. } in components {
        writeln!(code, "        ({name:?}, {}),", name.to_uppercase())?;
    }
    writeln!(code, "    ];\n}}")
}
