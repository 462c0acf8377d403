//! The entries for data from outside, as functions that take any bytes: one target for each entry.
//!
//! A target returns for all bytes. It panics if the runtime would break a promise: a panic of the runtime's own, an
//! answer that differs from the oracle's, an error without a code. The fuzzer looks for these panics.
//!
//! Two versions run the targets. `tests/kept_inputs.rs` runs for some seconds with `cargo xtask test`, over the kept
//! inputs and over changed ones that are the same each time. `coverage.rs` runs for any time with `cargo xtask fuzz`,
//! guided by the code that an input reaches. `corpus/<target>/` keeps earlier findings, and inputs that help the
//! fuzzer on its way.

pub mod mutate;
mod oracle;
pub mod targets;

/// An entry for data from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Inputs that are generated instead of kept.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "bucket", run: targets::bucket::run, seeds: targets::bucket::seeds },
    Target {
        name: "connector_file",
        run: targets::connector_file::run,
        seeds: targets::connector_file::seeds,
    },
    Target { name: "csv", run: targets::csv::run, seeds: Vec::new },
    Target { name: "forms", run: targets::forms::run, seeds: targets::forms::seeds },
    Target { name: "grants", run: targets::grants::run, seeds: Vec::new },
    Target { name: "jsonl", run: targets::jsonl::run, seeds: Vec::new },
    Target { name: "parameters", run: targets::parameters::run, seeds: targets::parameters::seeds },
    Target { name: "rows", run: targets::rows::run, seeds: Vec::new },
    Target { name: "templates", run: targets::templates::run, seeds: Vec::new },
    Target { name: "upload", run: targets::upload::run, seeds: targets::upload::seeds },
];
