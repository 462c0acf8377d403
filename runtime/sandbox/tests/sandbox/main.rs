//! Tests of the sandbox from outside, with small components that are written as text. Each does one thing.
//!
//! Real steps in Rust, and hostile ones, are tested in the repository's own `tests/`.

mod compiling;
mod components;
mod costs;
mod describing;
mod forms;
mod hostile;
mod isolation;
mod support;
mod uploads;
mod walk;
