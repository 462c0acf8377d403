//! Bodies of requests: their type and length are judged before they are read, and slow ones are given up.

use std::fs::DirBuilder;
use std::io::{self, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use stepbox::batch::strict_json;
use stepbox_api::problem::ProblemKind;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::asking::Asking;
use super::failure::Failure;
use super::spooled::{Spooled, unwritable};

/// How long a JSON body may be, in bytes.
pub(crate) const JSON_BYTES_MAX: u64 = 1 << 20;
/// How long a client may take for a JSON body.
const JSON_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a client may send nothing of a large body.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(20);
/// After this time a large body must have had at least [`RATE_MIN`] bytes a second.
const RATE_AFTER: Duration = Duration::from_secs(20);
/// The least rate of a large body, in bytes a second.
const RATE_MIN: u64 = 4 << 10;

/// Refuses a body where none is read.
pub(crate) fn refuse_body(headers: &HeaderMap) -> Result<(), Failure> {
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    match is_empty && !headers.contains_key(TRANSFER_ENCODING) {
        true => Ok(()),
        false => Err(Failure::bad_request("body-unexpected", "this address takes no body")),
    }
}

/// Reads a JSON body.
pub(crate) async fn read_json<T: DeserializeOwned>(asking: &mut Asking) -> Result<T, Failure> {
    refuse_other_type(asking.headers(), &["application/json"])?;
    refuse_longer(asking.headers(), JSON_BYTES_MAX)?;
    let body = asking.take_body();
    let whole = timeout(JSON_TIME_MAX, whole(body, JSON_BYTES_MAX)).await.map_err(|_| too_slow())??;
    of_json(&whole)
}

/// Reads the fields of a form.
pub(crate) async fn read_form(asking: &mut Asking) -> Result<String, Failure> {
    refuse_other_type(asking.headers(), &["application/x-www-form-urlencoded"])?;
    refuse_longer(asking.headers(), JSON_BYTES_MAX)?;
    let body = asking.take_body();
    let whole = timeout(JSON_TIME_MAX, whole(body, JSON_BYTES_MAX)).await.map_err(|_| too_slow())??;
    String::from_utf8(whole.into())
        .map_err(|_| Failure::bad_request("body-malformed", "the form is not UTF-8"))
}

/// A value from strict JSON.
pub(crate) fn of_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    let value = strict_json::parse(text).map_err(|error| {
        let failure = Failure::bad_request("body-malformed", format!("the body is no JSON of ours: {error}"));
        match error.is_rounded_number {
            true => failure.with_help("write the number as a text"),
            false => failure,
        }
    })?;
    // Fields have names: a list would give them by their places.
    if !value.is_object() {
        return Err(Failure::bad_request(
            "body-invalid",
            "the body is not what is expected: it is no JSON object",
        ));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        let said = error.into_inner().to_string();
        match said.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => {
                let failure =
                    Failure::bad_request("unknown-field", format!("the body has an unknown field `{field}`"));
                let pointer = match pointer.ends_with(&format!("/{}", escaped(field))) {
                    true => pointer,
                    false => format!("{pointer}/{}", escaped(field)),
                };
                failure.with_part(pointer, said)
            }
            None => {
                let failure =
                    Failure::bad_request("body-invalid", format!("the body is not what is expected: {said}"));
                failure.with_part(pointer, said)
            }
        }
    })
}

/// A path of the parser as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escaped(key)),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Refuses a body of another type. A second type, an encoding or another character set could make two readers read two
/// different things.
pub(crate) fn refuse_other_type(headers: &HeaderMap, kinds: &[&str]) -> Result<(), Failure> {
    let refused = |what: &str| {
        let failure = Failure::new(ProblemKind::UnsupportedMediaType, "content-type", what);
        Err(failure.with_help(format!("send it as `{}`", kinds.join("` or `"))))
    };
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return refused("an encoded body is not read");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else {
        return refused("the body needs one type");
    };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let (kind, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
    let is_known = kinds.contains(&kind.trim());
    // The only parameter that has a meaning, and the only value that it may have.
    let is_plain = ["", "charset=utf-8", "charset=\"utf-8\""].contains(&parameters.trim());
    match is_known && is_plain {
        true => Ok(()),
        false => refused("the body has another type than this address takes"),
    }
}

/// Refuses a body whose announced length is too large, before anything of it is read.
pub(crate) fn refuse_longer(headers: &HeaderMap, bytes_max: u64) -> Result<(), Failure> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > bytes_max) {
        true => Err(too_large(bytes_max)),
        false => Ok(()),
    }
}

async fn whole(body: Body, bytes_max: u64) -> Result<Bytes, Failure> {
    let (mut stream, mut whole) = (body.into_data_stream(), BytesMut::new());
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| broken_off())?;
        if (whole.len() + piece.len()) as u64 > bytes_max {
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Writes a large body into a file without a name in a folder, piece by piece.
pub(crate) async fn spool(
    asking: &mut Asking,
    kinds: &[&str],
    bytes_max: u64,
    folder: &Path,
) -> Result<Spooled, Failure> {
    refuse_other_type(asking.headers(), kinds)?;
    refuse_longer(asking.headers(), bytes_max)?;
    let pieces = asking.take_body().into_data_stream().map(|piece| piece.map_err(|_| broken_off()));
    spool_pieces(pieces, bytes_max, folder).await
}

/// Writes what arrives into a file without a name in a folder.
pub(super) async fn spool_pieces(
    pieces: impl Stream<Item = Result<Bytes, Failure>>,
    bytes_max: u64,
    folder: &Path,
) -> Result<Spooled, Failure> {
    let folder = folder.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        // Nobody else looks into it.
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        tempfile::tempfile_in(folder)
    });
    let made = made.await;
    let file = made.map_err(io::Error::other).and_then(|made| made).map_err(|error| unwritable(&error))?;
    let (mut file, mut size, began_at) = (File::from_std(file), 0, Instant::now());
    let mut pieces = pin!(pieces);
    while let Some(piece) = timeout(PAUSE_MAX, pieces.next()).await.map_err(|_| too_slow())? {
        let piece = piece?;
        size += piece.len() as u64;
        if size > bytes_max {
            return Err(too_large(bytes_max));
        }
        let elapsed = began_at.elapsed();
        if elapsed > RATE_AFTER && size < RATE_MIN * elapsed.as_secs() {
            return Err(too_slow());
        }
        file.write_all(&piece).await.map_err(|error| unwritable(&error))?;
    }
    file.flush().await.map_err(|error| unwritable(&error))?;
    file.seek(SeekFrom::Start(0)).await.map_err(|error| unwritable(&error))?;
    Ok(Spooled { file, size })
}

pub(super) fn too_large(bytes_max: u64) -> Failure {
    let detail = format!("the body is longer than {bytes_max} bytes");
    Failure::new(ProblemKind::TooLarge, "body-too-large", detail)
}

pub(super) fn too_slow() -> Failure {
    let title = "The request took too long";
    Failure::with_status(StatusCode::REQUEST_TIMEOUT, title, "body-too-slow", "the body arrived too slowly")
}

pub(super) fn broken_off() -> Failure {
    Failure::bad_request("body-broken-off", "the body broke off")
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        #[serde(default)]
        count: u32,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read")]
        a: u32,
    }

    async fn read(kinds: &[&str], body: &str) -> String {
        let mut request = Request::builder().uri("/").method("POST");
        for kind in kinds {
            request = request.header(CONTENT_TYPE, *kind);
        }
        let mut asking =
            Asking::new(crate::testing::tools().await, request.body(body.to_owned().into()).unwrap())
                .await
                .unwrap();
        match read_json::<Thing>(&mut asking).await {
            Ok(thing) => format!("{} {}", thing.count, thing.inner.len()),
            Err(failure) => {
                let errors = &failure.problem().errors;
                let pointers: Vec<_> = errors.iter().map(|part| part.pointer.as_str()).collect();
                format!("{} {} {}", failure.status().as_u16(), failure.code(), pointers.join(","))
                    .trim_end()
                    .to_owned()
            }
        }
    }

    #[tokio::test]
    async fn json_is_read_strictly() {
        let long = format!(r#"{{"count":1,"pad":"{}"}}"#, "x".repeat(1 << 20));
        let rows: [(&[&str], &str, &str); 18] = [
            (&["application/json"], r#"{"count":7}"#, "7 0"),
            (&["application/json; charset=utf-8"], r#"{"count":7}"#, "7 0"),
            (&["Application/JSON;charset=\"UTF-8\""], r#"{"inner":[{"a":1}]}"#, "0 1"),
            (&["application/json"], r#"{"count":7"#, "400 body-malformed"),
            (&["application/json"], "", "400 body-malformed"),
            (&["application/json"], r#"{"count":7,"count":8}"#, "400 body-malformed"),
            (&["application/json"], r#"{"count":12345678901234567890123}"#, "400 body-malformed"),
            (&["application/json"], r#"{"other":7}"#, "400 unknown-field /other"),
            (
                &["application/json"],
                r#"{"inner":[{"a":1},{"a":1,"b/c":2}]}"#,
                "400 unknown-field /inner/1/b~1c",
            ),
            (&["application/json"], r#"{"inner":[{"a":"x"}]}"#, "400 body-invalid /inner/0/a"),
            (&["application/json"], r#"[]"#, "400 body-invalid"),
            (&["application/json"], &long, "413 body-too-large"),
            (&[], r#"{"count":7}"#, "415 content-type"),
            (&["text/plain"], r#"{"count":7}"#, "415 content-type"),
            (&["application/json", "text/plain"], r#"{"count":7}"#, "415 content-type"),
            (&["application/json; charset=utf-16"], r#"{"count":7}"#, "415 content-type"),
            (&["application/json; charset=utf-8; x=y"], r#"{"count":7}"#, "415 content-type"),
            (&["multipart/form-data; boundary=x"], r#"{"count":7}"#, "415 content-type"),
        ];
        for (kinds, body, expected) in rows {
            assert_eq!(read(kinds, body).await, expected, "{kinds:?} {body:.60}");
        }
    }
}
