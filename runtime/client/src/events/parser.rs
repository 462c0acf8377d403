//! Server-sent events, from bytes as they come. The grammar is that of the HTML standard.

use std::time::Duration;

/// The longest line, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// The longest data of an event, in bytes.
pub(crate) const DATA_BYTES_MAX: usize = 4 << 20;

/// An event as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its kind; `message` if it says none.
    pub(crate) kind: String,
    pub(crate) data: String,
    /// The id with which a reader continues after it.
    pub(crate) id: Option<String>,
}

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    LineTooLong,
    DataTooLong,
    NotUtf8,
}

impl Broken {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::LineTooLong => "a line of the event stream is too long",
            Self::DataTooLong => "an event of the stream is too long",
            Self::NotUtf8 => "the event stream is not UTF-8",
        }
    }
}

/// Reads a stream of events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// Whether the last byte was a CR, so that an LF belongs to it.
    after_cr: bool,
    has_begun: bool,
    kind: String,
    data: Vec<String>,
    data_bytes: usize,
    /// The id that the next event will have.
    id: Option<String>,
    /// The id of the last complete event, with which a reader continues.
    last_id: Option<String>,
    retry: Option<Duration>,
}

impl Parser {
    /// Reads the next bytes, and returns the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Written>, Broken> {
        let mut events = Vec::new();
        for &byte in bytes {
            let was_after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if was_after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ if self.line.len() >= LINE_BYTES_MAX => return Err(Broken::LineTooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    /// The id with which a reader continues after the last complete event.
    #[cfg(test)]
    fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server asks a reader to wait before it connects again.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The stream has ended. An event that is not complete is dropped; the server sends it again.
    pub(crate) fn restart(&mut self) {
        let (last_id, retry) = (self.last_id.take(), self.retry);
        *self = Self { id: last_id.clone(), last_id, retry, ..Self::default() };
    }

    fn end_line(&mut self) -> Result<Option<Written>, Broken> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| Broken::NotUtf8)?;
        let line = match std::mem::replace(&mut self.has_begun, true) {
            true => line,
            false => line.strip_prefix('\u{feff}').unwrap_or(line),
        };
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data_bytes += value.len() + 1;
                if self.data_bytes > DATA_BYTES_MAX {
                    return Err(Broken::DataTooLong);
                }
                self.data.push(value.to_owned());
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            // A comment, or a field of a later version.
            _ => {}
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Option<Written> {
        self.last_id.clone_from(&self.id);
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        self.data_bytes = 0;
        if data.is_empty() {
            return None;
        }
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Written { kind, data: data.join("\n"), id: self.last_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream, however it is cut into pieces, and the id with which a reader continues.
    fn check(stream: &str, expected: &[(&str, &str)], id: Option<&str>) {
        for size in 1..=stream.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                found.extend(parser.feed(piece).unwrap());
            }
            let found: Vec<_> = found.iter().map(|e| (e.kind.as_str(), e.data.as_str())).collect();
            assert_eq!(
                (found.as_slice(), parser.last_id()),
                (expected, id),
                "{stream:?} in pieces of {size}"
            );
        }
    }

    #[test]
    fn reads_events_however_they_are_cut() {
        check("data: a\n\n", &[("message", "a")], None);
        check("event: ended\nid: 7\ndata: {\"a\":1}\n\n", &[("ended", "{\"a\":1}")], Some("7"));
        check("data:a\ndata: b\ndata:  c\n\n", &[("message", "a\nb\n c")], None);
        check("id: 1\rdata: a\r\rid: 2\r\ndata: b\r\n\r\n", &[("message", "a"), ("message", "b")], Some("2"));
        check("\u{feff}data: ü\n\n", &[("message", "ü")], None);
        check(": a comment\n\ndata: a\n\n", &[("message", "a")], None);
        check("event: only\n\ndata\n\n", &[("message", "")], None);
        check("id: 7\n\n", &[], Some("7"));
        // What is not complete does not count.
        check("id: 7\ndata: a\n\nid: 8\ndata: b\n", &[("message", "a")], Some("7"));
        check("id: 7\ndata: a\n\nid: a\0b\ndata: c\n\n", &[("message", "a"), ("message", "c")], Some("7"));
        check("future: x\ndata: a\n\n", &[("message", "a")], None);
    }

    #[test]
    fn a_reader_continues_after_the_last_complete_event() {
        let mut parser = Parser::default();
        parser.feed(b"retry: 1500\nid: 7\ndata: a\n\nid: 8\ndata: half").unwrap();
        parser.restart();
        assert_eq!((parser.last_id(), parser.retry()), (Some("7"), Some(Duration::from_millis(1500))));
        assert_eq!(parser.feed(b"data: b\n\n").unwrap()[0].data, "b");
        assert_eq!(parser.last_id(), Some("7"));
        parser.feed(b"retry: -5\nretry: soon\nretry: 99999999999999999999999\n\n").unwrap();
        assert_eq!(parser.retry(), None);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.feed(&vec![b'x'; LINE_BYTES_MAX]).is_ok());
        assert_eq!(parser.feed(b"x"), Err(Broken::LineTooLong));
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "x".repeat(LINE_BYTES_MAX - 6));
        let mut fed = Ok(Vec::new());
        for _ in 0..=DATA_BYTES_MAX / LINE_BYTES_MAX {
            fed = parser.feed(line.as_bytes());
        }
        assert_eq!(fed, Err(Broken::DataTooLong));
        // Empty lines of data take memory, too.
        let mut parser = Parser::default();
        let many = "data\n".repeat(DATA_BYTES_MAX + 1);
        assert_eq!(parser.feed(many.as_bytes()), Err(Broken::DataTooLong));
        assert_eq!(Parser::default().feed(b"data: \xff\n"), Err(Broken::NotUtf8));
    }
}
