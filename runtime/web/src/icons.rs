//! Icons: small drawings beside words, which say the same. `i-…` are for actions and places, `s-…` for statuses.

use maud::{Markup, PreEscaped, html};

/// The drawings, each once in a page.
const SPRITE: &str = include_str!("../assets/icons.svg");

/// All drawings, for the beginning of a page.
pub(crate) fn sprite() -> Markup {
    PreEscaped(SPRITE.to_owned())
}

/// An icon for the eye alone. `name` is one of ours, never a text from outside.
pub fn icon(name: &'static str) -> Markup {
    html! { svg.i aria-hidden="true" { use href={ "#" (name) } {} } }
}

/// The mark of the product with its name.
pub(crate) fn brand() -> Markup {
    html! {
        svg viewBox="0 0 24 24" aria-hidden="true" {
            path d="M3.5 16.5H9v-4.5h5.5V7.5h6V18a2.5 2.5 0 0 1-2.5 2.5H6A2.5 2.5 0 0 1 3.5 18z" fill="currentColor" {}
            rect x="3.5" y="3.5" width="17" height="17" rx="2.5" fill="none" stroke="currentColor" stroke-width="1.75" {}
        }
        span { "Stepbox" }
    }
}
