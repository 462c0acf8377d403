//! The passage of a step's secrets: they are inserted into requests to their own hosts, and removed from the
//! answers of those hosts.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use stepbox_batch::remedy::Remedy;
use tokio::task::yield_now;
use url::Url;

use super::body::SentBody;
use super::rewriter::{PIECE_BYTES, Rewriter};
use super::rewritten::Rewritten;
use super::{EgressError, RequestBody};
use crate::memory::Account;
use crate::secrets::{Bound, Direction, Secret, StepSecrets, is_this_machine};

/// The maximum size of a request's headers after secrets are inserted, in bytes.
const HEADERS_BYTES_MAX: u64 = 256 << 10;

/// The secrets of a step, on the way to one host and back.
///
/// Only secrets that may go to this host are removed from its answers: if another host sends a secret, it did
/// not get the secret from here. If a step could see replacements in the answers of any host, it could test a
/// whole dictionary of guesses.
pub(super) struct Passage {
    rules: Vec<(Arc<Bound>, Option<EgressError>)>,
}

impl Passage {
    /// `None` if the step has no secrets.
    pub(super) fn towards(url: &Url, secrets: &StepSecrets) -> Option<Self> {
        let judged = |bound: &Arc<Bound>| (bound.clone(), refuses(&bound.secret, url));
        (!secrets.is_empty()).then(|| Self { rules: secrets.iter().map(judged).collect() })
    }

    /// Refuses a placeholder in a place where no secret is inserted, or towards a host that the secret is not
    /// for.
    pub(super) fn check(&self, method: &Method, url: &Url, headers: &HeaderMap) -> Result<(), EgressError> {
        for (bound, refusal) in &self.rules {
            let placeholder = bound.placeholder();
            let place = if url.as_str().contains(placeholder) {
                "a URL"
            } else if method.as_str().to_ascii_lowercase().contains(placeholder) {
                "a method"
            } else if headers.keys().any(|name| name.as_str().contains(placeholder)) {
                "the name of a header"
            } else {
                continue;
            };
            let cause =
                format!("it stands in {place}, and is put only into values of headers and into bodies");
            let refusal = refusal.clone();
            return Err(refusal.unwrap_or_else(|| refused(&bound.secret, cause, None)));
        }
        self.header_filler().headers(&mut headers.clone())
    }

    /// Inserts the secrets into a request.
    pub(super) async fn fill(
        &self,
        headers: &mut HeaderMap,
        body: RequestBody,
        body_bytes_max: u64,
        account: &Account,
    ) -> Result<SentBody, EgressError> {
        self.header_filler().headers(headers)?;
        if self.is_open() {
            // An echo cannot be found in a compressed answer, or in a part of an answer.
            headers.remove(header::ACCEPT_ENCODING);
            headers.remove(header::RANGE);
        }
        let over = EgressError::body_too_large(body_bytes_max, "a request");
        let filler = self.filler().with_room(body_bytes_max, over);
        match body {
            RequestBody::Whole(bytes) => {
                Ok(RequestBody::Whole(whole(filler, &bytes, account).await?).into_sent())
            }
            RequestBody::Streamed(body) if body.is_end_stream() => Ok(body),
            RequestBody::Streamed(body) => {
                // The final length is not known before the end.
                if self.is_open() && headers.remove(header::CONTENT_LENGTH).is_some() {
                    headers.insert(header::TRANSFER_ENCODING, header::HeaderValue::from_static("chunked"));
                }
                Ok(Rewritten::new(body, Some(filler)).boxed_unsync())
            }
        }
    }

    /// Removes the secrets from an answer's headers. Returns the rewriter for its body; `None` if no secret
    /// may go there.
    pub(super) fn redact(&self, headers: &mut HeaderMap, has_body: bool) -> Option<Rewriter> {
        if !self.is_open() {
            return None;
        }
        // Header names are in lower case here, so the values are compared in lower case.
        let values: Vec<String> =
            self.open().map(|bound| bound.secret.value().to_ascii_lowercase()).collect();
        let is_named_so =
            |name: &&header::HeaderName| values.iter().any(|value| name.as_str().contains(value));
        let named: Vec<_> = headers.keys().filter(is_named_so).cloned().collect();
        for name in named {
            headers.remove(name);
        }
        if let Err(error) = self.redactor().headers(headers) {
            // A placeholder is valid wherever a text is, so this does not happen. If it does, no header
            // passes.
            debug_assert!(false, "{error}");
            headers.clear();
        }
        if has_body {
            // A missing length is better than a wrong one.
            headers.remove(header::CONTENT_LENGTH);
        }
        Some(self.redactor())
    }

    /// Removes the secrets from the text of an error.
    pub(super) fn redact_error(&self, error: EgressError) -> EgressError {
        let redact = |text: String| {
            self.open().fold(text, |text, bound| text.replace(bound.secret.value(), bound.placeholder()))
        };
        match error {
            EgressError::Unreachable(text) => EgressError::Unreachable(redact(text)),
            other => other,
        }
    }

    fn filler(&self) -> Rewriter {
        Rewriter::new(Direction::Out, self.rules.iter().cloned())
    }

    fn header_filler(&self) -> Rewriter {
        let text = format!("over the limit of {HEADERS_BYTES_MAX} bytes in the headers of a request");
        self.filler().with_room(HEADERS_BYTES_MAX, EgressError::OverLimit(text))
    }

    fn redactor(&self) -> Rewriter {
        Rewriter::new(Direction::Back, self.open().map(|bound| (bound.clone(), None)))
    }

    /// The secrets that may go to this host.
    fn open(&self) -> impl Iterator<Item = &Arc<Bound>> {
        self.rules.iter().filter(|(_, refusal)| refusal.is_none()).map(|(bound, _)| bound)
    }

    fn is_open(&self) -> bool {
        self.open().next().is_some()
    }
}

/// Rewrites a body that is complete. A placeholder is short and may stand for a long value, so the memory of
/// the output is charged as it grows. Other tasks get their turn between the pieces.
async fn whole(mut filler: Rewriter, body: &[u8], account: &Account) -> Result<Bytes, EgressError> {
    let (mut filled, mut charge) = (Vec::new(), account.charge(0)?);
    for piece in body.chunks(PIECE_BYTES) {
        filler.push(piece, &mut filled)?;
        charge.cover(filled.capacity() as u64)?;
        yield_now().await;
    }
    filler.finish(&mut filled)?;
    charge.cover(filled.capacity() as u64)?;
    Ok(charge.hold(filled))
}

impl RequestBody {
    /// The body unchanged.
    pub(super) fn into_sent(self) -> SentBody {
        match self {
            Self::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            Self::Streamed(body) => body,
        }
    }
}

/// Why a secret is not sent to a URL; `None` if it may be sent.
fn refuses(secret: &Secret, url: &Url) -> Option<EgressError> {
    let host = url.host_str().unwrap_or_default();
    if !secret.is_for_host_of(url) {
        let (secret_name, cause) = (secret.name().to_owned(), format!("`{host}` is not among its hosts"));
        let remedy = Remedy::AllowSecret { secret: secret_name, host: host.to_owned() };
        return Some(refused(secret, cause, Some(remedy)));
    }
    if url.scheme() != "https" && !url.host().is_some_and(|host| is_this_machine(&host)) {
        let cause = format!(
            "plain `http` to `{host}` could be read on its way; call it by `https` (by `http` secrets go only to \
             addresses of this machine, such as 127.0.0.1, where the policy opens them)"
        );
        return Some(refused(secret, cause, None));
    }
    None
}

fn refused(secret: &Secret, cause: String, remedy: Option<Remedy>) -> EgressError {
    EgressError::SecretRefused { secret: secret.name().to_owned(), cause, remedy }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::testing::account;

    const VALUE: &str = "S3cr3t-Value";

    fn secrets(hosts: &[&str]) -> StepSecrets {
        StepSecrets::bind([Secret::new("token", VALUE, hosts.iter().copied()).unwrap()])
    }

    fn towards(url: &str, secrets: &StepSecrets) -> Passage {
        Passage::towards(&Url::parse(url).unwrap(), secrets).unwrap()
    }

    #[test]
    fn a_secret_goes_to_its_hosts_where_nobody_reads_along() {
        let secrets = secrets(&["a.example", "*.b.example", "localhost", "127.0.0.1", "[::1]", "10.0.0.1"]);
        let (hosts, plain) = ("is not among its hosts", "plain `http` to");
        for (url, expected) in [
            ("https://a.example/", ""),
            ("https://A.example.:8443/path?query", ""),
            ("https://x.b.example/", ""),
            ("https://b.example/", hosts),
            ("https://evil-a.example/", hosts),
            ("https://a.example.evil.example/", hosts),
            ("https://127.0.0.2/", hosts),
            ("https://10.0.0.1/", ""),
            ("http://a.example/", plain),
            ("http://x.b.example/", plain),
            ("http://10.0.0.1/", plain),
            // A name leads wherever a resolver says, so it is not the machine itself for sure.
            ("http://localhost/", plain),
            ("https://localhost/", ""),
            ("http://127.0.0.1:8080/", ""),
            ("http://2130706433/", ""),
            ("http://[::1]/", ""),
            // Another spelling of an address is another host, and NAT64 leads away from this machine.
            ("http://[::ffff:127.0.0.1]/", hosts),
            ("http://[64:ff9b::127.0.0.1]/", hosts),
        ] {
            let found =
                towards(url, &secrets).rules[0].1.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{url}: {found}");
        }
        assert!(
            Passage::towards(&Url::parse("https://a.example/").unwrap(), &StepSecrets::default()).is_none()
        );
    }

    async fn filled(secrets: &StepSecrets, body: RequestBody) -> (HeaderMap, SentBody) {
        let placeholder = secrets.placeholders()["token"].clone();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", format!("Bearer {placeholder}")),
            ("accept-encoding", "gzip".to_owned()),
            ("range", "bytes=0-3".to_owned()),
            ("content-length", "9".to_owned()),
        ] {
            headers.insert(name, HeaderValue::try_from(value).unwrap());
        }
        let passage = towards("https://a.example/", secrets);
        let body = passage.fill(&mut headers, body, 1000, &account()).await.unwrap();
        (headers, body)
    }

    #[tokio::test]
    async fn a_request_with_a_secret_asks_for_answers_that_can_be_looked_through() {
        let secrets = secrets(&["a.example"]);
        let (headers, body) =
            filled(&secrets, RequestBody::Whole(secrets.placeholders()["token"].clone().into())).await;
        assert_eq!(headers["authorization"], format!("Bearer {VALUE}"));
        assert!(headers["authorization"].is_sensitive() && !format!("{headers:?}").contains(VALUE));
        assert!(!headers.contains_key("accept-encoding") && !headers.contains_key("range"));
        assert_eq!(body.size_hint().exact(), Some(VALUE.len() as u64));

        let streamed = RequestBody::Whole("some body".into()).into_sent();
        let (headers, body) = filled(&secrets, RequestBody::Streamed(streamed)).await;
        assert!(!headers.contains_key("content-length"), "how long it will be is not known");
        assert_eq!(headers["transfer-encoding"], "chunked");
        assert_eq!(body.size_hint().exact(), None);

        let none = RequestBody::Whole(Bytes::new()).into_sent();
        let (headers, _) = filled(&secrets, RequestBody::Streamed(none)).await;
        assert!(!headers.contains_key("transfer-encoding"), "nothing is nothing");
    }

    #[tokio::test]
    async fn large_secrets_do_not_make_a_request_of_any_size() {
        let value = "x".repeat(60_000);
        let secrets = StepSecrets::bind([Secret::new("token", value, ["a.example"]).unwrap()]);
        let placeholder = secrets.placeholders()["token"].clone();
        let passage = towards("https://a.example/", &secrets);
        let mut headers = HeaderMap::new();
        headers.insert("x", HeaderValue::try_from(placeholder.repeat(5)).unwrap());
        let over = "over the limit of 262144 bytes in the headers of a request";
        assert_eq!(passage.header_filler().headers(&mut headers).unwrap_err().to_string(), over);
        let body = RequestBody::Whole(placeholder.repeat(5).into());
        let error = passage.fill(&mut HeaderMap::new(), body, 200_000, &account()).await.err().unwrap();
        assert_eq!(error.to_string(), "over the limit of 200000 bytes in the body of a request");
    }

    #[test]
    fn an_answer_has_placeholders() {
        let secrets = secrets(&["a.example"]);
        let placeholder = secrets.placeholders()["token"].clone();
        let passage = towards("https://a.example/", &secrets);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-echo", format!("it was {VALUE}, {VALUE}")),
            ("s3cr3t-value", "1".to_owned()),
            ("x-s3cr3t-value-x", "1".to_owned()),
            ("content-length", "9".to_owned()),
        ] {
            headers.insert(name, HeaderValue::try_from(value).unwrap());
        }
        assert!(passage.redact(&mut headers, true).is_some());
        assert_eq!(headers.len(), 1, "{headers:?}");
        assert_eq!(headers["x-echo"], format!("it was {placeholder}, {placeholder}"));
        let error = passage.redact_error(EgressError::Unreachable(format!("no `{VALUE}` here")));
        assert_eq!(error.to_string(), format!("no `{placeholder}` here"));

        // For hosts that it is not for, a value in the answer is a guess, and the guesser must not learn the
        // result.
        let mut headers = HeaderMap::new();
        headers.insert("x-guess", HeaderValue::from_static(VALUE));
        assert!(towards("https://other.example/", &secrets).redact(&mut headers, true).is_none());
        assert_eq!(headers["x-guess"], VALUE);
    }
}
