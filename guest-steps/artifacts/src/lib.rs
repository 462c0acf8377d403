//! The guests, as components: built when this crate is, and named by their files' paths.
//!
//! ```no_run
//! use stepbox_guest_artifacts::{hostile, steps};
//!
//! let normalise = std::fs::read(steps::NORMALISE)?;
//! for (name, path) in hostile::ALL {
//!     println!("{name}: {path}");
//! }
//! # std::io::Result::Ok(())
//! ```
//!
//! For tests and benchmarks only. The build script finds a toolchain, or fails with the ways to mend
//! that; when no guest has changed, it does not run.

include!(concat!(env!("OUT_DIR"), "/artifacts.rs"));
