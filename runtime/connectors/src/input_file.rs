//! A file read in large blocks, of which the reader sees a window.
//!
//! A parser takes whole rows from the window and asks for more when its row does not end there. It
//! keeps no state between two windows: a row that was cut is simply parsed again.

use std::io::{self, Read, Seek, SeekFrom};

use serde::de::Error;
use stepbox_batch::element::Total;
use stepbox_batch::step_context::StepContext;

use crate::bucket::BucketInput;
use crate::error::{ConnectorError, Result};
use crate::fingerprint::fingerprint;
use crate::folders::Folders;
use crate::storage::{Located, Storage};

/// How many bytes are read at a time. Larger windows leave the processor's cache and gain nothing.
pub(crate) const WINDOW_BYTES: usize = 128 << 10;
/// How many bytes before a checkpoint tell whether the file is still the same: a few rows.
const TAIL_BYTES: u64 = 512;

#[cfg(feature = "fuzzing")]
use crate::fuzzing::window_bytes;

#[cfg(not(feature = "fuzzing"))]
fn window_bytes() -> usize {
    WINDOW_BYTES
}

/// What an input is read from: a file, or an object that reads like one.
trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// An open input.
pub(crate) struct InputFile {
    file: Box<dyn Source>,
    context: StepContext,
    path: String,
    /// Fingerprint of the version of an object; none for a file. It is a part of what tells one input from
    /// another.
    version: Option<u64>,
    /// In bytes, when it was opened. It may grow; what is added is read, too.
    length: u64,
    window: Vec<u8>,
    /// The part of the window that was read and not consumed: `start..end`.
    start: usize,
    end: usize,
    /// Where the window ends in the file.
    end_offset: u64,
    is_at_end: bool,
    /// Where its content begins, after a byte order mark.
    content_offset: u64,
}

impl InputFile {
    /// Opens the file and skips the byte order mark of UTF-8.
    pub(crate) fn open(storage: &Storage, folders: &Folders, context: &StepContext) -> Result<Self> {
        let path = storage.path().to_owned();
        let (file, length, version): (Box<dyn Source>, _, _) = match storage.locate(folders)? {
            Located::Folders(folders) => {
                let file = folders.open_input(&path)?;
                let found = file.metadata().map_err(|source| ConnectorError::file("open", &path, source))?;
                (Box::new(file), found.len(), None)
            }
            Located::Bucket(bucket) => {
                let object = BucketInput::open(&bucket.within(context.gate()), &path)?;
                let version = object.version().map(|version| fingerprint(version.as_bytes()));
                let length = object.length();
                (Box::new(object), length, version)
            }
        };
        context.metering().opened_to_read();
        let mut input = Self::new(file, path, length, context.clone())?;
        input.version = version;
        Ok(input)
    }

    fn new(file: Box<dyn Source>, path: String, length: u64, context: StepContext) -> Result<Self> {
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
        };
        while input.unread().len() < 3 && !input.is_at_end {
            input.fill()?;
        }
        match input.unread() {
            [0xef, 0xbb, 0xbf, ..] => input.consume(3),
            // Text has no NUL in its first two characters, unless they are 16 bits wide.
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
                return Err(ConnectorError::NotUtf8 { path: input.path, line: 1, is_utf16: true });
            }
            _ => {}
        }
        input.content_offset = input.offset();
        Ok(input)
    }

    /// The path as it was given, for errors.
    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    /// In bytes, when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What was read and not consumed yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.window[self.start..self.end]
    }

    /// Whether nothing follows in the file after `unread`.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Takes bytes from the window.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Where the first unread byte stands in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.end_offset - self.unread().len() as u64
    }

    /// Reads on, keeping what is unread. The window grows only for a row larger than itself.
    pub(crate) fn fill(&mut self) -> Result<()> {
        // With what `tail` wants of the bytes before: from a bucket they would be fetched again.
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
        Ok(())
    }

    fn read_file(&mut self) -> io::Result<usize> {
        loop {
            match self.file.read(&mut self.window[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Goes on reading after the byte order mark.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.seek(self.content_offset)
    }

    /// Whether so many lines and items can stand before an offset: each takes a byte at least. Numbers
    /// that no reader wrote would overflow where they are counted on.
    pub(crate) fn check_counts(&self, offset: u64, line: u64, items: u64) -> Result<()> {
        if (1..=offset.saturating_add(1)).contains(&line) && items <= offset {
            return Ok(());
        }
        let message = format!("line {line} and {items} items before byte {offset}");
        Err(ConnectorError::BadState { source: serde_json::Error::custom(message) })
    }

    /// Goes on reading where an earlier attempt stopped, if the file is still the one it read.
    pub(crate) fn resume(&mut self, offset: u64, tail: u64) -> Result<()> {
        let changed = |difference| ConnectorError::InputChanged { path: self.path.clone(), difference };
        if offset > self.length {
            return Err(changed(format!("it has {} bytes, {offset} of them were read", self.length)));
        }
        if self.tail_before(offset)? != tail {
            let path = self.path();
            let difference = match self.version {
                None => format!("its content before byte {offset} differs"),
                Some(_) => "another object was put in its place".to_owned(),
            };
            return Err(ConnectorError::InputChanged { path, difference });
        }
        self.seek(offset)
    }

    /// Tells the bytes just before the first unread one from others. Asked for with every chunk, so
    /// what the window still holds is not read again.
    pub(crate) fn tail(&mut self) -> Result<u64> {
        let offset = self.offset();
        let length = offset.min(TAIL_BYTES) as usize;
        match self.start.checked_sub(length) {
            Some(from) => Ok(self.fingerprint(&self.window[from..self.start])),
            None => self.tail_before(offset),
        }
    }

    /// The same for any offset.
    pub(crate) fn tail_before(&mut self, offset: u64) -> Result<u64> {
        let bytes = self.read_before(offset);
        let bytes = bytes.map_err(|source| ConnectorError::file("read", &self.path, source))?;
        Ok(self.fingerprint(&bytes))
    }

    fn fingerprint(&self, tail: &[u8]) -> u64 {
        fingerprint(tail) ^ self.version.unwrap_or_default()
    }

    fn read_before(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let length = offset.min(TAIL_BYTES);
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

    /// How many items there may be in all, when `items` of them took the file up to here.
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
    use super::*;

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

    /// Counting on from there overflowed.
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
            Ok(()) => "same".to_owned(),
            Err(error) => error.to_string(),
        };
        let changed = "`in.csv` is not the file this run began with: ";
        assert_eq!(found(b"a\n1\n2\n3\n", 4), "same");
        assert_eq!(found(b"a\n9\n2\n", 4), format!("{changed}its content before byte 4 differs"));
        assert_eq!(found(b"a\n", 4), format!("{changed}it has 2 bytes, 4 of them were read"));
    }
}
