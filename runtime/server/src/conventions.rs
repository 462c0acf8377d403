//! What every route does alike: how requests are read, how answers and problems look, and what each answer carries.

pub(crate) mod answer;
pub(crate) mod asking;
pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod describing;
pub(crate) mod download;
pub(crate) mod failure;
pub(crate) mod form_data;
pub(crate) mod input;
pub(crate) mod limits;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod pending;
pub(crate) mod request_log;
pub(crate) mod spooled;
pub(crate) mod wrapping;
