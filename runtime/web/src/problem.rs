//! A failure, in the words of the API and the command line: cause, help, documentation, and the number of the request.

use maud::{Markup, html};
use stepbox_api::problem::Problem;

use crate::frame::part;
use crate::prose::prose;

/// A failure in a page. `docs` is the address of the page of errors.
pub fn note(problem: &Problem, docs: &str) -> Markup {
    html! {
        section.note.fail aria-labelledby="failure" role="alert" {
            h2 #failure { (prose(&problem.detail)) }
            dl.problem {
                @if let Some(cause) = &problem.cause {
                    dt { "cause" } dd { (prose(cause)) }
                }
                @if let Some(help) = &problem.help {
                    dt { "help" } dd { (prose(help)) }
                }
                @for invalid in &problem.errors {
                    dt { code { (invalid.pointer) } } dd { (prose(&invalid.detail)) }
                }
                dt { "docs" } dd { a href={ (docs) "/" (part(&problem.code)) } { "errors#" (problem.code) } }
                dt { "code" } dd { code { (problem.code) } ", HTTP " (problem.status) }
                @if let Some(request) = &problem.request_id {
                    dt { "request" }
                    dd {
                        code { (request) } " "
                        button.link.needs-script type="button" data-copy=(request) { "Copy" span.sr { " the request's number" } }
                    }
                }
            }
        }
    }
}
