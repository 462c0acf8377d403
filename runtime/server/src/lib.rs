//! The HTTP pages of Stepbox. The crate prints nothing and knows no more of Stepbox than an embedder does.
//!
//! [`Listener`] takes an address. [`Server`] serves the pages of a [`Router`] there, with limits for every client.
//! [`watching`] is the router for a worker: its health and its metrics.

mod connection_slots;
mod error;
mod server;
mod watching;

pub use axum::Router;
pub use error::ServerError;
pub use server::{Listener, Server};
pub use watching::watching;
