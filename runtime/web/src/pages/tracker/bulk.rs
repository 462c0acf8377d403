//! The same for many executions: asked before, and told afterwards for each.

use maud::{Markup, html};
use stepbox_api::bulk::{BulkAction, BulkOutcome};
use stepbox_api::problem::Problem;
use stepbox_batch::visible::on_one_line;

use super::address;
use crate::frame::{Frame, part};
use crate::icons::icon;
use crate::problem::note;

/// What can be done to many executions.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    /// The action itself.
    pub action: BulkAction,
    /// Its word in forms, as in the interface.
    pub word: &'static str,
    /// Its word on buttons.
    pub label: &'static str,
    /// What was done: `stopped`.
    done: &'static str,
    /// What it means.
    meaning: &'static str,
    pub(super) icon: &'static str,
}

/// All actions, in the order of the buttons.
pub const ACTIONS: [Action; 5] = [
    Action {
        action: BulkAction::Stop,
        word: "stop",
        label: "Stop",
        done: "asked to stop",
        meaning: "Each is asked to stop at its next checkpoint. It can be restarted from there.",
        icon: "i-stop",
    },
    Action {
        action: BulkAction::Pause,
        word: "pause",
        label: "Pause",
        done: "asked to pause",
        meaning: "Each is asked to pause at its next checkpoint, until it is resumed.",
        icon: "s-paused",
    },
    Action {
        action: BulkAction::Resume,
        word: "resume",
        label: "Resume",
        done: "waits for a worker",
        meaning: "Each that is paused waits for a worker again.",
        icon: "s-started",
    },
    Action {
        action: BulkAction::Restart,
        word: "restart",
        label: "Restart",
        done: "restarted",
        meaning: "Each that was stopped or has failed is continued from its checkpoint, as a new execution.",
        icon: "i-restart",
    },
    Action {
        action: BulkAction::Abandon,
        word: "abandon",
        label: "Abandon",
        done: "given up",
        meaning: "Each is given up for good: it cannot be restarted, and its unfinished outputs are removed.",
        icon: "s-abandoned",
    },
];

/// The action of a word.
pub fn action_of(word: &str) -> Option<Action> {
    ACTIONS.into_iter().find(|action| action.word == word)
}

/// Which executions are meant.
#[derive(Debug, Clone)]
pub enum Meant {
    /// Those that were selected.
    Selected(Vec<u64>),
    /// All that match the filter and that the reader may act upon, as many as were counted.
    Matching {
        /// How many.
        count: u64,
        /// Whether there are more than may be meant at a time, which is the number then.
        is_too_many: bool,
    },
}

impl Meant {
    fn count(&self) -> u64 {
        match self {
            Self::Selected(ids) => ids.len() as u64,
            Self::Matching { count, .. } => *count,
        }
    }
}

/// The title of a page about as many executions.
fn counted(frame: &Frame, count: u64) -> String {
    match count {
        1 => "1 execution".to_owned(),
        count => format!("{} executions", frame.reader.number(count)),
    }
}

/// Asks before it is done. Without an action, the reader chooses one here.
pub fn ask(
    frame: &Frame,
    filter: &str,
    meant: &Meant,
    action: Option<Action>,
    problem: Option<&Problem>,
) -> Markup {
    let count = counted(frame, meant.count());
    let back = address(frame, filter);
    let title = match action {
        Some(action) => format!("{} {count}?", action.label),
        None => format!("All {count} that match"),
    };
    let actions = action.map_or(ACTIONS.to_vec(), |action| vec![action]);
    html! {
        header.page-head { div { h1 { (title) } } }
        @if let Some(problem) = problem { (note(problem, &frame.top("errors"))) }
        @match meant {
            Meant::Matching { is_too_many: true, .. } => {
                p { "More than " (count) " match the filter, and no more are done at a time. Narrow the filter." }
                p.actions { a.button href=(back) { "Back to the list" } }
            }
            _ if meant.count() == 0 => {
                p { "No execution is meant: none was selected, or you may act upon none of them." }
                p.actions { a.button href=(back) { "Back to the list" } }
            }
            _ => {
                form.form method="post" action=(frame.at("executions/bulk")) {
                    button.sr tabindex="-1" aria-hidden="true" name="look" value="1" { "Back to the list" }
                    input type="hidden" name="filter" value=(filter);
                    input type="hidden" name="expected_count" value=(meant.count());
                    @if let Meant::Selected(ids) = meant {
                        p { "Executions " (joined(frame, ids)) }
                        @for id in ids { input type="hidden" name="id" value=(id); }
                    } @else if !filter.is_empty() {
                        p { "Those that match " code { bdi { (filter) } } " and that you may act upon." }
                    }
                    dl.facts.wide-facts {
                        @for action in &actions {
                            dt { (action.label) } dd { (action.meaning) }
                        }
                    }
                    p { "Each execution is judged by itself: the next page says for each what became of it. The audit trail has them all." }
                    div.actions {
                        @for action in &actions {
                            button.button.danger[action.action == BulkAction::Abandon] name="action" value=(action.word) {
                                (icon(action.icon)) (action.label) " " (count)
                            }
                        }
                        a.button href=(back) { "Cancel" }
                    }
                }
            }
        }
    }
}

/// How many numbers a sentence has.
const NUMBERS_MAX: usize = 50;

fn joined(frame: &Frame, ids: &[u64]) -> Markup {
    html! {
        @for (place, id) in ids.iter().take(NUMBERS_MAX).enumerate() {
            @if place > 0 { ", " }
            a href=(frame.at(&format!("executions/{id}"))) { (id) }
        }
        @if ids.len() > NUMBERS_MAX { " and " (frame.reader.number((ids.len() - NUMBERS_MAX) as u64)) " more" }
    }
}

/// What became of each.
pub fn result(frame: &Frame, filter: &str, action: Action, outcomes: &[BulkOutcome]) -> Markup {
    let done = outcomes.iter().filter(|outcome| outcome.is_done).count() as u64;
    let refused = outcomes.len() as u64 - done;
    let number = |count| frame.reader.number(count);
    html! {
        header.page-head {
            div {
                h1 { (number(done)) " of " (number(outcomes.len() as u64)) " " (action.done) }
                @if refused > 0 { p.lead { span { (number(refused)) " refused: each says why" } } }
            }
            div.actions { a.button href=(address(frame, filter)) { "Back to the list" } }
        }
        div.table {
            table.stack {
                caption.sr { "What became of each execution" }
                thead { tr { th scope="col" { "Execution" } th scope="col" { "Result" } th scope="col" { "Words" } } }
                tbody {
                    @for outcome in outcomes { (outcome_row(frame, action, outcome)) }
                }
            }
        }
    }
}

fn outcome_row(frame: &Frame, action: Action, outcome: &BulkOutcome) -> Markup {
    let BulkOutcome { id, is_done, execution, code, detail } = outcome;
    html! {
        tr {
            th.title scope="row" { a href=(frame.at(&format!("executions/{id}"))) { span.id { (id) } } }
            td data-label="Result" {
                @match (is_done, code) {
                    (true, _) => (action.done),
                    (false, Some(code)) => {
                        "refused: " a href=(frame.top(&format!("errors/{}", part(code)))) { code { (code) } }
                    }
                    (false, None) => "refused",
                }
            }
            td.wide data-label="Words" {
                @if let Some(next) = execution {
                    "continues as " a href=(frame.at(&format!("executions/{next}"))) { (next) }
                }
                @if let Some(detail) = detail { bdi { (on_one_line(detail)) } }
            }
        }
    }
}
