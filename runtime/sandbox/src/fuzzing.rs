//! Internals for the fuzz targets: the checks of components and of the values that they return, without
//! running a component.

use http::Method;
use url::Url;

use crate::error::ComponentError;
use crate::grants::HttpGrant;
use crate::upload::{self, World};
pub use crate::v0_1::adapters::lies::{believed, set_aside};

/// Runs all checks that [`crate::Sandbox::inspect`] makes before it compiles, without its protection against
/// panics.
pub fn look(bytes: &[u8]) -> Result<World, ComponentError> {
    upload::look(bytes)
}

/// Whether a grant covers a request with GET.
pub fn permits(grant: &HttpGrant, url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| grant.permits(&Method::GET, &url))
}
