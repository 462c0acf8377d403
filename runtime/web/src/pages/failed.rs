//! A page that says why a request failed.

use maud::{Markup, html};
use stepbox_api::problem::Problem;

use crate::frame::{Frame, Head, alone};
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

/// The same inside the frame, for somebody who is signed in.
pub fn failed_within(frame: &Frame, problem: &Problem) -> Markup {
    let back = if frame.tenant.is_some() { frame.at("") } else { frame.top("") };
    let head = Head { title: problem.title.clone(), ..Head::default() };
    frame.page(
        &head,
        &html! {
            header.page-head { div { h1 { (problem.title) } } }
            (note(problem, &format!("{}/errors", frame.base)))
            div.actions { a.button.primary href=(back) { "To the first page" } }
        },
    )
}
