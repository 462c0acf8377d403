//! What a route gives. Each answer describes itself.

use std::marker::PhantomData;

use axum::http::header::{ACCEPT, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::describing::Describing;
use super::failure::Failure;

/// An answer of a route. It gets the head of the request, for the form that the client wants.
pub(crate) trait Answer: Send + 'static {
    fn answer(self, headers: &HeaderMap) -> impl Future<Output = Result<Response, Failure>> + Send;

    fn describe(operation: &mut Describing);
}

/// Which of these types the client wants most, by `Accept`; the first one if it wants none of them.
pub(crate) fn negotiated(headers: &HeaderMap, known: &[&'static str]) -> &'static str {
    let wishes = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    let wish = |wish: &str| {
        let mut parts = wish.split(';').map(str::trim);
        let kind = parts.next()?.to_ascii_lowercase();
        let kind = known.iter().find(|known| {
            **known == kind || (kind == "application/x-ndjson" && **known == "application/jsonl")
        })?;
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
        (weight > 0.0).then_some((*kind, weight))
    };
    let mut best = (known[0], 0.0);
    for (kind, weight) in wishes.filter_map(wish) {
        if weight > best.1 {
            best = (kind, weight);
        }
    }
    best.0
}

fn json_response(status: StatusCode, value: &impl Serialize) -> Result<Response, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::unexpected(error.to_string()))?;
    let mut response = (status, text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The tag of a version.
fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

/// A thing, with 200.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for Shown<T> {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        json_response(StatusCode::OK, &self.0)
    }

    fn describe(operation: &mut Describing) {
        let schema = operation.schema::<T>();
        operation.answer(200, "Done.", &[("application/json", schema)]);
    }
}

/// Several things that have no list of pages.
pub(crate) struct All<T>(pub(crate) Vec<T>);

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for All<T> {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        json_response(StatusCode::OK, &json!({ "items": self.0 }))
    }

    fn describe(operation: &mut Describing) {
        let item = operation.schema::<T>();
        let schema = json!({
            "type": "object",
            "required": ["items"],
            "properties": { "items": { "type": "array", "items": item } },
        });
        operation.answer(200, "All of them.", &[("application/json", schema)]);
    }
}

/// JSON of a form that the interface does not decide, such as a JSON Schema.
pub(crate) struct AnyJson(pub(crate) &'static str, pub(crate) Value);

impl Answer for AnyJson {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = json_response(StatusCode::OK, &self.1)?;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.0));
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        let schema = json!({ "type": "object" });
        operation.answer(
            200,
            "Done.",
            &[("application/json", schema.clone()), ("application/schema+json", schema)],
        );
    }
}

/// A thing with a version, as its `ETag`.
pub(crate) struct Versioned<T>(pub(crate) u64, pub(crate) T);

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for Versioned<T> {
    async fn answer(self, headers: &HeaderMap) -> Result<Response, Failure> {
        let mut response = Shown(self.1).answer(headers).await?;
        response.headers_mut().insert(ETAG, etag(self.0));
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        Shown::<T>::describe(operation);
        operation.answer_header(200, "ETag", "The version, for `If-Match`.");
    }
}

/// A new thing: its address, its version if it has some, and itself.
pub(crate) struct Created<T> {
    /// The address, relative to the address of the request.
    pub(crate) at: String,
    pub(crate) version: Option<u64>,
    pub(crate) thing: T,
}

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for Created<T> {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = json_response(StatusCode::CREATED, &self.thing)?;
        if let Ok(at) = HeaderValue::from_str(&self.at) {
            response.headers_mut().insert(LOCATION, at);
        }
        if let Some(version) = self.version {
            response.headers_mut().insert(ETAG, etag(version));
        }
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        let schema = operation.schema::<T>();
        operation.answer(201, "Created.", &[("application/json", schema)]);
        operation.answer_header(201, "Location", "The address of the new thing.");
    }
}

/// Done, with nothing to show.
pub(crate) struct Done;

impl Answer for Done {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn describe(operation: &mut Describing) {
        operation.answer(204, "Done.", &[]);
    }
}

/// A kind of text.
pub(crate) trait TextKind: Send + 'static {
    /// Its media type, with its parameters.
    const TYPE: &'static str;
}

/// A text for people.
pub(crate) struct Plain;

/// A page.
pub(crate) struct Html;

/// A JSON object that is ready to be sent.
pub(crate) struct JsonText;

/// Counters for Prometheus.
pub(crate) struct OpenMetrics;

impl TextKind for Plain {
    const TYPE: &'static str = "text/plain; charset=utf-8";
}

impl TextKind for Html {
    const TYPE: &'static str = "text/html; charset=utf-8";
}

impl TextKind for JsonText {
    const TYPE: &'static str = "application/json";
}

impl TextKind for OpenMetrics {
    const TYPE: &'static str = stepbox::METRICS_TYPE;
}

/// A text of one kind, which the document declares.
pub(crate) struct Text<K> {
    text: String,
    kind: PhantomData<K>,
}

impl<K> Text<K> {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: PhantomData }
    }
}

impl<K: TextKind> Answer for Text<K> {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = self.text.into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(K::TYPE));
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        let kind = K::TYPE.split(';').next().unwrap_or_default();
        let form = if kind == JsonText::TYPE { "object" } else { "string" };
        operation.answer(200, "The text.", &[(kind, json!({ "type": form }))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_wanted_most_is_given() {
        let known = ["application/json", "text/csv", "application/jsonl"];
        let rows = [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("text/csv", "text/csv"),
            ("Text/CSV; q=0.5, application/jsonl", "application/jsonl"),
            ("text/csv;q=0", "application/json"),
            ("application/x-ndjson", "application/jsonl"),
            ("text/html, image/webp", "application/json"),
            ("text/csv;q=x", "application/json"),
        ];
        for (accept, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(negotiated(&headers, &known), expected, "{accept}");
        }
    }
}
