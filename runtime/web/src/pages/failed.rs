//! A page that says why a request failed.

use maud::{Markup, html};
use stepbox_api::problem::Problem;

use crate::frame::alone;
use crate::problem::note;
use crate::reader::Reader;

/// The page of a problem.
pub fn failed(base: &str, reader: &Reader, problem: &Problem) -> Markup {
    alone(
        base,
        reader,
        &problem.title,
        &html! {
            h1 { (problem.title) }
            (note(problem, &format!("{base}/errors")))
            p.actions { a.button href={ (base) "/" } { "To the first page" } }
        },
    )
}
