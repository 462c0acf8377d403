//! What all pages have around them: the head of the document, the top bar, the side bar and the menus.

use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::icons::{brand, icon, sprite};
use crate::reader::{Reader, Theme};

/// What htmx may do: nothing that a strict policy of the browser forbids, and no folding of what a reader has opened.
const HTMX_CONFIG: &str = r#"{"morphIgnore":["open","data-htmx-powered"],"includeIndicatorCSS":false,"inlineStyleNonce":"","history":false}"#;

/// A place of the side bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The dashboard of a tenant.
    Dashboard,
    /// Its executions.
    Tracker,
    /// Its instances.
    Profiles,
    /// Its schedules.
    Schedules,
    /// Its connectors and components.
    Connectors,
    /// The workers and the queue.
    Workers,
    /// The audit trail.
    Audit,
    /// Users, members and their rights.
    Users,
    /// Tenants, their policies, and what they use.
    Tenants,
    /// The document of the API.
    Api,
    /// The codes of errors.
    Errors,
}

/// The person who is signed in, as pages show them.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// Their name.
    pub name: String,
    /// What they may do here, in words: `author`.
    pub role: String,
    /// Whether they may see the audit trail of the tenant.
    pub sees_audit: bool,
    /// Whether they may see the members of the tenant.
    pub sees_members: bool,
    /// Whether they operate the installation.
    pub is_operator: bool,
}

/// What all pages of a request have around them.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The path before all pages; empty, or `/jobs`.
    pub base: String,
    /// Who reads.
    pub reader: Reader,
    /// Who is signed in.
    pub viewer: Viewer,
    /// The tenant of the page; `None` for pages of the installation.
    pub tenant: Option<String>,
    /// The tenants that the viewer may enter.
    pub tenants: Vec<String>,
    /// Executions that are running.
    pub running: u64,
    /// Executions that wait for a worker.
    pub waiting: u64,
}

/// What a page says of itself.
#[derive(Debug, Default)]
pub struct Head {
    /// Where it is in the side bar.
    pub place: Option<Place>,
    /// Its title, without the name of the product.
    pub title: String,
    /// The places above it: a label and an address each.
    pub above: Vec<(String, String)>,
    /// The address of its event stream, if something in it moves.
    pub live: Option<String>,
}

impl Head {
    /// The head of a page at a place.
    pub fn new(place: Place, title: impl Into<String>) -> Self {
        Self { place: Some(place), title: title.into(), ..Self::default() }
    }

    /// The same below another page.
    #[must_use]
    pub fn below(mut self, label: impl Into<String>, address: impl Into<String>) -> Self {
        self.above.push((label.into(), address.into()));
        self
    }

    /// The same with an event stream.
    #[must_use]
    pub fn live(self, address: impl Into<String>) -> Self {
        Self { live: Some(address.into()), ..self }
    }
}

impl Frame {
    /// An address in the tenant of the page: `executions/41`. Parts that come from outside are encoded by [`part`].
    pub fn at(&self, path: &str) -> String {
        let tenant = self.tenant.as_deref().map(part).unwrap_or_default();
        match path {
            "" => format!("{}/tenants/{tenant}", self.base),
            _ => format!("{}/tenants/{tenant}/{path}", self.base),
        }
    }

    /// An address of the API in the tenant of the page.
    pub fn api(&self, path: &str) -> String {
        let tenant = self.tenant.as_deref().map(part).unwrap_or_default();
        format!("{}/api/v1/tenants/{tenant}/{path}", self.base)
    }

    /// An address of the installation.
    pub fn top(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// A whole page.
    pub fn page(&self, head: &Head, main: &Markup) -> Markup {
        document(
            &self.base,
            &self.reader,
            &head.title,
            &html! {
                a.skip href="#main" { "Skip to the content" }
                (sprite())
                div.app {
                    (self.top_bar(head))
                    (self.side(head))
                    main #main tabindex="-1" { (main) }
                }
                (self.menus())
                @if let Some(live) = &head.live {
                    div #live hidden hx-sse:connect=(live) hx-swap="none" {}
                    p.sr role="status" #said {}
                }
            },
        )
    }

    fn top_bar(&self, head: &Head) -> Markup {
        html! {
            header.top {
                button.icon-button.open-nav type="button" popovertarget="nav" aria-label="Menu" { (icon("i-menu")) }
                a.brand href=(self.home()) { (brand()) }
                nav.crumbs aria-label="Where this page is" {
                    ol {
                        @if let Some(tenant) = &self.tenant {
                            li { a href=(self.at("")) { (tenant) } }
                        }
                        @for (label, address) in &head.above {
                            li { a href=(address) { bdi { (label) } } }
                        }
                        li { span aria-current="page" { bdi { (head.title) } } }
                    }
                }
                @if self.tenant.is_some() {
                    form.find role="search" action=(self.at("find")) {
                        (icon("i-search"))
                        input type="search" name="q" aria-label="Find an execution, a profile or a step" placeholder="Find" autocomplete="off";
                        kbd aria-hidden="true" { "/" }
                    }
                }
                button.icon-button type="button" popovertarget="user" aria-label={ "You are " (self.viewer.name) ": theme, zone, sign out" } {
                    (icon("i-user"))
                }
            }
        }
    }

    /// Where the mark of the product leads.
    fn home(&self) -> String {
        if self.tenant.is_some() { self.at("") } else { self.top("") }
    }

    fn side(&self, head: &Head) -> Markup {
        let entry = |place: Place,
                     key: Option<&str>,
                     drawing: &'static str,
                     address: String,
                     label: &str,
                     count: Option<(u64, &str)>| {
            html! {
                li {
                    a href=(address) aria-current=[(head.place == Some(place)).then_some("page")] aria-keyshortcuts=[key] {
                        (icon(drawing)) (label)
                        @if let Some((count, what)) = count.filter(|(count, _)| *count > 0) {
                            span.count { (self.reader.number(count)) span.sr { " " (what) } }
                        }
                    }
                }
            }
        };
        html! {
            nav.side #nav popover aria-label="Pages" {
                a.brand href=(self.home()) { (brand()) }
                @if let Some(tenant) = &self.tenant {
                    button.button type="button" popovertarget="tenant" {
                        span.sr { "Tenant: " } (tenant) (icon("i-chevron"))
                    }
                    div {
                        ul {
                            (entry(Place::Dashboard, Some("g d"), "i-dashboard", self.at(""), "Dashboard", None))
                            (entry(Place::Tracker, Some("g p"), "i-tracker", self.at("executions"), "Process tracker", Some((self.running, "running"))))
                            (entry(Place::Profiles, Some("g j"), "i-profiles", self.at("instances"), "Job profiles", None))
                            (entry(Place::Schedules, Some("g c"), "i-schedules", self.at("schedules"), "Schedules", None))
                        }
                    }
                    div {
                        h2 { "Build" }
                        ul {
                            (entry(Place::Connectors, Some("g s"), "i-steps", self.at("connectors"), "Connectors and steps", None))
                        }
                    }
                    div {
                        h2 { "Operate" }
                        ul {
                            (entry(Place::Workers, Some("g w"), "i-workers", self.at("workers"), "Workers and queue", Some((self.waiting, "waiting"))))
                            @if self.viewer.sees_audit {
                                (entry(Place::Audit, Some("g a"), "i-audit", self.at("audit"), "Audit trail", None))
                            }
                            @if self.viewer.sees_members {
                                (entry(Place::Users, Some("g u"), "i-users", self.at("members"), "Users and rights", None))
                            }
                            @if self.viewer.is_operator {
                                (entry(Place::Tenants, None, "i-tenants", self.top("tenants"), "Tenants and policies", None))
                            }
                        }
                    }
                } @else {
                    div {
                        h2 { "Tenants" }
                        ul {
                            @for tenant in &self.tenants {
                                li { a href=(self.top(&format!("tenants/{}", part(tenant)))) { (icon("i-dashboard")) (tenant) } }
                            }
                        }
                    }
                    @if self.viewer.is_operator {
                        div {
                            h2 { "Installation" }
                            ul {
                                (entry(Place::Tenants, None, "i-tenants", self.top("tenants"), "Tenants and policies", None))
                                (entry(Place::Users, None, "i-users", self.top("users"), "Users", None))
                                (entry(Place::Audit, None, "i-audit", self.top("audit"), "Audit trail", None))
                            }
                        }
                    }
                }
                div {
                    h2 { "Reference" }
                    ul {
                        (entry(Place::Api, None, "i-api", self.top("reference"), "API", None))
                        (entry(Place::Errors, None, "i-errors", self.top("errors"), "Errors", None))
                    }
                }
                button.row type="button" popovertarget="keys" { (icon("i-key")) "Keys" kbd aria-hidden="true" { "?" } }
            }
        }
    }

    fn menus(&self) -> Markup {
        html! {
            @if self.tenant.is_some() {
                div.menu #tenant popover {
                    h2 { "Tenant" }
                    @for tenant in &self.tenants {
                        a.row href=(self.top(&format!("tenants/{}", part(tenant))))
                            aria-current=[(self.tenant.as_ref() == Some(tenant)).then_some("true")] { (tenant) }
                    }
                }
            }
            div.menu #user popover {
                h2 { bdi { (self.viewer.name) } @if !self.viewer.role.is_empty() { " · " (self.viewer.role) } }
                form method="post" action=(self.top("theme")) {
                    (theme_choice(self.reader.theme))
                    button.row { "Keep this theme" }
                }
                hr;
                a.row href=(self.top("account")) { "Password, sessions, tokens" }
                span.row.muted { "Times are shown in " (self.reader.zone_name()) }
                hr;
                form method="post" action=(self.top("sign-out")) { button.row { "Sign out" } }
            }
            div.center #keys popover {
                h2 { "Keys" }
                dl.keys {
                    dt { kbd { "/" } } dd { "Find, or filter this list" }
                    dt { kbd { "g" } " " kbd { "d" } } dd { "Dashboard" }
                    dt { kbd { "g" } " " kbd { "p" } } dd { "Process tracker" }
                    dt { kbd { "g" } " " kbd { "j" } } dd { "Job profiles" }
                    dt { kbd { "g" } " " kbd { "s" } } dd { "Connectors and steps" }
                    dt { kbd { "g" } " " kbd { "w" } } dd { "Workers and queue" }
                    dt { kbd { "r" } } dd { "Pause live updates, or go on with them" }
                    dt { kbd { "t" } } dd { "Light, dark, system" }
                    dt { kbd { "?" } } dd { "This list" }
                }
            }
        }
    }
}

/// The choice of a theme. The style sheet follows it at once.
fn theme_choice(theme: Theme) -> Markup {
    html! {
        fieldset.choice.row {
            legend.sr { "Theme" }
            @for (known, label) in Theme::ALL.into_iter().zip(["System", "Light", "Dark"]) {
                label {
                    input type="radio" name="theme" value=(known.as_str()) id={ "theme-" (known.as_str()) } checked[known == theme];
                    (label)
                }
            }
        }
    }
}

/// A page without bars, for people who are not signed in.
pub fn alone(base: &str, reader: &Reader, title: &str, main: &Markup) -> Markup {
    document(
        base,
        reader,
        title,
        &html! {
            (sprite())
            div.alone {
                main #main {
                    p.brand.big { (brand()) }
                    (main)
                }
            }
        },
    )
}

fn document(base: &str, reader: &Reader, title: &str, body: &Markup) -> Markup {
    let theme = Some(reader.theme.as_str()).filter(|_| reader.theme != Theme::System);
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX_CONFIG);
                title { (title) " · Stepbox" }
                link rel="icon" href=(assets::address(base, "favicon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address(base, "style.css"));
                @for script in ["htmx.js", "hx-sse.js", "stepbox.js"] {
                    script src=(assets::address(base, script)) defer {}
                }
            }
            body data-base=(base) { (body) }
        }
    }
}

/// A text as one part of a path, or as a value of a query.
pub fn part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => encoded.push(byte.into()),
            // A part that is `.` or `..` would be another path.
            b'.' if text.bytes().any(|byte| byte != b'.') => encoded.push('.'),
            _ => {
                encoded.push('%');
                encoded.extend(
                    [byte >> 4, byte & 15].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])),
                );
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_stays_one() {
        let rows = [
            ("my_export-1.v2", "my_export-1.v2"),
            ("a/b", "a%2Fb"),
            ("..", "%2E%2E"),
            ("\"><script>", "%22%3E%3Cscript%3E"),
            ("ä?#", "%C3%A4%3F%23"),
        ];
        for (text, expected) in rows {
            assert_eq!(part(text), expected);
        }
    }
}
