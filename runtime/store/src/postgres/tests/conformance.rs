//! The suite that every store passes.

use super::empty_store;

stepbox_store_testing::conformance!(empty_store);
