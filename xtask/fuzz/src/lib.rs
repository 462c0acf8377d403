//! What comes from outside, as functions that take any bytes: one for each door.
//!
//! A target returns whatever the bytes are. It panics where the runtime would break a promise: a panic
//! of the runtime's own, an answer that differs from the oracle's, an error without a code. So that is
//! what a fuzzer looks for.
//!
//! Two versions run them: `tests/kept_inputs.rs` for some seconds with `cargo xtask test`, over the kept
//! inputs and changed ones that are the same each time; and `coverage.rs` for as long as one likes with
//! `cargo xtask fuzz`, guided by which code an input reaches. `corpus/<target>/` keeps what once was a
//! finding, and what shows the way.

pub mod mutate;
mod oracle;
pub mod targets;

/// A door to the runtime.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Inputs that are made rather than kept.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "bucket", run: targets::bucket::run, seeds: targets::bucket::seeds },
    Target {
        name: "connector_file",
        run: targets::connector_file::run,
        seeds: targets::connector_file::seeds,
    },
    Target { name: "csv", run: targets::csv::run, seeds: Vec::new },
    Target { name: "grants", run: targets::grants::run, seeds: Vec::new },
    Target { name: "jsonl", run: targets::jsonl::run, seeds: Vec::new },
    Target { name: "parameters", run: targets::parameters::run, seeds: targets::parameters::seeds },
    Target { name: "rows", run: targets::rows::run, seeds: Vec::new },
    Target { name: "templates", run: targets::templates::run, seeds: Vec::new },
    Target { name: "upload", run: targets::upload::run, seeds: targets::upload::seeds },
];
