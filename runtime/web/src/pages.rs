//! The pages, one file for each noun.

pub mod account;
pub mod audit;
pub mod components;
pub mod connectors;
pub mod dashboard;
pub mod errors;
pub mod execution;
pub mod failed;
pub mod find;
pub mod home;
pub mod members;
pub mod profiles;
pub mod reference;
pub mod schedules;
pub mod sign_in;
pub mod tenants;
pub mod tracker;
pub mod users;
pub mod workers;
