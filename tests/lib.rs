//! What the tests, the benchmarks and the crash test share. The tests themselves are in one binary, `main.rs`.

pub mod catalogue;
mod native;

pub use native::Native;
