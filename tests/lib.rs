//! The shared code of the tests, the benchmarks and the crash test. The tests themselves are in one binary,
//! `main.rs`.

pub mod alone;
pub mod catalogue;
pub mod guard;
mod native;
pub mod numbers;

pub use native::Native;
