//! The last runs of a profile as bars: how long each took, and how it ended.

use maud::{Markup, html};

use crate::reader::Reader;
use crate::status::word;

/// How many runs are drawn.
const DRAWN: usize = 20;
/// The height of the longest bar, and the room for a flag above it.
const HEIGHT: u64 = 20;

/// A run of a profile.
#[derive(Debug, Clone)]
pub struct Run {
    /// The number of the execution.
    pub id: u64,
    /// Its status, as the API writes it.
    pub status: String,
    /// Items that its writers took.
    pub written: u64,
    /// All its warnings.
    pub warnings: u64,
    /// The user who asked for it.
    pub user: Option<String>,
    /// When it was accepted.
    pub created_at: String,
    /// How long it has run, in milliseconds; `None` if it has not begun.
    pub took_ms: Option<u64>,
}

/// The newest runs as bars, the newest one at the right.
pub fn last_runs(runs: &[Run]) -> Markup {
    if runs.is_empty() {
        return html! { span.muted { "never run" } };
    }
    let drawn: Vec<_> = runs.iter().take(DRAWN).rev().collect();
    let longest = drawn.iter().filter_map(|run| run.took_ms).max().unwrap_or(0).max(1);
    let height = |run: &Run| 4 + run.took_ms.unwrap_or(0) * (HEIGHT - 4) / longest;
    let first = DRAWN - drawn.len();
    let class = |status: &str| match status {
        "FAILED" => Some("failed"),
        "STOPPED" | "ABANDONED" => Some("stopped"),
        "COMPLETED" => None,
        _ => Some("started"),
    };
    html! {
        svg.runs viewBox="0 0 118 26" role="img" aria-label=(said(&drawn)) {
            @for (place, run) in drawn.iter().enumerate() {
                @let (x, tall) = ((first + place) * 6, height(run));
                rect class=[class(&run.status)] x=(x) y=(26 - tall) width="4" height=(tall) {}
                @if run.status == "FAILED" {
                    path.flag d={ "M" (x) " " (26 - tall - 5) "h4l-2 4z" } {}
                }
            }
        }
    }
}

/// The runs in a sentence: `The last 20 runs: 17 completed, 2 failed, 1 started`.
fn said(runs: &[&Run]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for run in runs {
        let word = word(&run.status);
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let counts: Vec<_> =
        counts.iter().map(|(word, count)| format!("{count} {}", word.to_lowercase())).collect();
    let runs =
        if runs.len() == 1 { "The last run".to_owned() } else { format!("The last {} runs", runs.len()) };
    format!("{runs}: {}", counts.join(", "))
}

/// The mean time of those that completed, and how many did.
pub(super) fn mean(runs: &[Run], reader: &Reader) -> Option<(String, usize)> {
    let took: Vec<_> =
        runs.iter().filter(|run| run.status == "COMPLETED").filter_map(|run| run.took_ms).collect();
    let count = took.len();
    (count > 0).then(|| (reader.span(took.iter().sum::<u64>() / count as u64), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64, status: &str, took_ms: u64) -> Run {
        let (status, created_at) = (status.to_owned(), "2026-11-30T13:31:44Z".to_owned());
        Run { id, status, written: 0, warnings: 0, user: None, created_at, took_ms: Some(took_ms) }
    }

    #[test]
    fn bars_say_in_a_sentence_what_they_draw() {
        let runs: Vec<_> = [(3, "STARTED", 10), (2, "FAILED", 1000), (1, "COMPLETED", 500)]
            .map(|(id, status, took)| run(id, status, took))
            .into();
        let drawn = last_runs(&runs).into_string();
        assert!(drawn.contains("The last 3 runs: 1 completed, 1 failed, 1 started"), "{drawn}");
        // The oldest one is at the left, the longest one has the full height, and the failed one has a flag.
        assert!(drawn.contains(r#"x="102" y="14""#) && drawn.contains(r#"height="20""#), "{drawn}");
        assert!(drawn.contains(r#"class="flag" d="M108 "#), "{drawn}");
        assert_eq!(last_runs(&[]).into_string(), r#"<span class="muted">never run</span>"#);
    }

    #[test]
    fn the_twenty_newest_are_drawn() {
        let runs: Vec<_> = (0..30).rev().map(|id| run(id, "COMPLETED", id)).collect();
        assert_eq!(last_runs(&runs).into_string().matches("<rect").count(), 20);
    }
}
