//! What the tests and the benchmarks share. The tests themselves are in one binary, `main.rs`.

mod native;

pub use native::Native;
