//! Addresses, names and TLS for all of Stepbox's connections to other machines: requests of components, buckets, and
//! later databases and notifications.
//!
//! - [`AddressKind`] is the kind of an address, and [`NetworkPolicy`] says which kinds may be dialled.
//! - A [`Resolver`] finds the addresses of a name. [`VettedResolver`] removes the addresses that the policy refuses.
//!   Only the others are dialled.
//! - [`HostPattern`] is a host, or all names below one name, as in grants and policies.
//! - [`http`] has the only client and the only set of certificates. It contains no proxies, redirects, cookies or
//!   decompression: they are absent, not switched off.
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
//! This crate has no grants, secrets, components or buckets. No default opens an address that is not public.

mod address;
mod host_pattern;
pub mod http;
mod policy;
mod resolver;

pub use address::AddressKind;
pub use host_pattern::{HostPattern, without_root};
pub use policy::{NetworkPolicy, closed};
pub use resolver::{NoAddress, Resolver, SystemResolver, VettedResolver};
