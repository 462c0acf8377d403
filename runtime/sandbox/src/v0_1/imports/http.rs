//! `stepbox:step/http`: requests within the step's grants, streamed in both directions.

pub(crate) mod answer;
mod checked;
pub(crate) mod exchange;
pub(crate) mod failure;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use wasmtime::component::Resource;

use self::answer::Answer;
use self::checked::Checked;
use self::exchange::Exchange;
use self::failure::HttpFailure;
use crate::budget::Handle;
use crate::egress::{AnswerBody, Egress, EgressError, RequestBody, Timeouts, head, is_forbidden_header, url};
use crate::lengths::{HTTP_METHOD, HTTP_PIECE};
use crate::state::StepState;
use crate::v0_1::bindings::stepbox::step::http::{
    Header, Host, HostExchange, HostResponse, HttpError, Request, Response,
};

/// The maximum that one call reads, in bytes.
const READ_BYTES_MAX: u32 = 1 << 20;

type Outcome<T> = Result<T, HttpFailure>;

/// Checks a request as far as possible before its host is resolved.
fn check(request: Request, egress: &Egress) -> Result<Checked, EgressError> {
    let lengths = request.headers.iter().map(|header| (header.name.len(), header.value.len()));
    head::check(request.url.len(), lengths)?;
    let url = url(&request.url)?;
    let method = method(&request.method)?;
    let headers = headers(request.headers);
    let unsent = egress.check(&method, &url, headers.as_ref().unwrap_or(&HeaderMap::new()))?;
    let mut head = http::Request::new(());
    *head.method_mut() = method;
    *head.headers_mut() = headers?;
    let mut timeouts = Timeouts::default();
    if let Some(ms) = request.timeout_ms {
        timeouts.head = Duration::from_millis(u64::from(ms));
    }
    Ok(Checked { head, url, timeouts, unsent })
}

fn method(text: &str) -> Result<Method, EgressError> {
    HTTP_METHOD.check(text.len()).map_err(|error| EgressError::BadRequest(error.to_string()))?;
    Method::from_bytes(text.as_bytes())
        .map_err(|_| EgressError::BadRequest(format!("`{text}` is no method in upper case")))
}

fn headers(given: Vec<Header>) -> Result<HeaderMap, EgressError> {
    let mut headers = HeaderMap::new();
    for Header { name, value } in given {
        let bad = |problem: &str| EgressError::BadRequest(format!("the header `{name}` {problem}"));
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("has no possible name"))?;
        if is_forbidden_header(&parsed) || parsed == header::CONTENT_LENGTH {
            return Err(bad("is set by the runtime alone"));
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad("has no possible value"))?;
        headers.try_append(parsed, value).map_err(|_| bad("is one too many"))?;
    }
    Ok(headers)
}

impl From<EgressError> for HttpError {
    fn from(error: EgressError) -> Self {
        let text = error.to_string();
        match error {
            EgressError::NotGranted { .. }
            | EgressError::NotInPolicy { .. }
            | EgressError::Forbidden { .. }
            | EgressError::SecretRefused { .. } => Self::Refused(text),
            EgressError::BadRequest(_) => Self::BadRequest(text),
            EgressError::Unreachable(_) => Self::Unreachable(text),
            EgressError::TimedOut(_) => Self::TimedOut(text),
            EgressError::OverLimit(_) => Self::OverLimit(text),
        }
    }
}

impl Host for StepState {
    fn convert_http_error(&mut self, failure: HttpFailure) -> wasmtime::Result<HttpError> {
        match failure {
            HttpFailure::Told(error) => {
                let told = HttpError::from(error);
                if matches!(told, HttpError::Refused(_)) {
                    self.context.metering().refused_request();
                }
                Ok(told)
            }
            HttpFailure::Trap(error) => Err(error),
        }
    }

    async fn send(&mut self, request: Request, body: Vec<u8>) -> Outcome<Resource<Response>> {
        let handle = self.handles.open_request()?;
        let egress = self.egress.clone();
        let checked = check(request, &egress)?;
        if body.len() as u64 > egress.body_bytes_max {
            return Err(EgressError::body_too_large(egress.body_bytes_max, "a request").into());
        }
        HTTP_PIECE
            .check(body.len())
            .map_err(|error| EgressError::OverLimit(format!("{error}; an exchange takes more, in pieces")))?;
        let body = self.account.charge(body.len() as u64)?.hold(body);
        let answer = checked.send(&egress, RequestBody::Whole(body)).await?;
        self.keep(answer, handle)
    }
}

impl StepState {
    fn keep(&mut self, answer: http::Response<AnswerBody>, handle: Handle) -> Outcome<Resource<Response>> {
        let (head, body) = answer.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Ok(self.table.push(Answer { status, headers, body, rest: Bytes::new(), _handle: handle })?)
    }
}

impl HostExchange for StepState {
    async fn start(&mut self, request: Request) -> Outcome<Resource<Exchange>> {
        let handle = self.handles.open_request()?;
        let checked = check(request, &self.egress)?;
        Ok(self.table.push(Exchange::new(checked, self.egress.clone(), handle))?)
    }

    async fn write(&mut self, exchange: Resource<Exchange>, bytes: Vec<u8>) -> Outcome<()> {
        HTTP_PIECE.check(bytes.len()).map_err(|error| EgressError::OverLimit(error.to_string()))?;
        let piece = self.account.charge(bytes.len() as u64)?.hold(bytes);
        Ok(self.table.get_mut(&exchange)?.write(piece).await?)
    }

    async fn finish(&mut self, exchange: Resource<Exchange>) -> Outcome<Resource<Response>> {
        let (answer, handle) = self.table.get_mut(&exchange)?.finish().await?;
        self.keep(answer, handle)
    }

    async fn drop(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<()> {
        self.table.delete(exchange)?;
        Ok(())
    }
}

impl HostResponse for StepState {
    async fn status(&mut self, answer: Resource<Answer>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&answer)?.status)
    }

    async fn headers(&mut self, answer: Resource<Answer>) -> wasmtime::Result<Vec<Header>> {
        let headers = self.table.get(&answer)?.headers.iter();
        let header = |(name, value): (&HeaderName, &HeaderValue)| Header {
            name: name.to_string(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        Ok(headers.map(header).collect())
    }

    async fn read(&mut self, answer: Resource<Answer>, bytes_max: u32) -> Outcome<Vec<u8>> {
        let answer = self.table.get_mut(&answer)?;
        while answer.rest.is_empty() {
            let Some(frame) = answer.body.frame().await else { return Ok(Vec::new()) };
            // The contract has no trailers, so they are dropped.
            answer.rest = frame?.into_data().unwrap_or_default();
        }
        let bytes = answer.rest.len().min(bytes_max.min(READ_BYTES_MAX) as usize);
        let read = answer.rest[..bytes].to_vec();
        answer.rest.advance(bytes);
        Ok(read)
    }

    async fn drop(&mut self, answer: Resource<Answer>) -> wasmtime::Result<()> {
        self.table.delete(answer)?;
        Ok(())
    }
}
