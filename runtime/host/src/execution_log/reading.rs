//! Reads some lines of a log: those after a place, or the last ones before a line. However long the log is, only the
//! lines that are wanted are in memory.
//!
//! The number of a line is its place in the log, from 1. A line that Stepbox did not write has a number, too, and is left
//! out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use serde::Deserialize;
use stepbox_batch::log::{LogLevel, LogLine};

/// The maximum length of a line that is read, in bytes. This is many times a message of 16 KiB, whatever its
/// characters are.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// The maximum length of the lines that are in memory together, in bytes. One line is always read.
const PAGE_BYTES_MAX: usize = 8 << 20;
/// How many bytes of a log are read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Which lines of a log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only messages of this level, and graver ones; `None` for all.
    pub level: Option<LogLevel>,
    /// Only messages about this step; `None` for all.
    pub step: Option<String>,
    /// Only messages with this text, whether its letters of ASCII are large or small. An empty text is in all.
    pub search: String,
}

/// A place between two lines of a log. The default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogPlace {
    /// How many lines are before it.
    pub lines: u64,
    /// How many bytes are before it.
    pub bytes: u64,
}

/// Some lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The lines with their numbers, in their order.
    pub lines: Vec<(u64, LogLine)>,
    /// The place after the last line that was looked at.
    pub next: LogPlace,
    /// Whether there are wanted lines on the other side: later ones in a page that begins at a place, earlier ones in
    /// a page that ends before a line.
    pub has_more: bool,
}

/// Whether a text is in another one, whatever the size of the letters of ASCII.
fn is_in(needle: &str, haystack: &[u8]) -> bool {
    let needle = needle.as_bytes();
    let Some(first) = needle.first() else { return true };
    let Some(last) = haystack.len().checked_sub(needle.len()) else { return false };
    let (small, large) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let is_here = |at: usize| haystack[at..at + needle.len()].eq_ignore_ascii_case(needle);
    (0..=last).any(|at| (haystack[at] == small || haystack[at] == large) && is_here(at))
}

/// A line, without copies of its texts.
#[derive(Deserialize)]
struct Seen<'a> {
    level: LogLevel,
    #[serde(borrow)]
    step: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

impl LogQuery {
    pub(super) fn wants_all(&self) -> bool {
        self.level.is_none() && self.step.is_none() && self.search.is_empty()
    }

    /// Whether a line of the file is wanted.
    fn wants(&self, line: &[u8]) -> bool {
        if self.wants_all() {
            return true;
        }
        // JSON writes the other characters as they are, so most lines need not be parsed.
        let is_plain = !self.search.contains(|c: char| c.is_control() || c == '"' || c == '\\');
        if is_plain && !is_in(&self.search, line) {
            return false;
        }
        let Ok(seen) = serde_json::from_slice::<Seen<'_>>(line) else { return false };
        self.level.is_none_or(|level| seen.level <= level)
            && self.step.as_deref().is_none_or(|step| seen.step.as_deref() == Some(step))
            && is_in(&self.search, seen.message.as_bytes())
    }
}

/// The lines of a log, one at a time.
struct Lines<R> {
    log: BufReader<R>,
    place: LogPlace,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    fn new(log: R, place: LogPlace) -> Self {
        Self { log: BufReader::with_capacity(BUFFER_BYTES, log), place, line: Vec::new() }
    }

    /// The next line, without what is too long to be one of ours. A line that is still being written is not there yet.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        // Of a line that is too long, the memory holds only one byte more than the limit.
        let read = (&mut self.log).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut self.line)?;
        let mut bytes = read as u64;
        if self.line.last() != Some(&b'\n') {
            if read <= LINE_BYTES_MAX {
                return Ok(None);
            }
            bytes += self.log.skip_until(b'\n')? as u64;
            self.line.clear();
        }
        self.place = LogPlace { lines: self.place.lines + 1, bytes: self.place.bytes + bytes };
        Ok(Some(&self.line))
    }
}

/// Up to `limit` wanted lines after a place, at which the log stands.
pub(super) fn after(log: impl Read, place: LogPlace, query: &LogQuery, limit: usize) -> io::Result<LogPage> {
    let (mut lines, mut found, mut bytes) = (Lines::new(log, place), Vec::new(), 0);
    let mut next = place;
    while let Some(line) = lines.next()? {
        if query.wants(line) {
            if found.len() >= limit || (bytes + line.len() > PAGE_BYTES_MAX && !found.is_empty()) {
                return Ok(LogPage { lines: found, next, has_more: true });
            }
            if let Ok(parsed) = serde_json::from_slice(line) {
                bytes += line.len();
                found.push((next.lines + 1, parsed));
            }
        }
        next = lines.place;
    }
    Ok(LogPage { lines: found, next, has_more: false })
}

/// The same after the line with a number. The log stands at its beginning.
pub(super) fn after_line(log: impl Read, number: u64, query: &LogQuery, limit: usize) -> io::Result<LogPage> {
    let mut lines = Lines::new(log, LogPlace::default());
    while lines.place.lines < number {
        if lines.next()?.is_none() {
            return Ok(LogPage { next: lines.place, ..LogPage::default() });
        }
    }
    after(lines.log, lines.place, query, limit)
}

/// The last `limit` wanted lines before the line with a number, or of the whole log.
pub(super) fn before(
    log: impl Read,
    number: Option<u64>,
    query: &LogQuery,
    limit: usize,
) -> io::Result<LogPage> {
    last_of(Lines::new(log, LogPlace::default()), number, query, limit)
}

/// The same of all lines, in a log that can be read at any place. The lines before the page are only counted.
pub(super) fn tail(mut log: impl Read + Seek, number: Option<u64>, limit: usize) -> io::Result<LogPage> {
    let (mut place, mut marks, mut block) = (LogPlace::default(), Vec::new(), vec![0; BUFFER_BYTES]);
    let is_enough = |place: LogPlace| number.is_some_and(|number| place.lines >= number);
    while !is_enough(place) {
        marks.push(place);
        let read = log.read(&mut block)?;
        if read == 0 {
            break;
        }
        let lines = memchr::memchr_iter(b'\n', &block[..read]).count() as u64;
        place = LogPlace { lines: place.lines + lines, bytes: place.bytes + read as u64 };
    }
    let last = number.map_or(place.lines, |number| place.lines.min(number.saturating_sub(1)));
    let first = last.saturating_sub(limit as u64);
    // A mark may be within a line. That line is none of the page, since it ends before the first one.
    let mark = marks.into_iter().rev().find(|mark| mark.lines < first).unwrap_or_default();
    log.seek(SeekFrom::Start(mark.bytes))?;
    last_of(Lines::new(log, mark), number, &LogQuery::default(), limit)
}

fn last_of(
    mut lines: Lines<impl Read>,
    number: Option<u64>,
    query: &LogQuery,
    limit: usize,
) -> io::Result<LogPage> {
    let (mut kept, mut bytes, mut has_more) = (VecDeque::<(u64, Vec<u8>)>::new(), 0, false);
    let mut spare = Vec::new();
    while number.is_none_or(|number| lines.place.lines + 1 < number) {
        let number = lines.place.lines + 1;
        let Some(line) = lines.next()? else { break };
        if !query.wants(line) {
            continue;
        }
        bytes += line.len();
        spare.extend_from_slice(line);
        kept.push_back((number, std::mem::take(&mut spare)));
        while kept.len() > limit.max(1) || (bytes > PAGE_BYTES_MAX && kept.len() > 1) {
            let (_, mut gone) = kept.pop_front().unwrap_or_default();
            bytes -= gone.len();
            gone.clear();
            // Its memory is the next line's.
            spare = gone;
            has_more = true;
        }
    }
    let parsed = kept.iter().filter_map(|(number, line)| Some((*number, serde_json::from_slice(line).ok()?)));
    Ok(LogPage { lines: parsed.collect(), next: lines.place, has_more })
}

#[cfg(test)]
mod tests {
    use stepbox_batch::clock::Timestamp;

    use super::*;

    fn line(level: LogLevel, step: Option<&str>, message: &str) -> String {
        let (step, message) = (step.map(str::to_owned), message.to_owned());
        serde_json::to_string(&LogLine { at: Timestamp(0), level, step, message }).unwrap() + "\n"
    }

    fn log() -> String {
        [
            line(LogLevel::Info, None, "begins"),
            line(LogLevel::Debug, Some("export"), "a \"quoted\" Text"),
            "no JSON\n".to_owned(),
            line(LogLevel::Warning, Some("export"), "row 4: Ünlikely"),
            "x".repeat(LINE_BYTES_MAX + 10) + "\n",
            line(LogLevel::Error, Some("notify"), "no answer\u{1b}[0m"),
            line(LogLevel::Info, None, "ends"),
            "{\"at\":".to_owned(),
        ]
        .concat()
    }

    fn query(level: Option<LogLevel>, step: &str, search: &str) -> LogQuery {
        let step = Some(step.to_owned()).filter(|step| !step.is_empty());
        LogQuery { level, step, search: search.to_owned() }
    }

    fn numbers(page: &LogPage) -> Vec<u64> {
        page.lines.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn lines_are_found_from_both_sides() {
        let rows: [(LogQuery, &[u64]); 10] = [
            (LogQuery::default(), &[1, 2, 4, 6, 7]),
            (query(Some(LogLevel::Error), "", ""), &[6]),
            (query(Some(LogLevel::Warning), "", ""), &[4, 6]),
            (query(Some(LogLevel::Info), "", ""), &[1, 4, 6, 7]),
            (query(None, "export", ""), &[2, 4]),
            (query(None, "", "\"QUOTED\" text"), &[2]),
            (query(None, "", "no"), &[6]),
            (query(None, "", "Ünlikely"), &[4]),
            (query(None, "", "\u{1b}["), &[6]),
            // The names of fields are no text of a message.
            (query(None, "", "level"), &[]),
        ];
        let log = log();
        for (query, expected) in rows {
            let whole = after(log.as_bytes(), LogPlace::default(), &query, 100).unwrap();
            assert_eq!((numbers(&whole), whole.has_more), (expected.to_vec(), false), "{query:?}");
            let whole = before(log.as_bytes(), None, &query, 100).unwrap();
            assert_eq!((numbers(&whole), whole.has_more), (expected.to_vec(), false), "{query:?}");
            assert_eq!(whole.next.lines, 7, "the line that is still written is not there yet");
            // In pages of one, from the beginning.
            let (mut place, mut found) = (LogPlace::default(), Vec::new());
            loop {
                let page = after(&log.as_bytes()[place.bytes as usize..], place, &query, 1).unwrap();
                found.extend(numbers(&page));
                place = page.next;
                if !page.has_more {
                    break;
                }
            }
            assert_eq!((found, place.lines), (expected.to_vec(), 7), "{query:?}");
            // And from the end.
            let (mut number, mut found) = (None, Vec::new());
            loop {
                let page = before(log.as_bytes(), number, &query, 1).unwrap();
                found.extend(numbers(&page));
                number = page.lines.first().map(|(number, _)| *number).or(Some(page.next.lines));
                if !page.has_more {
                    break;
                }
            }
            found.reverse();
            assert_eq!(found, expected, "{query:?}");
        }
    }

    #[test]
    fn the_tail_is_what_reading_everything_gives() {
        // Lines of many lengths, over several blocks, so that blocks begin everywhere in lines.
        let text: String = (0..4_000).map(|n| line(LogLevel::Info, None, &"x".repeat(n * 7 % 997))).collect();
        assert!(text.len() > 4 * BUFFER_BYTES);
        let unfinished = text.clone() + "{";
        for log in ["", text.as_str(), unfinished.as_str()] {
            for number in
                [None, Some(0), Some(1), Some(2), Some(3_999), Some(4_000), Some(4_001), Some(9_999)]
            {
                for limit in [1, 2, 100, 3_999, 4_000, 5_000] {
                    let whole = before(log.as_bytes(), number, &LogQuery::default(), limit).unwrap();
                    let found = tail(io::Cursor::new(log), number, limit).unwrap();
                    assert!(found == whole, "{number:?} {limit} of {} bytes", log.len());
                }
            }
        }
    }

    #[test]
    fn long_lines_are_few_at_a_time() {
        let long = line(LogLevel::Info, None, &"x".repeat(900_000));
        let log = long.repeat(20);
        let page = before(log.as_bytes(), None, &LogQuery::default(), 100).unwrap();
        assert_eq!((page.lines.len(), page.has_more), (9, true));
        let page = after(log.as_bytes(), LogPlace::default(), &LogQuery::default(), 100).unwrap();
        assert_eq!((page.lines.len(), page.has_more), (9, true));
    }

    #[test]
    fn a_text_is_found_whatever_the_size_of_its_letters() {
        let rows = [
            ("", "", true),
            ("a", "", false),
            ("Row", "a rOW", true),
            ("rows", "row", false),
            ("ab", "aab", true),
            ("ü", "Ü", false),
        ];
        for (needle, haystack, expected) in rows {
            assert_eq!(is_in(needle, haystack.as_bytes()), expected, "{needle} in {haystack}");
        }
    }
}
