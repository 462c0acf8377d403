//! The heads of requests and answers: their maximum length, and their size on the wire and in memory.

use http::response::Parts;
use http::{HeaderMap, Method, Uri};
use url::Url;

use super::EgressError;
use crate::lengths::HTTP_HEAD;

/// The bytes that each header counts in addition to its name and value, as in HTTP/2 (RFC 9113, 6.5.2).
const HEADER_OVERHEAD: usize = 32;
/// The memory that the library takes for each header, in bytes: an entry, its place in a table, two
/// allocations.
const HEADER_MEMORY: usize = 192;
/// ` HTTP/1.1` and a line end.
const LINE_BYTES: usize = 11;
/// A colon, a blank and a line end.
const SEPARATORS: usize = 4;

/// Reads a URL. Refuses line breaks and blanks: the URL standard of browsers drops them, so the sent request
/// would differ from the written one.
pub(crate) fn url(text: &str) -> Result<Url, EgressError> {
    check(text.len(), [].into_iter())?;
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        let text = text.escape_debug();
        return Err(EgressError::BadRequest(format!(
            "`{text}` is no URL: it holds a blank or a control character"
        )));
    }
    Url::parse(text).map_err(|error| EgressError::BadRequest(format!("`{text}` is no URL: {error}")))
}

/// Refuses a head that is too long. The length includes the URL, and the names and values of the headers.
pub(crate) fn check(url: usize, headers: impl Iterator<Item = (usize, usize)>) -> Result<(), EgressError> {
    let of_header = |(name, value): (usize, usize)| name + value + HEADER_OVERHEAD;
    let bytes = headers.map(of_header).fold(url, usize::saturating_add);
    HTTP_HEAD.check(bytes).map_err(|_| {
        let max = HTTP_HEAD.max;
        EgressError::OverLimit(format!(
            "over the limit of {max} bytes in the head of a request: it has {bytes}"
        ))
    })
}

/// The lengths of the names and values of headers.
pub(super) fn lengths(headers: &HeaderMap) -> impl Iterator<Item = (usize, usize)> {
    headers.iter().map(|(name, value)| (name.as_str().len(), value.len()))
}

/// The approximate memory of a request's URL and headers, in bytes.
pub(super) fn memory(url: &Url, headers: &HeaderMap) -> u64 {
    let texts: usize = lengths(headers).map(|(name, value)| name + value).sum();
    (2 * url.as_str().len() + texts + headers.capacity() * HEADER_MEMORY) as u64
}

/// The size of a request's head on the wire, in bytes.
pub(super) fn sent(method: &Method, uri: &Uri, headers: &HeaderMap) -> u64 {
    let path = uri.path_and_query().map_or(1, |path| path.as_str().len());
    let host = uri.authority().map_or(0, |host| "host".len() + host.as_str().len() + SEPARATORS);
    (method.as_str().len() + 1 + path + LINE_BYTES + host + on_the_wire(headers)) as u64
}

/// The approximate size of an answer's head on the wire, in bytes: its reason phrase is left out.
pub(super) fn received(head: &Parts) -> u64 {
    ("200 ".len() + LINE_BYTES + on_the_wire(&head.headers)) as u64
}

/// The size of headers or trailers on the wire, in bytes.
pub(super) fn on_the_wire(headers: &HeaderMap) -> usize {
    lengths(headers).map(|(name, value)| name + value + SEPARATORS).sum::<usize>() + 2
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_url_is_what_was_written() {
        let check = |text: &str, expected: &str| {
            let found = url(text).map_or_else(|error| error.to_string(), |url| url.to_string());
            assert!(found.contains(expected), "{text:?}: {found}");
        };
        check("http://h/feed", "http://h/feed");
        for text in [
            "http://h/feed/\nHost: evil\r\n",
            "http://h/\r",
            "http://h/\tx",
            "\nhttp://h/",
            " http://h/",
            "http://h/ ",
            "http://h/a b",
            "http://h/\0",
            "http://h/\u{7f}",
            "ht\ntp://h/",
        ] {
            check(text, "is no URL: it holds a blank or a control character");
        }
        check(&format!("http://h/{}", "x".repeat(64 << 10)), "over the limit of 65536 bytes in the head");
    }

    #[test]
    fn a_head_is_judged_with_all_that_it_holds() {
        let headers = |count: usize, bytes: usize| std::iter::repeat_n((1, bytes), count);
        assert!(check(100, headers(1, 65_403)).is_ok());
        assert!(check(100, headers(1, 65_404)).is_err());
        assert!(check(0, headers(1_985, 0)).is_ok());
        assert!(check(0, headers(1_986, 0)).is_err(), "an empty header is not for nothing");
        assert!(check(usize::MAX, headers(1, 1)).is_err());
    }

    #[test]
    fn counts_what_goes_over_the_wire() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("12"));
        headers.append("x-a", HeaderValue::from_static("3"));
        let text = "GET /p?q HTTP/1.1\r\nhost: h:8\r\nx-a: 12\r\nx-a: 3\r\n\r\n";
        let uri = Uri::from_static("http://h:8/p?q");
        assert_eq!(sent(&Method::GET, &uri, &headers), text.len() as u64);
        let (head, ()) = http::Response::new(()).into_parts();
        assert_eq!(received(&head), "HTTP/1.1 200 \r\n\r\n".len() as u64);
    }
}
