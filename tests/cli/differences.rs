//! What must differ between a session on a data folder and the same session through a server.
//!
//! `differences.txt` is the one list. Its blocks are separated by empty lines:
//!
//! ```text
//! # Why it must differ, in one or more lines.
//! @ instances jobs            only in these sessions
//! $ stepbox instances list    only in commands whose line contains this
//! - a line of the recording   these lines ...
//!   another one               (one that stays)
//! + what the server has       ... become these
//! ```
//!
//! `[..]` stands for any part of a line, and in a `+` line for the same part. A block with `= only here` in place of
//! lines leaves out whole sessions; or it names commands that are run on the server's machine, which must be refused
//! when they are sent to the server.

use std::collections::VecDeque;

use regex::Regex;

use super::session::{Recorded, recorded};

const LIST: &str = include_str!("differences.txt");

/// The list.
pub(super) struct Differences(Vec<Difference>);

struct Difference {
    /// The block as it is written.
    text: &'static str,
    sessions: Vec<&'static str>,
    commands: Vec<&'static str>,
    kind: Kind,
}

enum Kind {
    OnlyHere,
    Lines(Vec<Line>),
}

/// A line of the recording, or of what the server has in its place.
enum Line {
    Stays(Regex),
    Goes(Regex),
    Comes(&'static str),
}

impl Differences {
    pub(super) fn read() -> Self {
        Self(
            LIST.split("\n\n")
                .map(str::trim_end)
                .filter(|block| !block.is_empty())
                .map(Difference::of)
                .collect(),
        )
    }

    /// Whether a session is played on a data folder alone.
    pub(super) fn is_only_here(&self, session: &str) -> bool {
        self.0.iter().any(|difference| difference.leaves_out_session(session))
    }

    /// Whether a command is run on the machine of the server, and not through it.
    pub(super) fn is_of_machine(&self, session: &str, command: &Recorded) -> bool {
        self.0.iter().any(|difference| {
            matches!(difference.kind, Kind::OnlyHere)
                && !difference.commands.is_empty()
                && difference.is_about(session, command)
        })
    }

    /// The output that a server must give for a command, made of the recorded one.
    pub(super) fn there(&self, session: &str, command: &Recorded) -> String {
        let of_command = self.0.iter().filter(|difference| difference.is_about(session, command));
        of_command
            .fold(command.answer.clone(), |answer, difference| difference.applied(&answer).unwrap_or(answer))
    }
}

impl Difference {
    fn of(text: &'static str) -> Self {
        let lines = || text.lines();
        let after = |mark: &'static str| lines().filter_map(move |line| line.strip_prefix(mark));
        let line = |line: &'static str| match line.split_at_checked(2)? {
            ("  ", text) => Some(Line::Stays(pattern(text))),
            ("- ", text) => Some(Line::Goes(pattern(text))),
            ("+ ", text) => Some(Line::Comes(text)),
            _ => None,
        };
        let changes: Vec<_> = lines().filter_map(line).collect();
        let is_only_here = after("= ").any(|what| what == "only here");
        assert!(lines().all(|line| "# @ $ = - +   ".contains(line.get(..2).unwrap_or("?"))), "{text}");
        assert!(text.starts_with("# ") && text.len() > 20, "a difference without a reason: {text}");
        assert_eq!(is_only_here, changes.is_empty(), "{text}");
        Self {
            text,
            sessions: after("@ ").flat_map(str::split_whitespace).collect(),
            commands: after("$ ").collect(),
            kind: if is_only_here { Kind::OnlyHere } else { Kind::Lines(changes) },
        }
    }

    fn leaves_out_session(&self, session: &str) -> bool {
        matches!(self.kind, Kind::OnlyHere) && self.commands.is_empty() && self.sessions.contains(&session)
    }

    fn is_about(&self, session: &str, command: &Recorded) -> bool {
        (self.sessions.is_empty() || self.sessions.contains(&session))
            && (self.commands.is_empty() || self.commands.iter().any(|part| command.line.contains(part)))
    }

    /// The output with the lines replaced, wherever they are; `None` if they are nowhere.
    fn applied(&self, answer: &str) -> Option<String> {
        let Kind::Lines(changes) = &self.kind else { return None };
        let lines: Vec<_> = answer.lines().collect();
        let (mut made, mut at, mut is_applied) = (Vec::new(), 0, false);
        while at < lines.len() {
            match replaced(&lines[at..], changes) {
                Some((length, there)) => {
                    made.extend(there);
                    at += length;
                    is_applied = true;
                }
                None => {
                    made.push(lines[at].to_owned());
                    at += 1;
                }
            }
        }
        is_applied.then(|| made.iter().map(|line| format!("{line}\n")).collect())
    }
}

/// Any part of a line.
const ANY: &str = "[..]";

fn pattern(line: &str) -> Regex {
    let parts: Vec<_> = line.split(ANY).map(regex::escape).collect();
    Regex::new(&format!("^{}$", parts.join("(.*?)"))).expect("a pattern of plain text")
}

/// How many of the lines are replaced, and by which; `None` if they do not begin with what is replaced.
fn replaced(lines: &[&str], changes: &[Line]) -> Option<(usize, Vec<String>)> {
    let (mut at, mut there, mut parts) = (0, Vec::new(), VecDeque::new());
    for change in changes {
        match change {
            Line::Stays(pattern) | Line::Goes(pattern) => {
                let line = *lines.get(at)?;
                let found = pattern.captures(line)?;
                at += 1;
                match change {
                    Line::Goes(_) => parts.extend(found.iter().skip(1).flatten().map(|part| part.as_str())),
                    _ => there.push(line.to_owned()),
                }
            }
            Line::Comes(text) => {
                let filled = text.split(ANY).map(str::to_owned).reduce(|line, rest| {
                    line + parts.pop_front().expect("a part for each place of a `+` line") + &rest
                });
                there.push(filled.unwrap_or_default());
            }
        }
    }
    Some((at, there))
}

/// A difference that is in no session any more is taken out of the list.
#[test]
fn every_difference_is_in_each_of_its_sessions() {
    let differences = Differences::read();
    let sessions: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/cli"))
        .expect("the sessions")
        .filter_map(|entry| {
            entry.expect("an entry").file_name().to_string_lossy().strip_suffix(".console").map(str::to_owned)
        })
        .collect();
    for difference in &differences.0 {
        let text = difference.text;
        let named = difference.sessions.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for name in &named {
            assert!(sessions.contains(name), "there is no session `{name}`: {text}");
        }
        if matches!(difference.kind, Kind::OnlyHere) && difference.commands.is_empty() {
            continue;
        }
        let twice: Vec<_> = sessions.iter().filter(|name| !differences.is_only_here(name)).cloned().collect();
        let occurs = |session: &String| {
            recorded(session).iter().any(|command| {
                difference.is_about(session, command)
                    && match difference.kind {
                        Kind::OnlyHere => true,
                        Kind::Lines(_) => difference.applied(&command.answer).is_some(),
                    }
            })
        };
        match named.is_empty() {
            true => assert!(twice.iter().any(occurs), "in no session: {text}"),
            false => {
                for name in &named {
                    assert!(twice.contains(name) && occurs(name), "not in `{name}`: {text}");
                }
            }
        }
    }
}
