//! WASI 0.2, for ordinary libraries: the same grants and limits behind the second door.

pub(crate) mod files;
pub(crate) mod http;
mod metered;
