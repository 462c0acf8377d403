//! The pages, one file for each noun.

pub mod failed;
pub mod find;
pub mod home;
pub mod sign_in;
pub mod tracker;
