//! An object that reads like a file, in large blocks.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::{Buf, Bytes};

use super::{Bucket, Object, Pending};
use crate::error::ConnectorError;

/// The largest number of bytes in one request. The next block is requested while this block is parsed.
const BLOCK_BYTES_MAX: u64 = 4 << 20;
/// The number of bytes in the first request, and in the first request after a seek: it may be the only one. Each
/// further request asks for twice as many bytes as the one before.
const BLOCK_BYTES_MIN: u64 = 256 << 10;

/// An object while it is read. All reads are from the same version.
pub(crate) struct BucketInput {
    bucket: Bucket,
    path: String,
    object: Object,
    /// The offset of the first byte in `block`.
    offset: u64,
    block: Bytes,
    next: Option<Pending<Bytes>>,
    /// How many bytes the next request asks for.
    block_bytes: u64,
}

impl BucketInput {
    pub(crate) fn open(bucket: &Bucket, path: &str) -> Result<Self, ConnectorError> {
        bucket.check_path(path)?;
        let object = bucket.find(path)?.ok_or_else(|| {
            let error = opendal_core::Error::new(opendal_core::ErrorKind::NotFound, "");
            bucket.failed("open", path, &error)
        })?;
        let (bucket, path) = (bucket.clone(), path.to_owned());
        Ok(Self {
            bucket,
            path,
            object,
            offset: 0,
            block: Bytes::new(),
            next: None,
            block_bytes: BLOCK_BYTES_MIN,
        })
    }

    /// The length of the object, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.object.length
    }

    /// The version of the object.
    pub(crate) fn version(&self) -> Option<&str> {
        self.object.version.as_deref()
    }

    fn request(&mut self, from: u64) -> Option<Pending<Bytes>> {
        let to = from.saturating_add(self.block_bytes).min(self.object.length);
        self.block_bytes = BLOCK_BYTES_MAX.min(self.block_bytes * 2);
        (from < to).then(|| self.bucket.begin_read(&self.path, &self.object, from..to))
    }

    fn fetch(&mut self) -> io::Result<()> {
        let next = match self.next.take() {
            None => self.request(self.offset),
            next => next,
        };
        let Some(next) = next else { return Ok(()) };
        let failed = |error| io::Error::other(self.bucket.failed("read", &self.path, &error));
        self.block = next.wait().map_err(failed)?;
        if self.block.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.next = self.request(self.offset + self.block.len() as u64);
        Ok(())
    }
}

impl Read for BucketInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.block.is_empty() {
            self.fetch()?;
        }
        let bytes = self.block.len().min(buffer.len());
        self.block.copy_to_slice(&mut buffer[..bytes]);
        self.offset += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for BucketInput {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(to) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        match to.checked_sub(self.offset) {
            // The target is within the current block.
            Some(ahead) if ahead <= self.block.len() as u64 && !self.block.is_empty() => {
                self.block.advance(ahead as usize);
            }
            _ => (self.block, self.next, self.block_bytes) = (Bytes::new(), None, BLOCK_BYTES_MIN),
        }
        self.offset = to;
        Ok(to)
    }
}
