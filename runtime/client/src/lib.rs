//! The Rust client of the HTTP API of Stepbox.
//!
//! A [`Client`] speaks to one server. [`Client::tenant`] gives a [`Tenant`], whose methods have the names of those of
//! the embedded runtime: what works with an installation in the same process works with one elsewhere. All answers are
//! types of [`stepbox_api`].
//!
//! ```
//! use stepbox_client::api::execution::Status;
//! use stepbox_client::{Client, ExecutionFilter, Token};
//!
//! # mod server { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/example_server.rs")); }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let address = server::start().await;
//! # let token = "sbx_example";
//! let client = Client::builder(&address).token(Token::new(token)?).build()?;
//! let acme = client.tenant("acme");
//!
//! // The last failed executions, page by page.
//! let filter = ExecutionFilter { status: Some(Status::Failed), ..ExecutionFilter::default() };
//! let mut failed = acme.executions(&filter);
//! while let Some(row) = failed.next().await? {
//!     if let Some(execution) = row.whole() {
//!         println!("{} of {} has failed", execution.id, execution.instance);
//!     }
//! }
//!
//! // An error says what happened, and what to do about it.
//! let error = acme.instance("my_exprot").await.unwrap_err();
//! assert_eq!(error.code(), "not-found");
//! assert_eq!(error.help(), Some("did you mean `my_export`?"));
//! # Ok(())
//! # }
//! ```
//!
//! # What the client promises
//!
//! - The token is in the header `Authorization` and nowhere else. It goes to the server of the address alone: the
//!   client follows no redirect. Without TLS it goes to this machine alone, unless
//!   [`ClientBuilder::allow_plain_http`] says otherwise.
//! - TLS is rustls with ring and the certificates of the machine. There is no second implementation.
//! - A request that is safe to repeat is sent up to four times, if the server cannot be reached, asks for a pause or is
//!   not available. A launch is safe to repeat, because it has a key by which the server knows it again.
//! - No answer of a server can take up all memory or wait for ever. An answer that is cut off is an error.
//! - A file is sent and received piece by piece, whatever its size.

mod accounts;
mod address;
mod answer;
mod ask;
mod client;
mod error;
mod events;
mod origin;
mod outgoing;
mod package;
mod pages;
mod retry;
mod session;
mod tenant;
mod token;
mod transport;

pub use stepbox_api as api;

pub use answer::Download;
pub use client::{Client, ClientBuilder};
pub use error::ClientError;
pub use events::{Event, Events, ExecutionEvent, ExecutionEvents};
pub use outgoing::{Outgoing, SentListener};
pub use package::pack_folder;
pub use pages::Pages;
pub use session::Session;
pub use tenant::{AuditFilter, ComponentSource, ExecutionFilter, Tenant, Versioned};
pub use token::Token;
