//! For tests of stores, and for tests of programs that use a store.
//!
//! - [`conformance`] is the suite that every store passes: a function for each behaviour that the ports in
//!   [`stepbox_batch::ports`] promise, including the events of executions and the audit trail, and a model that
//!   explores histories of executions, lost workers and parts.
//! - [`faulty`] is a store that fails on purpose, the same way for the same seed.
//! - [`interposed`] is a store with a listener before it, which gets each call and may refuse it.
//! - [`cost`] measures what the lives of executions cost, to compare two versions of a store.
//! - [`sample`] has the test data of the suite: one job, one instance, executions in any status.
//!
//! # A store of your own
//!
//! 1. Implement the traits in [`stepbox_batch::ports`]. The blanket implementation then makes your store a
//!    [`JobRepository`](stepbox_batch::ports::JobRepository). Call the functions in [`stepbox_batch::execution`] for
//!    decisions (`standing`, `rescue`, `fairness`, `event`): they are the same for every store.
//! 2. In the tests of your crate, add `stepbox-store-testing`, and `tokio` with the features `macros` and `rt`.
//! 3. Write an async function that returns an empty store, and pass its name to the macro:
//!
//! ```
//! # use stepbox_store_testing as _;
//! # mod my_crate {
//! # #[cfg(any())]
//! mod tests {
//!     async fn empty_store() -> impl std::ops::Deref<Target = MyStore> {
//!         Box::new(MyStore::in_memory())
//!     }
//!
//!     stepbox_store_testing::conformance!(empty_store);
//! }
//! # }
//! ```
//!
//! The macro makes a `#[tokio::test]` of each behaviour. The returned value may own more than the store, such as a
//! temporary folder or a schema to drop. The suite does not sleep; its moments come from the suite, not from a
//! clock.

pub mod conformance;
pub mod cost;
pub mod faulty;
pub mod interposed;
pub mod sample;
