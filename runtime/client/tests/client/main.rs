//! The client with servers that answer well, badly, twice or not at all.

mod answers;
mod events;
mod files;
mod repeated;
mod server;
mod tokens;
