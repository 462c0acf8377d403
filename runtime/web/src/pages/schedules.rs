//! The place of schedules, of which this version has none.

use maud::{Markup, html};

use crate::blocks::head;
use crate::frame::Frame;

/// What to do without schedules.
pub fn none(frame: &Frame) -> Markup {
    let tenant = frame.tenant.as_deref().unwrap_or("TENANT");
    let lead =
        html! { "This version of Stepbox starts nothing by the clock. The scheduler of your machine can." };
    html! {
        (head(&html! { "Schedules" }, &lead, &html! {}))
        section aria-labelledby="cron" {
            div.section-head { h2 #cron { "Run a job profile from cron" } }
            p.prose {
                "This line puts the profile " code { "my_export" } " into the queue each night at 02:30. A worker takes it from "
                "there, and it appears in the " a href=(frame.at("executions")) { "process tracker" } " like every other execution."
            }
            pre.shell tabindex="0" aria-label="A line of a crontab" {
                "30 2 * * * stepbox publish --tenant " (tenant) " --unique my_export"
            }
            p.prose {
                code { "--unique" } " puts nothing into the queue while an equal execution has not ended. Another machine sends the "
                "same with a " a href=(frame.top("account")) { "token" } ":"
            }
            pre.shell tabindex="0" aria-label="A request to the API" {
                "curl --fail -X POST -H \"Authorization: Bearer $STEPBOX_TOKEN\" \\\n"
                "  -H \"Content-Type: application/json\" --data '{}' \\\n"
                "  https://HOST" (frame.api("instances/my_export/launch"))
            }
        }
    }
}
