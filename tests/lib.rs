//! Nothing: all of this crate is in its one test binary, `main.rs`.
