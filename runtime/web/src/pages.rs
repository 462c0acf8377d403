//! The pages, one file for each noun.

pub mod failed;
pub mod home;
pub mod profiles;
pub mod sign_in;
