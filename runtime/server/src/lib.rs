//! What Stepbox answers over HTTP. It prints nothing and knows no more of Stepbox than an embedder.
//!
//! [`Listener`] takes an address, [`Server`] answers there within limits, whoever asks; what it answers is a
//! [`Router`]. [`watching`] is the one for a worker: how it is, and what it has counted.

mod error;
mod places;
mod server;
mod watching;

pub use axum::Router;
pub use error::ServerError;
pub use server::{Listener, Server};
pub use watching::watching;
