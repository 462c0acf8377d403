//! What pages ask of a way in: who came, and where they are.

use stepbox::Tenant;
use stepbox::batch::access::Principal;

use super::doors::Doors;

/// A way into a page, after it was opened.
pub(crate) trait Opened {
    fn principal(&self) -> &Principal;
    /// The tenant of the page; `None` for pages of the installation.
    fn tenant(&self) -> Option<&Tenant>;
    fn doors(&self) -> &Doors;
}
