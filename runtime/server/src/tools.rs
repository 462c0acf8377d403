//! What routes use besides things: limits, streams, and where bodies are kept while they arrive.

use std::path::PathBuf;

use crate::conventions::limits::Limiters;
use crate::conventions::metrics::HttpMeters;
use crate::streams::broadcaster::Broadcaster;

/// What routes use besides things.
pub(crate) struct Tools {
    /// The folder for large bodies while they arrive.
    pub(crate) spool: PathBuf,
    pub(crate) limits: Limiters,
    pub(crate) meters: HttpMeters,
    pub(crate) streams: Broadcaster,
    /// The path of the interface: `/api/v1`, with what an embedder or a proxy has before it.
    pub(crate) base: String,
    /// The document of the interface, and a page of it.
    pub(crate) document: String,
    pub(crate) reference: String,
}

impl Tools {
    /// The path before all pages and before the interface; may be empty.
    pub(crate) fn base_path(&self) -> &str {
        self.base.strip_suffix("/api/v1").unwrap_or_default()
    }
}
