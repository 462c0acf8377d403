//! The suite that every store passes.

use super::empty_store;

crate::conformance!(empty_store);
