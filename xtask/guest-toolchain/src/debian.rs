//! Debian's compiler, with a sysroot of our own making.
//!
//! Debian ships the compiler, the standard library's source and wasi-libc, but no compiled standard library for the
//! target. Compiling that for every workspace would take minutes each time, and a compiler in bootstrap mode. So it
//! is compiled once, kept, and used by the compiler as it is.
//!
//! Three traps, each of which cost an afternoon: without embedded bitcode, guests with link-time optimisation fail; a
//! second build into a used folder leaves two copies of the standard library; and the guests' flags must reach the
//! target alone, not the build scripts and macros.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, refuse};
use crate::{Kind, Say, TARGET, Toolchain, build, command};

const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc", "lld-19"];

/// Part of the key of a saved sysroot. Raise the number if the way of making one changes.
const RECIPE: &str = "1";

/// The folder of Debian's wasi-libc and compiler.
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const WASM_LD: &str = "/usr/bin/wasm-ld-19";

/// Makes components of the output of `wasm-ld`. Rust's own releases include it; Debian does not package it.
const COMPONENT_LINKER: &str = "wasm-component-ld";
const COMPONENT_LINKER_VERSION: &str = "0.5.31";

const APT_SECONDS_MAX: u64 = 900;
const BUILD_SECONDS_MAX: u64 = 1800;

/// The sysroot, if an earlier call has saved it.
pub(crate) fn saved(_: Say<'_>) -> Result<Toolchain, String> {
    let versions = installed_versions().map_err(|missing| not_installed(&missing))?;
    let sysroot = cache::folder()?.join(key(&versions));
    if !sysroot.is_dir() {
        return Err(format!("there is no saved sysroot at `{}`", sysroot.display()));
    }
    Ok(toolchain(&sysroot))
}

/// The sysroot, made and saved.
pub(crate) fn make(say: Say<'_>) -> Result<Toolchain, String> {
    let folder = cache::folder()?;
    let _lock = cache::lock(&folder, say)?;
    let versions = match installed_versions() {
        Ok(versions) => versions,
        Err(missing) => {
            install_packages(&missing, &folder, say)?;
            installed_versions().map_err(|missing| not_installed(&missing))?
        }
    };
    let sysroot = folder.join(key(&versions));
    if !sysroot.is_dir() {
        cache::make_whole(&sysroot, |unfinished| {
            place_linkers(unfinished, &folder, say)?;
            build_std(unfinished, &folder.join("std.log"), say)
        })?;
        say(&format!("saved it in `{}`", sysroot.display()));
    }
    Ok(toolchain(&sysroot))
}

fn toolchain(sysroot: &Path) -> Toolchain {
    let version = command::line(Command::new(RUSTC).arg("--version")).unwrap_or_else(|| "rustc".to_owned());
    let version = version.split(" (").next().unwrap_or_default();
    let flags =
        ["--sysroot", &sysroot.to_string_lossy(), "-L", &format!("native={WASI_LIBC}")].map(toml_string);
    Toolchain {
        kind: Kind::Debian,
        description: format!("Debian's {version}, with the saved sysroot `{}`", sysroot.display()),
        cargo: CARGO.into(),
        arguments: vec!["--config".to_owned(), format!("target.{TARGET}.rustflags=[{}]", flags.join(","))],
        environment: vec![("RUSTC", RUSTC.into()), ("PATH", path_with(&linkers(sysroot)))],
    }
}

/// The version of every package, in the order of [`PACKAGES`]; or the names of those that are missing.
fn installed_versions() -> Result<Vec<String>, Vec<&'static str>> {
    let mut versions = Vec::new();
    let mut missing = Vec::new();
    for package in PACKAGES {
        let query = ["-W", "-f=${db:Status-Abbrev}${Version}", package];
        let status = command::line(Command::new("dpkg-query").args(query));
        match status.as_deref().and_then(|status| status.strip_prefix("ii ")) {
            Some(version) => versions.push(version.to_owned()),
            None => missing.push(package),
        }
    }
    if missing.is_empty() { Ok(versions) } else { Err(missing) }
}

fn not_installed(missing: &[&str]) -> String {
    format!("Debian's packages {} are not installed", missing.join(" "))
}

/// Installs packages, if apt-get can do so without asking and without removing others.
fn install_packages(missing: &[&str], folder: &Path, say: Say<'_>) -> Result<(), String> {
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err("no apt-get here, so no packages to make a sysroot of".to_owned());
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = as_root("apt-get")?;
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command::run(&mut command, APT_SECONDS_MAX, &folder.join("apt.log"))
    };
    say(&format!("installing Debian's packages {}", missing.join(" ")));
    apt_get(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends", "--no-remove"];
    apt_get(&[&install[..], missing].concat())
}

/// A command as root: unchanged if we are root, else through a sudo that asks no questions.
fn as_root(program: &str) -> Result<Command, String> {
    if command::line(Command::new("id").arg("-u")).as_deref() == Some("0") {
        return Ok(Command::new(program));
    }
    if command::line(Command::new("sudo").args(["-n", "id", "-u"])).as_deref() != Some("0") {
        return Err("Debian's packages are not installed, and installing them needs root".to_owned());
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
    Ok(command)
}

/// A folder with `wasm-ld` and the component linker, under the names that the compiler asks for.
fn linkers(sysroot: &Path) -> PathBuf {
    sysroot.join("bin")
}

fn place_linkers(sysroot: &Path, folder: &Path, say: Say<'_>) -> Result<(), String> {
    let linkers = linkers(sysroot);
    fs::create_dir_all(&linkers).map_err(|error| refuse(&linkers, &error))?;
    symlink(WASM_LD, linkers.join("wasm-ld")).map_err(|error| refuse(&linkers, &error))?;
    let component_linker = linkers.join(COMPONENT_LINKER);
    match rustup_component_linker() {
        // A copy, since rustup's toolchain may be removed later.
        Some(linker) => copy(&linker, &component_linker),
        None => build_component_linker(
            &component_linker,
            &sysroot.join("linker"),
            &folder.join("linker.log"),
            say,
        ),
    }
}

/// The one inside rustup's toolchain, if there is one.
fn rustup_component_linker() -> Option<PathBuf> {
    let sysroot = command::line(Command::new("rustc").args(["--print", "sysroot"]))?;
    let host = command::line(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin").join(COMPONENT_LINKER);
    linker.is_file().then_some(linker)
}

fn build_component_linker(linker: &Path, root: &Path, log: &Path, say: Say<'_>) -> Result<(), String> {
    say(&format!("building {COMPONENT_LINKER} {COMPONENT_LINKER_VERSION}, once: about four minutes"));
    let mut install = debian_cargo();
    install.args(["install", COMPONENT_LINKER, "--version", COMPONENT_LINKER_VERSION, "--locked", "--root"]);
    install.arg(root).env("CARGO_TARGET_DIR", root.join("build"));
    command::run(&mut install, BUILD_SECONDS_MAX, log)?;
    copy(&root.join("bin").join(COMPONENT_LINKER), linker)?;
    fs::remove_dir_all(root).map_err(|error| refuse(root, &error))
}

/// Builds the standard library as a dependency of an empty crate, and lays it out as a sysroot.
fn build_std(sysroot: &Path, log: &Path, say: Say<'_>) -> Result<(), String> {
    say(&format!("building the standard library for {TARGET}, once: about two minutes"));
    let seed = sysroot.join("seed");
    write(&seed.join("src/lib.rs"), "#![no_std]\n")?;
    write(&seed.join("Cargo.toml"), SEED)?;

    let mut cargo = debian_cargo();
    cargo.args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET]);
    cargo.args(["--config", &format!("target.{TARGET}.rustflags=['-Cembed-bitcode=yes']")]);
    cargo.current_dir(&seed).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", seed.join("target"));
    command::run(&mut cargo, BUILD_SECONDS_MAX, log)?;

    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let built = seed.join("target").join(TARGET).join("release/deps");
    copy_all(&built, &libraries, |name| {
        !name.starts_with("libseed-") && (name.ends_with(".rlib") || name.ends_with(".rmeta"))
    })?;
    copy_all(Path::new(WASI_LIBC), &libraries.join("self-contained"), |name| {
        name == "libc.a" || name.ends_with(".o")
    })?;
    fs::remove_dir_all(&seed).map_err(|error| refuse(&seed, &error))
}

const SEED: &str = "\
[package]
name = \"seed\"
edition = \"2021\"

[workspace]

[profile.release]
panic = \"abort\"
";

fn debian_cargo() -> Command {
    let mut cargo = build::clean(Command::new(CARGO));
    cargo.env("RUSTC", RUSTC);
    cargo
}

fn copy_all(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|error| refuse(to, &error))?;
    for file in fs::read_dir(from).map_err(|error| refuse(from, &error))?.flatten() {
        let name = file.file_name();
        if is_wanted(&name.to_string_lossy()) {
            copy(&file.path(), &to.join(&name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| refuse(from, &error))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| refuse(folder, &error))?;
    fs::write(path, text).map_err(|error| refuse(path, &error))
}

/// A folder name that changes with each ingredient of the sysroot: the recipe, the compiler with its library, and
/// wasi-libc.
fn key(versions: &[String]) -> String {
    let [rustc, _, _, wasi_libc, _] = versions else { unreachable!("a version for each package") };
    let key = format!("sysroot-{RECIPE}-rustc-{rustc}-wasi-libc-{wasi_libc}");
    key.replace(|character: char| !character.is_ascii_alphanumeric() && !"._+~-".contains(character), "-")
}

fn path_with(first: &Path) -> std::ffi::OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(first.to_owned()).chain(env::split_paths(&rest));
    env::join_paths(folders).unwrap_or(rest)
}

/// A string in the form of TOML, for cargo's `--config`.
fn toml_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
