//! Sentences of ours and of connectors: plain text, in which a part between backticks is code.

use maud::{Markup, html};
use stepbox_batch::visible::on_one_line;

/// A sentence.
pub(crate) fn prose(text: &str) -> Markup {
    let parts: Vec<_> = text.split('`').collect();
    // A backtick without another one is a backtick.
    let is_paired = parts.len() % 2 == 1;
    html! {
        bdi {
            @if is_paired {
                @for (place, part) in parts.iter().enumerate() {
                    @if place % 2 == 1 { code { (on_one_line(part)) } } @else { (on_one_line(part)) }
                }
            } @else {
                (on_one_line(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stands_between_backticks() {
        let rows = [
            ("plain", "<bdi>plain</bdi>"),
            ("as `none` or `|`.", "<bdi>as <code>none</code> or <code>|</code>.</bdi>"),
            ("one ` alone", "<bdi>one ` alone</bdi>"),
            ("`<b>`", "<bdi><code>&lt;b&gt;</code></bdi>"),
        ];
        for (text, expected) in rows {
            assert_eq!(prose(text).into_string(), expected);
        }
        assert!(!prose("\u{1b}[31m`\u{202e}`").into_string().contains(['\u{1b}', '\u{202e}']));
    }
}
