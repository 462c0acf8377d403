//! The history of a job profile: what each change has changed.

use maud::{Markup, html};
use serde_json::Value;
use stepbox_api::instance::InstanceVersion;
use stepbox_batch::visible::on_one_line;

use crate::frame::Frame;

/// The names of what a version has changed, in one line.
pub(super) fn changed_names(version: &InstanceVersion, before: Option<&InstanceVersion>) -> Markup {
    let Some(before) = before else { return html! { "created" } };
    let names: Vec<_> = changes(before, version).into_iter().map(|(name, ..)| name).collect();
    html! { @if names.is_empty() { "saved" } @else { bdi { (names.join(", ")) } } }
}

/// What differs: the name of a parameter or `label`, and its text before and after.
fn changes(
    before: &InstanceVersion,
    after: &InstanceVersion,
) -> Vec<(String, Option<String>, Option<String>)> {
    let (old, new) = (&before.instance, &after.instance);
    let mut changes = Vec::new();
    if old.label != new.label {
        changes.push(("label".to_owned(), Some(old.label.clone()), Some(new.label.clone())));
    }
    let (old, new) = (old.raw_parameters.as_object(), new.raw_parameters.as_object());
    let names = old.into_iter().flatten().map(|(name, _)| name);
    let added = new.into_iter().flatten().map(|(name, _)| name);
    let added = added.filter(|name| old.is_none_or(|old| !old.contains_key(*name)));
    let text = |value: Option<&Value>| value.map(crate::form::value_text);
    for name in names.chain(added) {
        let (old, new) = (old.and_then(|old| old.get(name)), new.and_then(|new| new.get(name)));
        if old != new {
            changes.push((name.clone(), text(old), text(new)));
        }
    }
    changes
}

/// The history of a profile. `versions` are newest first.
pub fn history(frame: &Frame, versions: &[InstanceVersion]) -> Markup {
    html! {
        header.page-head { div { h1 { "History" } p.lead { "Each change of the profile, newest first." } } }
        ol.list.versions {
            @for (place, version) in versions.iter().enumerate() {
                li {
                    section aria-labelledby={ "v" (version.instance.version) } {
                        div.section-head {
                            h2 id={ "v" (version.instance.version) } { "Version " (version.instance.version) }
                            span.muted {
                                @if let Some(user) = &version.user { bdi { (user) } ", " }
                                (frame.reader.moment(&version.instance.updated_at))
                            }
                        }
                        @match versions.get(place + 1) {
                            None => p { "The oldest version that is kept." },
                            Some(before) => (differences(before, version)),
                        }
                    }
                }
            }
        }
    }
}

fn differences(before: &InstanceVersion, after: &InstanceVersion) -> Markup {
    let changes = changes(before, after);
    let text = |text: &Option<String>| match text {
        Some(text) => html! { code { (on_one_line(text)) } },
        None => html! { span.muted { "not set" } },
    };
    html! {
        @if changes.is_empty() { p.muted { "Saved without a change that you may see." } } @else {
            div.table {
                table.stack {
                    thead { tr { th scope="col" { "Value" } th scope="col" { "Before" } th scope="col" { "After" } } }
                    tbody {
                        @for (name, old, new) in &changes {
                            tr {
                                th.title scope="row" { bdi { (name) } }
                                td.wide data-label="Before" { (text(old)) }
                                td.wide data-label="After" { (text(new)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
