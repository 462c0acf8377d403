//! Files to download. What is in a file was decided by others, so no browser shows one as a page of ours.

use std::fmt::Write as _;
use std::io;

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::answer::Answer;
use super::describing::Describing;
use super::failure::Failure;

/// How much of a file is in memory at a time, in bytes.
const PIECE: usize = 64 << 10;
/// How long the name of a download is at most, in characters.
const NAME_MAX: usize = 150;

/// The types that a download may have, by the end of its name. Everything else is only bytes.
const TYPES: [(&str, &str); 7] = [
    (".csv", "text/csv; charset=utf-8"),
    (".json", "application/json"),
    (".jsonl", "application/jsonl"),
    (".log", "text/plain; charset=utf-8"),
    (".txt", "text/plain; charset=utf-8"),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (".zip", "application/zip"),
];

/// A file to download.
pub(crate) struct Download {
    name: String,
    size: Option<u64>,
    body: Body,
}

impl Download {
    /// A file, read piece by piece.
    pub(crate) fn of(name: &str, size: Option<u64>, file: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self { name: name.to_owned(), size, body: Body::from_stream(pieces(file)) }
    }

    /// The same with its length in bytes, which it must have.
    pub(crate) fn of_length(self, length: u64) -> Self {
        Self { size: Some(length), ..self }
    }

    /// What a stream gives.
    pub(crate) fn streamed(
        name: &str,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        Self { name: name.to_owned(), size: None, body: Body::from_stream(pieces) }
    }
}

fn pieces(file: impl AsyncRead + Send + Unpin + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await? {
            0 => Ok(None),
            _ => Ok(Some((piece.freeze(), file))),
        }
    })
}

impl Answer for Download {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = self.body.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(&self.name)));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
        headers.insert(CONTENT_DISPOSITION, disposition(&self.name));
        if let Some(size) = self.size {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
        }
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        let bytes = json!({ "type": "string", "format": "binary" });
        let mut kinds: Vec<_> =
            TYPES.iter().map(|(_, kind)| kind.split(';').next().unwrap_or(kind)).collect();
        kinds.push("application/octet-stream");
        kinds.dedup();
        let content: Vec<_> = kinds.into_iter().map(|kind| (kind, bytes.clone())).collect();
        operation.answer(200, "The file.", &content);
        operation.answer_header(200, "Content-Disposition", "Its name.");
    }
}

fn kind(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let known = TYPES.iter().find(|(end, _)| name.ends_with(end));
    known.map_or("application/octet-stream", |(_, kind)| kind)
}

/// The name of a download (RFC 6266): a plain one for all, and the true one for those that know RFC 8187.
pub(crate) fn disposition(name: &str) -> HeaderValue {
    // Only the last part, without what turns or hides text, so that a name cannot look like another one.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control() && !is_invisible(*c)).take(NAME_MAX).collect();
    let name = name.trim_matches(['.', ' ']);
    let name = if name.is_empty() { "download" } else { name };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&+-.^_`|~ ()".contains(c);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
                _ => drop(write!(text, "%{byte:02X}")),
            }
        }
    }
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// Marks of direction, joiners and the like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_nothing_but_a_name() {
        let rows = [
            ("out.csv", "attachment; filename=\"out.csv\""),
            ("a b.csv", "attachment; filename=\"a b.csv\""),
            ("../../etc/passwd", "attachment; filename=\"passwd\""),
            ("c:\\windows\\x.exe", "attachment; filename=\"x.exe\""),
            (
                "a\"; filename=\"b.html",
                "attachment; filename=\"a__ filename__b.html\"; filename*=UTF-8''a%22%3B%20filename%3D%22b.html",
            ),
            (
                "a\r\nSet-Cookie: x=y",
                "attachment; filename=\"aSet-Cookie_ x_y\"; filename*=UTF-8''aSet-Cookie%3A%20x%3Dy",
            ),
            ("ün.csv", "attachment; filename=\"_n.csv\"; filename*=UTF-8''%C3%BCn.csv"),
            ("a\u{202e}vsc.exe", "attachment; filename=\"avsc.exe\""),
            ("", "attachment; filename=\"download\""),
            ("..", "attachment; filename=\"download\""),
            ("\0", "attachment; filename=\"download\""),
        ];
        for (name, expected) in rows {
            assert_eq!(disposition(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_type_comes_from_our_list() {
        let rows = [
            ("a.csv", "text/csv; charset=utf-8"),
            ("A.JSON", "application/json"),
            ("a.html", "application/octet-stream"),
            ("a.svg", "application/octet-stream"),
            ("csv", "application/octet-stream"),
        ];
        for (name, expected) in rows {
            assert_eq!(kind(name), expected, "{name}");
        }
    }
}
