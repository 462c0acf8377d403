//! The first page.

use maud::{Markup, html};

use crate::frame::{Frame, part};
use crate::list::none;

/// The tenants that the reader may enter.
pub fn tenants(frame: &Frame) -> Markup {
    html! {
        header.page-head { div { h1 { "Tenants" } } }
        @if frame.tenants.is_empty() {
            (none("You are a member of no tenant yet. An administrator can make you one."))
        } @else {
            ul.list {
                @for tenant in &frame.tenants {
                    li { a href=(frame.top(&format!("tenants/{}", part(tenant)))) { (tenant) } }
                }
            }
        }
    }
}

/// The dashboard of a tenant.
pub fn dashboard(frame: &Frame) -> Markup {
    html! {
        header.page-head { div { h1 { "Dashboard" } } }
        p { (frame.reader.number(frame.running)) " running, " (frame.reader.number(frame.waiting)) " waiting" }
    }
}
