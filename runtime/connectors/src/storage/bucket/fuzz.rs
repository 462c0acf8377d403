//! A bucket that answers any bytes, for the fuzz target of that name.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use opendal_core::{Buffer, HttpBody, HttpTransport};

use super::answer::Door;
use super::{Bucket, Object, page};
use crate::storage::S3Settings;

/// The length of the object of which a range is read, in bytes.
const OBJECT_BYTES: u64 = 5_000;
/// The largest length of an object that is read in one go, in bytes.
const BYTES_MAX: u64 = 1_000;
/// The folder to list.
const FOLDER: &str = "out/.a.part/";

/// Gives these answers to a bucket, one after the other, and checks the results.
///
/// # Panics
///
/// If the bucket delivers more than was asked for, or an object of another name.
pub(crate) fn answers(bytes: &[u8]) {
    let bucket = |bytes| Bucket::over(Answers::of(bytes));
    if let Ok(listed) = bucket(bytes).list(FOLDER) {
        assert!(listed.iter().all(|(path, _)| path.starts_with(FOLDER)), "{listed:?}");
    }
    if let Ok(Some(read)) = bucket(bytes).read("in.csv", BYTES_MAX) {
        assert!(read.len() as u64 <= BYTES_MAX, "{} bytes", read.len());
    }
    let object = Object { length: OBJECT_BYTES, version: None, run: None, keeps_run: true };
    for range in [0..10, 10..300, 4_990..OBJECT_BYTES] {
        if let Ok(read) = bucket(bytes).begin_read("in.csv", &object, range.clone()).wait() {
            assert!(read.len() as u64 <= range.end - range.start, "{range:?}: {} bytes", read.len());
        }
    }
    let _ = bucket(bytes).find("in.csv");
    if let Some(first) = page::read(bytes, FOLDER) {
        let again = page::read(&first.text, FOLDER).expect("what is left can be read");
        assert_eq!((again.keys, &again.text), (first.keys, &first.text), "nothing more is left out");
    }
}

struct Answers(Mutex<VecDeque<Response<Bytes>>>);

impl Answers {
    /// Reads the answers. Each begins with one byte for its status and headers, and two bytes for the length of its
    /// body.
    fn of(mut bytes: &[u8]) -> Self {
        let mut answers = VecDeque::new();
        while let [kind, high, low, rest @ ..] = bytes {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
            let (body, later) = rest.split_at(length);
            let status = [200, 206, 200, 206, 204, 304, 403, 404][usize::from(kind & 7)];
            let mut answer = Response::builder().status(status);
            if kind & 8 != 0 {
                answer = answer.header("etag", "\"0\"");
            }
            if kind & 16 != 0 {
                answer = answer.header("content-range", "bytes 10-299/5000");
            }
            if kind & 32 != 0 {
                answer = answer.header("content-range", body.get(..body.len().min(30)).unwrap_or_default());
            }
            if kind & 64 != 0 {
                answer = answer.header("content-length", length);
            }
            if kind & 128 != 0 {
                answer = answer.header("content-type", "application/xml");
            }
            // An answer with an invalid header is left out.
            answers.extend(answer.body(Bytes::copy_from_slice(body)));
            bytes = later;
        }
        Self(Mutex::new(answers))
    }
}

impl HttpTransport for Answers {
    async fn fetch(&self, _: Request<Buffer>) -> opendal_core::Result<Response<HttpBody>> {
        let next = self.0.lock().expect("nobody panicked").pop_front();
        let (head, body) = next.unwrap_or_else(|| Response::new(Bytes::new())).into_parts();
        let pieces: Vec<_> =
            body.chunks(700).map(|piece| Ok(Buffer::from(Bytes::copy_from_slice(piece)))).collect();
        Ok(Response::from_parts(head, HttpBody::new(futures_util::stream::iter(pieces), None)))
    }
}

impl Bucket {
    /// A bucket that receives these answers through the door.
    fn over(answers: Answers) -> Self {
        let settings = S3Settings {
            bucket: "acme".to_owned(),
            prefix: "shop/".to_owned(),
            region: "eu-central-1".to_owned(),
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            access_key_id: "key".into(),
            secret_access_key: "secret".into(),
        };
        let operator = settings.operator("exchange", Door(answers)).expect("good settings");
        Self::bare(operator, "exchange", "s3://acme/shop/".to_owned(), settings.prefix.len())
    }
}
