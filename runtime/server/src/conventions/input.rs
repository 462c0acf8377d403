//! What a route takes besides its thing: query, body, headers. Each part describes itself.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query as AxumQuery;
use axum::http::header::IF_MATCH;
use axum::http::{HeaderName, Uri};
use serde::de::DeserializeOwned;
use serde_json::json;
use stepbox_api::problem::ProblemKind;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::asking::Asking;
use super::body::{read_json, refuse_body};
use super::describing::Describing;
use super::failure::Failure;
use crate::tools::Tools;

/// A part of a request.
pub(crate) trait Input: Sized + Send + 'static {
    /// Whether it reads the query. A query that nobody reads is refused.
    const TAKES_QUERY: bool = false;
    /// Whether it reads the body. A body that nobody reads is refused.
    const TAKES_BODY: bool = false;

    fn read(asking: &mut Asking) -> impl Future<Output = Result<Self, Failure>> + Send;

    fn describe(operation: &mut Describing);
}

/// Refuses what no part of the request reads: it would have no effect.
pub(crate) fn refuse_unread<I: Input>(asking: &Asking) -> Result<(), Failure> {
    if !I::TAKES_QUERY && !asking.query().is_empty() {
        return Err(Failure::bad_request("query-invalid", "this address takes no query"));
    }
    if !I::TAKES_BODY { refuse_body(asking.headers()) } else { Ok(()) }
}

impl Input for () {
    async fn read(_: &mut Asking) -> Result<Self, Failure> {
        Ok(())
    }

    fn describe(_: &mut Describing) {}
}

/// What the routes use besides things.
pub(crate) struct With(pub(crate) Arc<Tools>);

impl Input for With {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        Ok(Self(asking.tools.clone()))
    }

    fn describe(_: &mut Describing) {}
}

/// Who asks, as limits and keys of requests know them.
pub(crate) struct Caller(pub(crate) String);

impl Input for Caller {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        Ok(Self(asking.who.clone().unwrap_or_default()))
    }

    fn describe(_: &mut Describing) {}
}

macro_rules! together {
    ($($name:ident)+) => {
        impl<$($name: Input),+> Input for ($($name,)+) {
            const TAKES_QUERY: bool = $($name::TAKES_QUERY)||+;
            const TAKES_BODY: bool = $($name::TAKES_BODY)||+;

            async fn read(asking: &mut Asking) -> Result<Self, Failure> {
                Ok(($($name::read(asking).await?,)+))
            }

            fn describe(operation: &mut Describing) {
                $($name::describe(operation);)+
            }
        }
    };
}
together!(A B);
together!(A B C);
together!(A B C D);
together!(A B C D E);
together!(A B C D E F);

/// The query, as a type that refuses unknown fields.
pub(crate) struct Query<Q>(pub(crate) Q);

impl<Q: DeserializeOwned + ToSchema + Send + 'static> Input for Query<Q> {
    const TAKES_QUERY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let query = asking.query().to_owned();
        parsed(&query).map(Self)
    }

    fn describe(operation: &mut Describing) {
        operation.query::<Q>();
    }
}

/// Reads a query, of which every part must be known and none may be there twice.
pub(crate) fn parsed<Q: DeserializeOwned>(query: &str) -> Result<Q, Failure> {
    let wrong = |what: String| Failure::bad_request("query-invalid", format!("the query is wrong: {what}"));
    let uri: Uri = format!("/?{query}").parse().map_err(|_| wrong("it is no query".to_owned()))?;
    let read = AxumQuery::try_from_uri(&uri).map_err(|error| wrong(error.body_text()))?;
    Ok(read.0)
}

/// The pairs of a query.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A number as addresses write it: one writing for each, so that no two addresses mean the same thing.
pub(crate) fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    text.parse().ok().filter(|number| is_plain && i64::try_from(*number).is_ok())
}

/// A JSON body, as a type that refuses unknown fields.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema + Send + 'static> Input for Body<T> {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        read_json(asking).await.map(Self)
    }

    fn describe(operation: &mut Describing) {
        let schema = operation.schema::<T>();
        operation.body(&[("application/json", schema)], true);
        operation.problem(422, "The request breaks constraints.");
    }
}

/// The part of the path after the thing: the name of a step, a number.
pub(crate) struct InPath<const PART: char>(pub(crate) String);

/// The names of [`InPath`]'s parts.
const fn part_name(part: char) -> &'static str {
    match part {
        'e' => "execution",
        's' => "step",
        'n' => "number",
        'u' => "user",
        't' => "token",
        'f' => "file",
        'c' => "code",
        'j' => "name",
        'r' => "reference",
        _ => "secret",
    }
}

impl<const PART: char> Input for InPath<PART> {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        Ok(Self(asking.path(part_name(PART)).to_owned()))
    }

    fn describe(_: &mut Describing) {}
}

/// The version that the client has seen, from `If-Match`; `None` for `*`, which is any version.
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl Input for IfMatch {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let Some(text) = asking.header(&IF_MATCH)? else {
            let detail = "say which version you change";
            let failure = Failure::new(ProblemKind::PreconditionRequired, "precondition-required", detail);
            return Err(failure.with_help("send the `ETag` of what you have read as `If-Match`"));
        };
        if text.trim() == "*" {
            return Ok(Self(None));
        }
        let version = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let version = version.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match version.and_then(|digits| digits.parse().ok()) {
            Some(version) => Ok(Self(Some(version))),
            None => {
                let detail = "the header `if-match` is no version: it looks like `\"3\"`";
                Err(Failure::bad_request("header-invalid", detail))
            }
        }
    }

    fn describe(operation: &mut Describing) {
        let text = "The `ETag` of what you have read, or `*` for any version.";
        operation.parameter("header", "If-Match", true, json!({ "type": "string" }), text);
        operation.problem(412, "It was changed in the meantime.");
        operation.problem(428, "The request has to name a version.");
    }
}

/// The header for a caller's own name of a request.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The caller's own name of the request: the same name and request have the same result within a day.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl Input for IdempotencyKey {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let Some(key) = asking.header(&IDEMPOTENCY_KEY)? else { return Ok(Self(None)) };
        let is_good = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        match is_good {
            true => Ok(Self(Some(key.to_owned()))),
            false => {
                let detail = "the header `idempotency-key` has 1 to 255 visible characters";
                Err(Failure::bad_request("header-invalid", detail))
            }
        }
    }

    fn describe(operation: &mut Describing) {
        let text =
            "Your own name for the request. The same name and request get the same execution for 24 hours.";
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        operation.parameter("header", "Idempotency-Key", false, schema, text);
    }
}

/// The header of wishes.
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// How long a request waits at most, in seconds.
const WAIT_S_MAX: u64 = 60;

/// How long the client wants to wait for the end, from `Prefer: wait=30` (RFC 7240).
pub(crate) struct Wait(pub(crate) Option<Duration>);

impl Input for Wait {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let text = asking.header(&PREFER)?.unwrap_or_default();
        // Wishes that are not known are ignored, as the RFC asks.
        let wait = text.split([',', ';']).filter_map(|wish| wish.trim().strip_prefix("wait="));
        let seconds = wait.filter_map(|seconds| seconds.trim_matches('"').parse::<u64>().ok()).next();
        Ok(Self(seconds.map(|seconds| Duration::from_secs(seconds.min(WAIT_S_MAX)))))
    }

    fn describe(operation: &mut Describing) {
        let text = "`wait=N`: wait up to N seconds, at most 60, for the end.";
        operation.parameter("header", "Prefer", false, json!({ "type": "string" }), text);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body as AxumBody;
    use axum::extract::Request;

    use super::*;

    async fn asking(headers: &[(&str, &str)]) -> Asking {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Asking::new(crate::testing::tools().await, request.body(AxumBody::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_version_is_named_as_an_etag() {
        let rows: [(&[(&str, &str)], &str); 8] = [
            (&[("if-match", "\"3\"")], "Some(3)"),
            (&[("if-match", "*")], "None"),
            (&[], "precondition-required"),
            (&[("if-match", "3")], "header-invalid"),
            (&[("if-match", "W/\"3\"")], "header-invalid"),
            (&[("if-match", "\"3\", \"4\"")], "header-invalid"),
            (&[("if-match", "\"99999999999999999999\"")], "header-invalid"),
            (&[("if-match", "\"3\""), ("if-match", "\"4\"")], "header-invalid"),
        ];
        for (headers, expected) in rows {
            let found = match IfMatch::read(&mut asking(headers).await).await {
                Ok(IfMatch(version)) => format!("{version:?}"),
                Err(failure) => failure.code().to_owned(),
            };
            assert_eq!(found, expected, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn a_wish_to_wait_is_bounded() {
        let rows = [
            ("wait=5", Some(5)),
            ("respond-async, wait=10", Some(10)),
            ("wait=86400", Some(60)),
            ("wait=-1", None),
        ];
        for (text, expected) in rows {
            let Wait(wait) = Wait::read(&mut asking(&[("prefer", text)]).await).await.unwrap();
            assert_eq!(wait.map(|wait| wait.as_secs()), expected, "{text}");
        }
    }
}
