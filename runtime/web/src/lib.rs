//! The pages of the web UI: what an installation answers, as HTML.
//!
//! Each page is a function from what is shown to markup. There is no request, no store and no right here: a server looks
//! up what a reader may see, and gives it to the page. [`Frame`] is what all pages have around them; [`Reader`] is how
//! numbers and times are written for the person who reads.

pub mod assets;
pub mod form;
pub mod frame;
pub mod icons;
pub mod list;
pub mod pages;
pub mod problem;
mod prose;
pub mod reader;
pub mod status;

pub use frame::{Frame, Head, Place};
pub use maud::Markup;
pub use reader::{Reader, Theme};
