//! Addresses, names and TLS for everything in Stepbox that leaves the machine: requests of components, buckets, and
//! later databases and notifications.
//!
//! - [`AddressKind`] says what an address stands for, and [`NetworkPolicy`] which kinds may be dialled.
//! - A [`Resolver`] finds the addresses of a name. [`VettedResolver`] takes out those that the policy refuses, so that
//!   exactly the rest is dialled.
//! - [`HostPattern`] is a host, or every name below one, as grants and policies name them.
//! - [`http`] has the one client and the one set of certificates. Proxies, redirects, cookies and decompression are
//!   absent from it, not switched off.
//!
//! ```
//! use stepbox_net::NetworkPolicy;
//!
//! let closed = NetworkPolicy::default();
//! assert!(closed.refuses("93.184.216.34".parse()?).is_none());
//! assert_eq!(closed.refuses("169.254.169.254".parse()?).unwrap().to_string(), "a cloud metadata address");
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! There is no grant, secret, component or bucket in here, and no default that opens an address that is not public.

mod address;
mod host_pattern;
pub mod http;
mod policy;
mod resolver;

pub use address::AddressKind;
pub use host_pattern::{HostPattern, without_root};
pub use policy::{NetworkPolicy, closed};
pub use resolver::{NoAddress, Resolver, SystemResolver, VettedResolver};
