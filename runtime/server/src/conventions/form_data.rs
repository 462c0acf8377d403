//! Forms with a file, as browsers send them: `multipart/form-data` (RFC 7578).
//!
//! Of the format, only what browsers write is understood: nothing before the first part, no encodings, short heads. So
//! no more than a piece of the body and one head is ever in memory.

use axum::body::BodyDataStream;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use super::asking::Asking;
use super::body::{PAUSE_MAX, broken_off, refuse_longer, spool_pieces, too_slow};
use super::failure::Failure;
use super::spooled::Spooled;

/// How long the head of a part may be, in bytes.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// How long all fields that are no file may be together, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// How many parts a form may have.
const PARTS_MAX: usize = 20;
/// How long a boundary is at most, in bytes (RFC 2046).
const BOUNDARY_BYTES_MAX: usize = 70;

/// A form with a file.
pub(crate) struct FormData {
    /// The name that the file has at the sender.
    pub(crate) name: String,
    /// The file.
    pub(crate) file: Spooled,
    /// The other fields, in their order; small files as their text.
    pub(crate) fields: Vec<(String, String)>,
}

impl FormData {
    /// A field that is no file and is not empty.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Reads a form. The part `file` goes to a file of at most `bytes_max` bytes without a name.
pub(crate) async fn read_form_data(
    asking: &mut Asking,
    file: &str,
    bytes_max: u64,
) -> Result<FormData, Failure> {
    let boundary = boundary(asking)?;
    refuse_longer(asking.headers(), bytes_max + (TEXT_BYTES_MAX + PARTS_MAX * HEAD_BYTES_MAX) as u64)?;
    let folder = asking.tools.spool.clone();
    let mut parts = Parts::new(asking.take_body().into_data_stream(), &boundary);
    let (mut found, mut fields, mut left, mut count) = (None, Vec::new(), TEXT_BYTES_MAX, 0);
    while let Some(head) = parts.next().await? {
        count += 1;
        if count > PARTS_MAX {
            return Err(malformed("it has too many parts"));
        }
        if head.name == file {
            let name = head.file_name.unwrap_or_default();
            let pieces = stream::unfold(&mut parts, |parts| async move {
                let piece = parts.piece().await.transpose()?;
                Some((piece, parts))
            });
            if found.replace((name, spool_pieces(pieces, bytes_max, &folder).await?)).is_some() {
                return Err(malformed("it has the file twice"));
            }
        } else {
            let text = parts.text(&mut left).await?;
            fields.push((head.name, text));
        }
    }
    match found {
        // A browser sends an empty part if no file was chosen.
        Some((name, body)) if !name.is_empty() || body.size > 0 => Ok(FormData { name, file: body, fields }),
        _ => {
            let failure = Failure::bad_request("body-invalid", "no file was chosen");
            Err(failure.with_help("choose a file, or drop one"))
        }
    }
}

fn malformed(what: &str) -> Failure {
    Failure::bad_request("body-malformed", format!("the form cannot be read: {what}"))
}

/// The boundary that the type of the body names.
fn boundary(asking: &Asking) -> Result<String, Failure> {
    let kind = asking.header(&CONTENT_TYPE)?.unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data")) {
        let failure = Failure::new(
            stepbox_api::problem::ProblemKind::UnsupportedMediaType,
            "content-type",
            "the body has another type than this address takes",
        );
        return Err(failure.with_help("send it as `multipart/form-data`"));
    }
    let value = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    });
    let is_plain = |text: &String| {
        (1..=BOUNDARY_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte))
    };
    value.filter(is_plain).ok_or_else(|| malformed("it names no boundary"))
}

/// The head of a part.
struct PartHead {
    name: String,
    file_name: Option<String>,
}

/// The parts of a body, one after the other. Each must be read to its end before the next one.
struct Parts {
    body: BodyDataStream,
    buffer: BytesMut,
    /// What stands between parts.
    delimiter: Vec<u8>,
}

impl Parts {
    fn new(body: BodyDataStream, boundary: &str) -> Self {
        // The first part has no line before it; with one, all begin alike.
        Self { body, buffer: BytesMut::from(&b"\r\n"[..]), delimiter: format!("\r\n--{boundary}").into() }
    }

    /// Takes in more of the body.
    async fn more(&mut self) -> Result<(), Failure> {
        let piece = timeout(PAUSE_MAX, self.body.next()).await.map_err(|_| too_slow())?;
        let piece = piece.ok_or_else(broken_off)?.map_err(|_| broken_off())?;
        self.buffer.extend_from_slice(&piece);
        Ok(())
    }

    /// The head of the next part; `None` after the last one.
    async fn next(&mut self) -> Result<Option<PartHead>, Failure> {
        let length = self.delimiter.len();
        while self.buffer.len() < length + 2 {
            self.more().await?;
        }
        if !self.buffer.starts_with(&self.delimiter) {
            return Err(malformed("it does not begin with its boundary"));
        }
        let _ = self.buffer.split_to(length);
        match &self.buffer[..2] {
            b"--" => return Ok(None),
            b"\r\n" => {}
            _ => return Err(malformed("a boundary does not end its line")),
        }
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(malformed("the head of a part is too long"));
            }
            self.more().await?;
        };
        let head = self.buffer.split_to(end + 4);
        let head = std::str::from_utf8(&head[2..end]).map_err(|_| malformed("a head is not UTF-8"))?;
        head_of(head).map(Some).ok_or_else(|| malformed("a part has no name"))
    }

    /// The next piece of the part; `None` at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match find(&self.buffer, &self.delimiter) {
                Some(0) => return Ok(None),
                Some(end) => return Ok(Some(self.buffer.split_to(end).freeze())),
                // The end of the buffer may be the beginning of a delimiter.
                None if self.buffer.len() >= self.delimiter.len() => {
                    let safe = self.buffer.len() - (self.delimiter.len() - 1);
                    return Ok(Some(self.buffer.split_to(safe).freeze()));
                }
                None => self.more().await?,
            }
        }
    }

    /// The rest of the part as a text, of which `left` bytes may still come.
    async fn text(&mut self, left: &mut usize) -> Result<String, Failure> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            *left = left.checked_sub(piece.len()).ok_or_else(|| malformed("its fields are too long"))?;
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text).map_err(|_| malformed("a field is not UTF-8"))
    }
}

/// Where the pattern, which begins with a carriage return, begins.
fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(place) = text[from..].iter().position(|byte| *byte == b'\r') {
        if text[from + place..].starts_with(pattern) {
            return Some(from + place);
        }
        from += place + 1;
    }
    None
}

/// The names in the head of a part.
fn head_of(text: &str) -> Option<PartHead> {
    let disposition = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let parameter = |wanted: &str| {
        let mut rest = disposition.trim_start().strip_prefix("form-data")?;
        // Browsers write `"` in names as `%22`, so a quote ends a value.
        while let Some((name, value)) = rest.split_once("=\"") {
            let (value, after) = value.split_once('"')?;
            if name.trim_start_matches([';', ' ']) == wanted {
                return Some(value.to_owned());
            }
            rest = after;
        }
        None
    };
    Some(PartHead { name: parameter("name")?, file_name: parameter("filename") })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;

    use super::*;

    fn form(boundary: &str, parts: &[(&str, &str)]) -> String {
        let parts = parts.iter().map(|(head, text)| {
            format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
        });
        format!("{}--{boundary}--\r\n", parts.collect::<String>())
    }

    /// Reads a form that arrives in pieces of this length.
    async fn read(kind: &str, body: &str, length: usize) -> String {
        let pieces: Vec<_> = body.as_bytes().chunks(length.max(1)).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let request = Request::builder().uri("/").method("POST").header(CONTENT_TYPE, kind);
        let request = request.body(Body::from_stream(pieces)).unwrap();
        let mut asking = Asking::new(crate::testing::tools().await, request).await.unwrap();
        match read_form_data(&mut asking, "component", 1000).await {
            Ok(form) => {
                let fields: Vec<_> =
                    form.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let (name, bytes) = (form.name.clone(), form.file.into_bytes().await.unwrap());
                format!("{name}:{} {}", String::from_utf8_lossy(&bytes), fields.join(","))
            }
            Err(failure) => format!("{} {}", failure.code(), failure.problem().detail),
        }
    }

    #[tokio::test]
    async fn a_form_is_read_in_whatever_pieces_it_arrives() {
        let kind = "multipart/form-data; boundary=----WebKitFormBoundaryX";
        let body = form(
            "----WebKitFormBoundaryX",
            &[
                ("name=\"signature\"; filename=\"a.minisig\"", "untrusted\r\ncomment"),
                ("name=\"component\"; filename=\"a.wasm\"", "one\r\n--two\r\n------WebKit\r\nthree"),
                ("name=\"after\"", ""),
            ],
        );
        for length in [1, 2, 3, 7, 64, 4096] {
            let expected =
                "a.wasm:one\r\n--two\r\n------WebKit\r\nthree signature=untrusted\r\ncomment,after=";
            assert_eq!(read(kind, &body, length).await, expected, "{length}");
        }
    }

    #[tokio::test]
    async fn what_no_browser_sends_is_refused() {
        let kind = "multipart/form-data; boundary=b";
        let file = "name=\"component\"; filename=\"a\"";
        let rows = [
            (kind, form("b", &[(file, &"x".repeat(1001))]), "body-too-large"),
            (kind, form("b", &[(file, "x"), (file, "y")]), "body-malformed"),
            (kind, form("b", &[("filename=\"a\"", "x")]), "body-malformed"),
            (kind, form("b", &[("name=\"component\"; filename=\"\"", "")]), "body-invalid"),
            (kind, form("b", &[]), "body-invalid"),
            (kind, form("b", &[(file, "x")]).replace("--b--", ""), "body-broken-off"),
            (kind, format!("before\r\n{}", form("b", &[(file, "x")])), "body-malformed"),
            (kind, form("b", &[("name=\"a\"", &"x".repeat(70_000)), (file, "x")]), "body-malformed"),
            (kind, form("b", &[(&format!("name=\"{}\"", "x".repeat(9000)), "x")]), "body-malformed"),
            (kind, form("b", &vec![("name=\"a\"", "x"); 21]), "body-malformed"),
            ("multipart/form-data", form("b", &[(file, "x")]), "body-malformed"),
            ("multipart/form-data; boundary=\"a\u{e4}\"", form("b", &[(file, "x")]), "header-invalid"),
            ("application/wasm", form("b", &[(file, "x")]), "content-type"),
        ];
        for (kind, body, expected) in rows {
            let found = read(kind, &body, 512).await;
            assert_eq!(found.split(' ').next().unwrap(), expected, "{kind} {body:.60}");
        }
    }
}
