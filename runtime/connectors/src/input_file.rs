//! A file that is read in large blocks, of which the reader sees a window.
//!
//! A parser takes whole rows from the window. It asks for more bytes if its row does not end in the window. It keeps no
//! state between two windows: a row that was cut is simply parsed again.

use std::io::{self, Read, Seek, SeekFrom};

use serde::de::Error;
use stepbox_batch::element::Total;
use stepbox_batch::step_context::StepContext;

use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint;
use crate::known_beginnings;
use crate::location::Location;
use crate::reach::Reach;
use crate::storage::{InputSource, OpenInput, Stamp};

pub(crate) mod window;

use self::window::window_bytes;

/// How many bytes before a checkpoint are compared, to see whether the file is still the same: a few rows.
const TAIL_BYTES: u64 = 512;
/// How many bytes at the beginning show the kind of the file, and whether it is still the same.
const HEAD_BYTES: usize = 4096;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// An open input.
pub(crate) struct InputFile {
    file: Box<dyn InputSource>,
    context: StepContext,
    path: String,
    /// Fingerprint of the version of an object; `None` for a file. It is a part of the fingerprints that distinguish
    /// inputs.
    version: Option<u64>,
    /// The length in bytes when the file was opened. The file may grow; the added bytes are read too.
    length: u64,
    window: Vec<u8>,
    /// The part of the window that was read and is not consumed: `start..end`.
    start: usize,
    end: usize,
    /// The offset in the file at which the window ends.
    end_offset: u64,
    is_at_end: bool,
    /// The offset at which the content begins, after a byte order mark.
    content_offset: u64,
    /// The state of the file at the last check; `None` if the source always reads the same version.
    stamp: Option<Stamp>,
    /// Fingerprint of the file's first bytes, and how many bytes these are.
    head: (u64, u64),
}

impl InputFile {
    /// Opens the file and skips the byte order mark of UTF-8.
    pub(crate) fn open(from: &Location, reach: &Reach, context: &StepContext) -> Result<Self> {
        let path = from.path().to_owned();
        let OpenInput { source, length, version } = reach.open_location(from, context)?;
        context.metering().opened_to_read();
        let mut input = Self::new(source, path, length, context.clone())?;
        input.version = version;
        Ok(input)
    }

    fn new(file: Box<dyn InputSource>, path: String, length: u64, context: StepContext) -> Result<Self> {
        let window = vec![0; window_bytes()];
        let (start, end, end_offset) = (0, 0, 0);
        let mut input = Self {
            file,
            context,
            path,
            version: None,
            length,
            window,
            start,
            end,
            end_offset,
            is_at_end: false,
            content_offset: 0,
            stamp: None,
            head: (0, 0),
        };
        input.stamp = input.stamp_now()?;
        input.ensure(HEAD_BYTES)?;
        let head = &input.unread()[..input.unread().len().min(HEAD_BYTES)];
        known_beginnings::check(head, &input.path)?;
        input.head = (fingerprint(head), head.len() as u64);
        // A file that was saved again, or joined from several files, may begin with more than one byte order mark.
        while input.unread().starts_with(&BYTE_ORDER_MARK) {
            input.consume(BYTE_ORDER_MARK.len());
            input.ensure(BYTE_ORDER_MARK.len())?;
        }
        input.content_offset = input.offset();
        Ok(input)
    }

    /// Reads until at least this many bytes are unread, or until the end of the file.
    pub(crate) fn ensure(&mut self, bytes: usize) -> Result<()> {
        while self.unread().len() < bytes && !self.is_at_end {
            self.fill()?;
        }
        Ok(())
    }

    /// The context of the running step.
    pub(crate) fn context(&self) -> &StepContext {
        &self.context
    }

    /// The path as it was given, for errors.
    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    /// The length in bytes when the file was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes that were read and are not consumed yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.window[self.start..self.end]
    }

    /// Whether the file has no more bytes after `unread`.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Removes bytes from the beginning of the unread ones.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// The offset of the first unread byte in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.end_offset - self.unread().len() as u64
    }

    /// Reads more bytes, and keeps the unread ones. The window grows only for a row larger than itself.
    pub(crate) fn fill(&mut self) -> Result<()> {
        // Also keeps the consumed bytes that `tail` needs: otherwise a bucket would have to send them again.
        let kept = self.start.min(TAIL_BYTES as usize);
        self.window.copy_within(self.start - kept..self.end, 0);
        (self.start, self.end) = (kept, kept + self.end - self.start);
        if self.end == self.window.len() {
            self.window.resize(self.window.len() * 2, 0);
        }
        let bytes = self.read_file().map_err(|source| ConnectorError::file("read", &self.path, source))?;
        self.context.metering().read_file(bytes as u64);
        self.context.gate().moved();
        self.end += bytes;
        self.end_offset += bytes as u64;
        self.is_at_end = bytes == 0;
        self.check_unchanged()
    }

    fn stamp_now(&self) -> Result<Option<Stamp>> {
        self.file.stamp().map_err(|source| ConnectorError::file("read", &self.path, source))
    }

    /// Fails if the file was rewritten, made shorter or replaced while it is read. This is checked after each window: a
    /// later change does not affect the bytes that were read.
    fn check_unchanged(&mut self) -> Result<()> {
        let (Some(before), Some(now)) = (self.stamp, self.stamp_now()?) else { return Ok(()) };
        if now != before || self.end_offset < self.length && self.is_at_end {
            self.check_grown(before, now)?;
            self.stamp = Some(now);
        }
        if self.is_at_end { self.check_same_file(now) } else { Ok(()) }
    }

    /// A file may grow at its end if what was read is unchanged: its beginning, and the bytes before the end of the
    /// window.
    fn check_grown(&mut self, before: Stamp, now: Stamp) -> Result<()> {
        if now.length < before.length.max(self.end_offset) || self.is_at_end && self.end_offset < self.length
        {
            let most = before.length.max(self.end_offset);
            return Err(self.changed(format!("it has {} bytes, and had {most}", now.length)));
        }
        if now.length == before.length {
            return Err(self.changed("it was written to while it was read".to_owned()));
        }
        let (head, bytes) = self.head;
        let found = self.read_before(bytes, bytes).map_err(|source| self.unreadable(source))?;
        let kept = (self.end as u64).min(self.end_offset).min(TAIL_BYTES);
        let tail = self.read_before(self.end_offset, kept).map_err(|source| self.unreadable(source))?;
        if fingerprint(&found) != head || tail != self.window[self.end - kept as usize..self.end] {
            return Err(self.changed("what was read of it was rewritten".to_owned()));
        }
        Ok(())
    }

    /// Fails if the path now leads to another file. A file that is gone is accepted: it was moved away, and was read
    /// whole.
    fn check_same_file(&self, now: Stamp) -> Result<()> {
        let found = self.file.stamp_at_path().map_err(|source| self.unreadable(source))?;
        if found.is_none_or(|found| found.identity == now.identity) {
            return Ok(());
        }
        Err(self.changed("another file was put in its place while it was read".to_owned()))
    }

    /// The error for an input that has changed.
    pub(crate) fn changed(&self, difference: String) -> ConnectorError {
        ConnectorError::InputChanged { path: self.path(), difference }
    }

    fn unreadable(&self, source: io::Error) -> ConnectorError {
        ConnectorError::file("read", &self.path, source)
    }

    fn read_file(&mut self) -> io::Result<usize> {
        loop {
            match self.file.read(&mut self.window[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Goes back to the first byte after the byte order mark.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.seek(self.content_offset)
    }

    /// Fails unless this many lines and items can be before an offset: each takes at least one byte. Counting on from
    /// numbers that no reader wrote would overflow.
    pub(crate) fn check_counts(&self, offset: u64, line: u64, items: u64) -> Result<()> {
        if (1..=offset.saturating_add(1)).contains(&line) && items <= offset {
            return Ok(());
        }
        let message = format!("line {line} and {items} items before byte {offset}");
        Err(ConnectorError::BadState { source: serde_json::Error::custom(message) })
    }

    /// Continues where an earlier attempt stopped, if the file is still the one that it read. Returns the last byte
    /// before the offset; `None` at the beginning of the file. That byte is not a line end if the file ended without
    /// one at that time.
    pub(crate) fn resume(&mut self, offset: u64, tail: u64) -> Result<Option<u8>> {
        if offset > self.length {
            return Err(self.changed(format!("it has {} bytes, {offset} of them were read", self.length)));
        }
        let before = self.read_before(offset, offset.min(TAIL_BYTES));
        let before = before.map_err(|source| self.unreadable(source))?;
        if self.fingerprint(&before) != tail {
            let difference = match self.version {
                None => format!("its content before byte {offset} differs"),
                Some(_) => "another object was put in its place".to_owned(),
            };
            return Err(self.changed(difference));
        }
        self.seek(offset)?;
        Ok(before.last().copied().filter(|_| offset > self.content_offset))
    }

    /// Call this after `resume`: it skips the line end of a last line that had none when it was read. Fails if the line
    /// continues instead, since only a part of it was delivered.
    pub(crate) fn end_last_line(&mut self, last: Option<u8>, line_ends: &[u8]) -> Result<()> {
        let Some(last) = last.filter(|&last| last != b'\n') else { return Ok(()) };
        self.ensure(2)?;
        match self.unread() {
            [b'\n', ..] => self.consume(1),
            [] => {}
            _ if line_ends.contains(&last) => {}
            [b'\r', b'\n', ..] => self.consume(2),
            [b'\r', ..] if line_ends.contains(&b'\r') => self.consume(1),
            _ => return Err(self.changed("its last line has been continued since it was read".to_owned())),
        }
        Ok(())
    }

    /// The fingerprint of the bytes just before the first unread one. Every chunk asks for it, so bytes that are still
    /// in the window are not read again.
    pub(crate) fn tail(&mut self) -> Result<u64> {
        let offset = self.offset();
        let length = offset.min(TAIL_BYTES) as usize;
        match self.start.checked_sub(length) {
            Some(from) => Ok(self.fingerprint(&self.window[from..self.start])),
            None => self.tail_before(offset),
        }
    }

    /// The fingerprint of the bytes before any offset.
    pub(crate) fn tail_before(&mut self, offset: u64) -> Result<u64> {
        let bytes = self.read_before(offset, offset.min(TAIL_BYTES));
        let bytes = bytes.map_err(|source| self.unreadable(source))?;
        Ok(self.fingerprint(&bytes))
    }

    fn fingerprint(&self, tail: &[u8]) -> u64 {
        fingerprint(tail) ^ self.version.unwrap_or_default()
    }

    fn read_before(&mut self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.file.seek(SeekFrom::Start(offset - length))?;
        self.file.read_exact(&mut bytes)?;
        self.file.seek(SeekFrom::Start(self.end_offset))?;
        Ok(bytes)
    }

    fn seek(&mut self, offset: u64) -> Result<()> {
        let sought = self.file.seek(SeekFrom::Start(offset));
        sought.map_err(|source| ConnectorError::file("read", &self.path, source))?;
        (self.start, self.end, self.end_offset, self.is_at_end) = (0, 0, offset, false);
        Ok(())
    }

    /// An estimate of the number of all items, if `items` items took the file up to this offset.
    pub(crate) fn estimate(&self, items: u64) -> Total {
        let read = self.offset().saturating_sub(self.content_offset);
        let all = self.length.saturating_sub(self.content_offset);
        if items == 0 || read == 0 {
            return Total::Unknown;
        }
        let total = u128::from(items) * u128::from(all) / u128::from(read);
        Total::Estimate(u64::try_from(total).unwrap_or(u64::MAX).max(items))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::window::WINDOW_BYTES;
    use super::*;
    use crate::folders::Folders;

    fn open(content: &[u8]) -> Result<InputFile> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, content).unwrap();
        file.rewind().unwrap();
        InputFile::new(Box::new(file), "in.csv".to_owned(), content.len() as u64, crate::testing::step())
    }

    fn check_start(content: &[u8], expected: &str) {
        let found = match open(content) {
            Ok(input) => format!("{} from {}", String::from_utf8_lossy(input.unread()), input.offset()),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn skips_the_mark_of_utf8_and_refuses_utf16() {
        let utf16 = "line 1 of `in.csv` is not UTF-8, it looks like UTF-16";
        check_start(b"\xef\xbb\xbfab", "ab from 3");
        check_start(b"\xef\xbb\xbf", " from 3");
        check_start(b"\xef\xbb\xbf\xef\xbb\xbfab", "ab from 6");
        check_start(b"\xef\xbb", "\u{fffd} from 0");
        check_start(b"a", "a from 0");
        check_start(b"", " from 0");
        check_start(b"\xff\xfea\0b\0", utf16);
        check_start(b"\xfe\xff\0a", utf16);
        check_start(b"a\0b\0", utf16);
        check_start(b"\0a\0b", utf16);
    }

    #[test]
    fn the_window_moves_and_grows_and_offsets_stay_true() {
        let content: Vec<u8> = (0..3 * WINDOW_BYTES).map(|i| (i % 251) as u8 + 1).collect();
        let mut input = open(&content).unwrap();
        input.consume(1000);
        while !input.is_at_end() {
            input.fill().unwrap();
        }
        assert_eq!(input.offset(), 1000);
        assert!(input.unread() == &content[1000..]);
        let tail = input.tail_before(5000).unwrap();
        input.consume(4000);
        assert_eq!((input.offset(), input.tail().unwrap()), (5000, tail));
        input.resume(5000, tail).unwrap();
        assert_eq!(input.tail().unwrap(), tail, "from the file, as the window is empty");
        input.fill().unwrap();
        assert_eq!((input.offset(), input.unread()[0]), (5000, content[5000]));
    }

    /// Regression: counting on from these numbers overflowed.
    #[test]
    fn refuses_numbers_that_no_reader_wrote() {
        let input = open(b"a\n1\n2\n").unwrap();
        let found = |line, items| match input.check_counts(4, line, items) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found(3, 1), "fine");
        assert_eq!(found(5, 4), "fine");
        let refused = "the checkpoint cannot be read: ";
        assert_eq!(found(0, 0), format!("{refused}line 0 and 0 items before byte 4"));
        assert_eq!(found(6, 0), format!("{refused}line 6 and 0 items before byte 4"));
        assert_eq!(found(u64::MAX, 0), format!("{refused}line {} and 0 items before byte 4", u64::MAX));
        assert_eq!(found(1, u64::MAX), format!("{refused}line 1 and {} items before byte 4", u64::MAX));
    }

    #[test]
    fn knows_a_file_that_changed() {
        let mut input = open(b"a\n1\n2\n").unwrap();
        let tail = input.tail_before(4).unwrap();
        let found = |content, offset| match open(content).unwrap().resume(offset, tail) {
            Ok(_) => "same".to_owned(),
            Err(error) => error.to_string(),
        };
        let changed = "`in.csv` is not the file this run began with: ";
        assert_eq!(found(b"a\n1\n2\n3\n", 4), "same");
        assert_eq!(found(b"a\n9\n2\n", 4), format!("{changed}its content before byte 4 differs"));
        assert_eq!(found(b"a\n", 4), format!("{changed}it has 2 bytes, 4 of them were read"));
    }

    /// The last line was read without an end, and the file got more bytes afterwards.
    #[test]
    fn a_last_line_ends_later_or_goes_on() {
        let check = |before: &[u8], after: &[u8], line_ends: &[u8], expected: &str| {
            let offset = before.len() as u64;
            let tail = open(before).unwrap().tail_before(offset).unwrap();
            let mut input = open(&[before, after].concat()).unwrap();
            let last = input.resume(offset, tail).unwrap();
            let found = match input.end_last_line(last, line_ends) {
                Ok(()) => {
                    input.ensure(99).map(|()| String::from_utf8_lossy(input.unread()).into_owned()).unwrap()
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(after));
        };
        let continued = "`in.csv` is not the file this run began with: its last line has been continued since it was read";
        check(b"a\n1", b"", b"\r", "");
        check(b"a\n1", b"\n2\n", b"\r", "2\n");
        check(b"a\n1", b"\r\n2\n", b"\r", "2\n");
        check(b"a\n1", b"\r2\r", b"\r", "2\r");
        check(b"a\n1", b"23\n", b"\r", continued);
        check(b"a\r1\r", b"\n2", b"\r", "2");
        check(b"a\r1\r", b"2", b"\r", "2");
        check(b"a\n1\n", b"2", b"\r", "2");
        check(b"\xef\xbb\xbf", b"2", b"\r", "2");
        check(b"{}", b"\r\n{}", b"", "{}");
        check(b"{}", b" {}", b"", continued);
    }

    /// Regression: rows of two files were read as one file, and a row that was cut off was read as a whole row.
    #[test]
    fn knows_a_file_that_changes_while_it_is_read() {
        use std::io::Write;
        let content: Vec<u8> = (0..3 * WINDOW_BYTES).map(|i| b'a' + (i % 23) as u8).collect();
        let check = |change: &dyn Fn(&mut File, &std::path::Path), expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("in.csv");
            std::fs::write(&path, &content).unwrap();
            // An old time, so that a write is visible even if the clock is coarse.
            let mut file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            let (from, folders) = (
                Location::Local { file_path: "in.csv".to_owned() },
                Reach::from(Folders::anywhere(folder.path())),
            );
            let mut input = InputFile::open(&from, &folders, &crate::testing::step()).unwrap();
            input.consume(1000);
            change(&mut file, &path);
            let read = (0..9).try_for_each(|_| input.fill());
            let found = match read {
                Ok(()) => format!("{} bytes", input.unread().len() + 1000),
                Err(error) => error.to_string().split_once(": ").unwrap().1.to_owned(),
            };
            assert_eq!(found, expected);
        };
        let length = content.len();
        check(&|_, _| {}, &format!("{length} bytes"));
        check(&|file, _| file.set_len(200_000).unwrap(), &format!("it has 200000 bytes, and had {length}"));
        let rewrite = |file: &mut File, at: u64| {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(b"XXXX").unwrap();
        };
        check(&|file, _| rewrite(file, 300_000), "it was written to while it was read");
        check(&|file, _| rewrite(file, 0), "it was written to while it was read");
        check(&|file, _| rewrite(file, length as u64), &format!("{} bytes", length + 4));
        let rewritten = "what was read of it was rewritten";
        check(&|file, _| [0, length as u64].into_iter().for_each(|at| rewrite(file, at)), rewritten);
        check(
            &|file, _| [WINDOW_BYTES as u64 - 4, length as u64].into_iter().for_each(|at| rewrite(file, at)),
            rewritten,
        );
        let replace = |path: &std::path::Path| {
            std::fs::write(path.with_extension("new"), b"other").unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        };
        check(&|_, path| replace(path), "another file was put in its place while it was read");
        check(&|_, path| std::fs::remove_file(path).unwrap(), &format!("{length} bytes"));
    }
}
