//! What the fuzz targets need of the inside: the checks of whatever a component is or returns, without a
//! component.

use http::Method;
use url::Url;

use crate::error::ComponentError;
use crate::grants::HttpGrant;
use crate::upload::{self, World};
pub use crate::v0_1::adapters::lies::{believed, set_aside};

/// All that [`crate::Sandbox::inspect`] checks before it compiles anything, and nothing that catches a
/// panic.
pub fn look(bytes: &[u8]) -> Result<World, ComponentError> {
    upload::look(bytes)
}

/// Whether a grant covers a request with GET.
pub fn permits(grant: &HttpGrant, url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| grant.permits(&Method::GET, &url))
}
