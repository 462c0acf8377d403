//! The sandbox from outside: small components, written as text, that do one thing each.
//!
//! What real steps in Rust do, and what hostile ones try, is tested in the repository's own `tests/`.

mod compiling;
mod components;
mod costs;
mod describing;
mod hostile;
mod isolation;
mod support;
mod uploads;
mod walk;
