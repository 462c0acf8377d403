//! What a reader looks for, by its beginning or a part of its name.

use maud::{Markup, html};
use stepbox_api::execution::Execution;
use stepbox_batch::visible::on_one_line;

use super::tracker::address;
use crate::frame::{Frame, part};
use crate::list::none;
use crate::status::status;

/// What was found. Each list has a bound, and says whether there is more.
#[derive(Debug, Default)]
pub struct Found {
    /// The code and the label of job profiles.
    pub profiles: Vec<(String, String)>,
    /// Whether more profiles match.
    pub has_more_profiles: bool,
    /// Executions of such profiles, newest first.
    pub executions: Vec<Execution>,
    /// Whether older executions match.
    pub has_more_executions: bool,
    /// The name, the version and the digest of components.
    pub steps: Vec<(String, String, String)>,
    /// Whether more components match.
    pub has_more_steps: bool,
}

/// The page.
pub fn page(frame: &Frame, text: &str, found: &Found) -> Markup {
    let Found { profiles, executions, steps, .. } = found;
    let more = |has_more: bool| html! { @if has_more { p.muted { "There are more." } } };
    // In quotes, so that the text is no qualifier there.
    let filter = format!("\"{}\"", text.replace('"', " "));
    html! {
        header.page-head { div { h1 { "Found for “" bdi { (on_one_line(text)) } "”" } } }
        @if profiles.is_empty() && executions.is_empty() && steps.is_empty() {
            @if text.is_empty() {
                (none("Type the number of an execution, or a part of the name of a profile or a step."))
            } @else {
                (none("Nothing has this number, or this text in its name."))
            }
        }
        @if !profiles.is_empty() {
            section aria-labelledby="profiles" {
                div.section-head { h2 #profiles { "Job profiles" } }
                ul.list {
                    @for (code, label) in profiles {
                        li {
                            a href=(frame.at(&format!("instances/{}", part(code)))) { bdi { (on_one_line(label)) } }
                            " " span.muted { (code) }
                        }
                    }
                }
                (more(found.has_more_profiles))
            }
        }
        @if !executions.is_empty() {
            section aria-labelledby="executions" {
                div.section-head {
                    h2 #executions { "Executions" }
                    @if found.has_more_executions { a href=(address(frame, &filter)) { "All in the process tracker" } }
                }
                ul.list {
                    @for execution in executions {
                        li {
                            a href=(frame.at(&format!("executions/{}", execution.id))) { (execution.id) " " bdi { (execution.instance) } }
                            " " (status(execution.status.as_str())) " " (frame.reader.moment(&execution.created_at))
                        }
                    }
                }
            }
        }
        @if !steps.is_empty() {
            section aria-labelledby="steps" {
                div.section-head { h2 #steps { "Steps" } }
                ul.list {
                    @for (name, version, digest) in steps {
                        li {
                            a href=(frame.at(&format!("steps/{}", part(digest)))) { bdi { (on_one_line(name)) } }
                            " " span.muted { (on_one_line(version)) }
                        }
                    }
                }
                (more(found.has_more_steps))
            }
        }
    }
}
