//! The log of an execution: its last lines in the page of the execution, all of it on a page of its own.

use maud::{Markup, html};
use stepbox_api::execution::{Execution, LogLine};
use stepbox_batch::visible::on_one_line;

use super::{Shown, text};
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::list::none;
use crate::reader::Reader;
use crate::status::{favicon, pill, word};

/// The levels of messages, each with what its choice shows.
const LEVELS: [(&str, &str); 4] = [
    ("", "All levels"),
    ("info", "Without details"),
    ("warning", "Warnings and errors"),
    ("error", "Errors"),
];

/// A line of a log with its number.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// The line.
    pub line: LogLine,
}

/// Which lines of a log are shown.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The level, in the word of the interface; empty for all.
    pub level: String,
    /// The step; empty for all.
    pub step: String,
    /// The text; empty for all.
    pub search: String,
}

impl Filter {
    /// As a query, with another field behind it.
    pub fn query(&self, more: &str) -> String {
        let Self { level, step, search } = self;
        let fields = [("level", level), ("step", step), ("search", search)].into_iter();
        let set = fields.filter(|(_, value)| !value.is_empty());
        let mut parts: Vec<_> = set.map(|(name, value)| format!("{name}={}", part(value))).collect();
        parts.extend(Some(more.to_owned()).filter(|more| !more.is_empty()));
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    fn is_empty(&self) -> bool {
        self.level.is_empty() && self.step.is_empty() && self.search.is_empty()
    }
}

/// The page of a log.
#[derive(Debug, Clone)]
pub struct Log {
    /// The execution.
    pub execution: Execution,
    /// The names of its steps.
    pub steps: Vec<String>,
    /// Which lines are shown.
    pub filter: Filter,
    /// The lines.
    pub lines: Vec<Line>,
    /// Whether there are earlier lines that fit the filter.
    pub has_earlier: bool,
    /// Whether there are later ones than these.
    pub has_later: bool,
    /// The line that the reader wants to see.
    pub line: Option<u64>,
}

/// A line. What was searched for is marked.
fn line(reader: &Reader, shown: &Line, search: &str, is_wanted: bool) -> Markup {
    let Line { number, line } = shown;
    let id = format!("L{number}");
    let level = LEVELS.iter().map(|(level, _)| *level).chain(["debug"]).find(|level| *level == line.level);
    html! {
        p id=(id) data-level=(level.unwrap_or_default()) class=[is_wanted.then_some("hit")] {
            a href={ "#" (id) } { (number) }
            time datetime=(line.at) title=(exactly(reader, &line.at)) { (clock(reader, &line.at)) }
            b { (level.unwrap_or("?")) }
            i { @if let Some(step) = &line.step { (text(step)) } }
            span { (marked(&line.message, search)) }
        }
    }
}

/// The time of a line in the reader's zone: `14:31:44.870`.
fn clock(reader: &Reader, at: &str) -> String {
    let at: Result<jiff::Timestamp, _> = at.parse();
    at.map_or_else(
        |_| String::new(),
        |at| at.to_zoned_datetime(reader.zone.clone()).strftime("%H:%M:%S%.3f").to_string(),
    )
}

fn exactly(reader: &Reader, at: &str) -> String {
    at.parse().map_or_else(|_| String::new(), |at| reader.exactly(at))
}

/// A message, line by line, with its control characters as escapes and what was searched for marked.
fn marked(message: &str, search: &str) -> Markup {
    html! {
        bdi {
            @for (place, one) in message.split('\n').enumerate() {
                @if place > 0 { "\n" }
                @for (is_hit, piece) in pieces(one, search) {
                    @if is_hit { mark { (on_one_line(piece)) } } @else { (on_one_line(piece)) }
                }
            }
        }
    }
}

/// A text in pieces, of which every second one is what was searched for, whatever the size of the letters of ASCII.
fn pieces<'a>(text: &'a str, search: &str) -> Vec<(bool, &'a str)> {
    let mut pieces = Vec::new();
    let (mut rest, length) = (text, search.len());
    let place = |rest: &str| {
        let mut places = rest.char_indices().map(|(place, _)| place);
        places.find(|place| {
            rest.get(*place..*place + length).is_some_and(|here| here.eq_ignore_ascii_case(search))
        })
    };
    while let Some(at) = Some(()).filter(|()| length > 0).and_then(|()| place(rest)) {
        let (before, behind) = rest.split_at(at);
        let (hit, behind) = behind.split_at(length);
        pieces.extend([(false, before), (true, hit)]);
        rest = behind;
    }
    pieces.push((false, rest));
    pieces.retain(|(_, piece)| !piece.is_empty());
    pieces
}

/// Whether the numbers of lines need more room than usual.
fn digits(lines: &[Line]) -> Option<&'static str> {
    lines.last().filter(|line| line.number >= 10_000).map(|_| "many")
}

/// Lines for the end of the log, as the stream adds them.
pub fn added(reader: &Reader, lines: &[Line], search: &str) -> Markup {
    html! { @for one in lines { (line(reader, one, search, false)) } }
}

/// The last lines, in the page of the execution.
pub(super) fn section(frame: &Frame, shown: &Shown) -> Markup {
    let at = shown.at(frame, "/log");
    html! {
        section aria-labelledby="log-head" {
            div.section-head {
                h2 #log-head { "Log" }
                a href=(at) {
                    @match shown.log_lines {
                        0 => "The log",
                        lines => { "All " (frame.reader.number(lines)) " lines" },
                    }
                }
                @if shown.is_live() {
                    button.button.small.needs-script type="button" data-follow aria-pressed="true" { "Follow" }
                }
            }
            @if shown.log.is_empty() && !shown.is_live() {
                (none("Nothing was logged."))
            } @else {
                div.log #log tabindex="0" role="group" aria-label="The last lines of the log" data-digits=[digits(&shown.log)] data-append data-last {
                    (added(&frame.reader, &shown.log, ""))
                }
            }
        }
    }
}

/// The status of the execution in the page of its log, as a part that moves.
pub fn status(base: &str, shown: &Execution) -> Markup {
    let (word, icon) = (word(shown.status.as_str()), favicon(base, shown.status.as_str()));
    let title = format!("{word} · log of {} {} · Stepbox", shown.id, on_one_line(&shown.instance));
    html! {
        span #status data-title=(title) data-said={ (word) "." } data-icon=(icon) { (pill(shown.status.as_str())) }
    }
}

/// The page of a log.
pub fn page(frame: &Frame, shown: &Log) -> Markup {
    let at = frame.at(&format!("executions/{}/log", shown.execution.id));
    let (filter, reader) = (&shown.filter, &frame.reader);
    let is_live = !shown.execution.status.has_ended() && !shown.has_later;
    html! {
        header.page-head {
            div {
                h1 { "Log " (status(&frame.base, &shown.execution)) }
                p.lead { span { "Execution " (shown.execution.id) " of " (text(&shown.execution.instance)) } }
            }
            div.actions {
                @if is_live {
                    button.button.needs-script type="button" data-live-switch aria-pressed="true" aria-keyshortcuts="r" { (icon("i-live")) "Live" }
                    button.button.needs-script type="button" data-follow aria-pressed="true" { "Follow" }
                }
            }
        }
        (bar(&at, shown))
        @if shown.lines.is_empty() {
            @if filter.is_empty() { (none("Nothing is logged yet.")) }
            @else { (none("No line of the log fits.")) }
        }
        div.log.whole #log tabindex="0" role="group" aria-label="Lines of the log" data-digits=[digits(&shown.lines)] data-append data-last {
            @if let (true, Some(first)) = (shown.has_earlier, shown.lines.first()) {
                p.more-lines {
                    a.more href=(format!("{at}{}", filter.query(&format!("before={}", first.number)))) { "Load earlier lines" }
                }
            }
            @for one in &shown.lines { (line(reader, one, &filter.search, shown.line == Some(one.number))) }
        }
        @if shown.has_later {
            p.pager {
                span {
                    @if let (Some(first), Some(last)) = (shown.lines.first(), shown.lines.last()) {
                        "Lines " (reader.number(first.number)) " to " (reader.number(last.number))
                    }
                }
                a.button.small href=(format!("{at}{}", filter.query(""))) { "To the last lines" }
            }
        }
    }
}

fn bar(at: &str, shown: &Log) -> Markup {
    let Filter { level, step, search } = &shown.filter;
    let steps =
        [("", "All steps")].into_iter().chain(shown.steps.iter().map(|step| (step.as_str(), step.as_str())));
    html! {
        search aria-label="Log" {
            form.bar action=(at) {
                div.filter.grow {
                    (icon("i-search"))
                    input type="search" name="search" value=(search) aria-label="Search the whole log" placeholder="Search the whole log" autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
                }
                select name="level" aria-label="Level" {
                    @for (known, label) in LEVELS { option value=(known) selected[known == level] { (label) } }
                }
                select name="step" aria-label="Step" {
                    @for (known, label) in steps { option value=(known) selected[known == step] { (on_one_line(label)) } }
                }
                button.button { "Search" }
                @if !shown.filter.is_empty() {
                    a.button href=(format!("{at}/text{}", shown.filter.query(""))) { (icon("i-download")) "These lines" }
                }
                a.button href={ (at) "/text" } { (icon("i-download")) "All lines" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_searched_for_is_marked() {
        let rows = [
            ("a Row and a row", "row", "a [Row] and a [row]"),
            ("rowrow", "ROW", "[row][row]"),
            ("über Ü", "ü", "[ü]ber Ü"),
            ("nothing", "row", "nothing"),
            ("nothing", "", "nothing"),
            ("", "row", ""),
        ];
        for (text, search, expected) in rows {
            let shown: String = pieces(text, search)
                .into_iter()
                .map(|(is_hit, piece)| if is_hit { format!("[{piece}]") } else { piece.to_owned() })
                .collect();
            assert_eq!(shown, expected, "{search} in {text}");
        }
    }

    #[test]
    fn a_message_is_text_whatever_it_is() {
        let shown = marked("<b>\u{1b}[31m</span>\nnext\r", "31").into_string();
        assert_eq!(shown, "<bdi>&lt;b&gt;\\u{1b}[<mark>31</mark>m&lt;/span&gt;\nnext\\r</bdi>");
    }
}
