//! Paths of URLs, as grants name them and as requests use them.

use std::fmt;

/// Which paths of a host are granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathPattern {
    /// Every path of the host.
    Any,
    /// Exactly this path, as it is written.
    Is(String),
    /// All paths with this beginning, as it is written.
    BeginsWith(String),
    /// A path or a beginning with values of a run in it, however a request encodes it.
    Filled { decoded: Vec<u8>, written: String, is_prefix: bool },
}

impl PathPattern {
    /// Reads a path in the form that the URL parser returns.
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        let (path, has_star) = match path.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (path, false),
        };
        if path.contains('*') {
            return Err("`*` may only stand at the end of a path; write `%2A` for the character".to_owned());
        }
        match (path, has_star) {
            ("/", false) => Ok(Self::Any),
            (path, false) => Ok(Self::Is(path.to_owned())),
            (prefix, true) if reads_one_way(prefix) => Ok(Self::BeginsWith(prefix.to_owned())),
            (prefix, true) => Err(format!(
                "no request that begins with `{prefix}` is sent where a path ends with `*`: servers read it in \
                 different ways"
            )),
        }
    }

    /// A path with values in it; `None` if servers could read it in different ways.
    pub(super) fn filled(path: &str, is_prefix: bool) -> Option<Self> {
        let decoded = decode(path).filter(|_| reads_one_way(path))?;
        Some(Self::Filled { decoded, written: path.to_owned(), is_prefix })
    }

    /// Whether the pattern grants a path. An exact path is compared as it is written. In the two cases below
    /// it, a path matches only if every server reads it alike.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(granted) => granted == path,
            Self::BeginsWith(prefix) => path.starts_with(prefix) && reads_one_way(path),
            Self::Filled { decoded, is_prefix, .. } => {
                let asked = decode(path).filter(|_| reads_one_way(path));
                asked.is_some_and(|asked| match is_prefix {
                    true => asked.starts_with(decoded),
                    false => asked == *decoded,
                })
            }
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Is(path) | Self::Filled { written: path, is_prefix: false, .. } => f.write_str(path),
            Self::BeginsWith(prefix) | Self::Filled { written: prefix, is_prefix: true, .. } => {
                write!(f, "{prefix}*")
            }
        }
    }
}

/// Whether every server reads a path alike. Servers may decode it never, once or twice, before or after they
/// look for `/` and `..`, and may treat `;` in any way.
pub(super) fn reads_one_way(path: &str) -> bool {
    let Some(decoded) = decode(path) else { return false };
    // Overlong forms of `/` and `.` are not valid UTF-8.
    let Ok(text) = std::str::from_utf8(&decoded) else { return false };
    let escapes = |byte: u8| escaped(path).any(|escaped| escaped == byte);
    let is_separated = !escapes(b'/') && !text.contains(|c: char| c == '\\' || c.is_control());
    let is_dots = |segment: &str| {
        let name = segment.split(';').next().unwrap_or_default().trim();
        !name.is_empty() && name.bytes().all(|byte| byte == b'.')
    };
    // The decoded text contains an escape, so it could be decoded once more.
    let is_encoded_again = escaped(text).next().is_some();
    is_separated && !is_encoded_again && !text.split('/').any(is_dots)
}

/// The decoded bytes of a path; `None` if a `%` is not followed by two digits.
fn decode(path: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        decoded.push(hex(after)?);
        rest = &after[2..];
    }
    Some(decoded)
}

/// The bytes that a text contains as `%XX`.
fn escaped(text: &str) -> impl Iterator<Item = u8> {
    text.as_bytes().split(|&byte| byte == b'%').skip(1).filter_map(hex)
}

/// The byte that the first two characters give as hexadecimal digits.
fn hex(text: &[u8]) -> Option<u8> {
    let digits = text.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_servers_read_in_different_ways_are_known() {
        let fine = [
            "/",
            "/feed/1",
            "/feed//1",
            "/a%20b",
            "/caf%C3%A9",
            "/100%25",
            "/a;v=1/b",
            "/..a",
            "/a..",
            "/a.b",
            "/%3Ba",
            "/a%2Ab",
            "/.well-known/x",
            "/a:b@c",
        ];
        for path in fine {
            assert!(reads_one_way(path), "{path}");
        }
        let odd = [
            "/feed/..%2fadmin",
            "/feed/..%2Fadmin",
            "/feed/%2e%2e%2fadmin",
            "/feed/..%5cadmin",
            "/feed/..%5Cadmin",
            "/feed/..;/admin",
            "/feed/..;x=1/admin",
            "/feed/.;/admin",
            "/feed/..%3b/admin",
            "/feed/..%3B/admin",
            "/feed/%252e%252e/admin",
            "/feed/%25252e/admin",
            "/feed/..%252fadmin",
            "/feed/%252F",
            "/feed/.%00./admin",
            "/feed/%00",
            "/feed/%0a",
            "/feed/%7f",
            "/feed/..%20/admin",
            "/feed/..%09/admin",
            "/feed/.../admin",
            "/feed/%c0%af",
            "/feed/%c0%ae%c0%ae/",
            "/feed/%e0%80%af",
            "/feed/%u002e",
            "/feed/%",
            "/feed/%2",
            "/feed/%zz",
            "/feed/%2e;/x",
            "/feed/a%5c..%5cb",
        ];
        for path in odd {
            assert!(!reads_one_way(path), "{path}");
            let prefix = PathPattern::parse("/feed/*").unwrap();
            assert!(!prefix.matches(path), "{path}");
        }
    }

    #[test]
    fn a_path_alone_is_granted_as_it_is_written() {
        let check = |pattern: &str, path: &str, expected: bool| {
            assert_eq!(PathPattern::parse(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        };
        check("/group%2Fproject", "/group%2Fproject", true);
        check("/group%2Fproject", "/group/project", false);
        check("/", "/anything/..%2f", true);
        check("/*", "/anything", true);
        check("/*", "/anything/..%2f", false);
        let error = |pattern: &str| PathPattern::parse(pattern).unwrap_err();
        assert!(error("/a/*/b").contains("only stand at the end"));
        assert!(error("/a%2f*").contains("in different ways"));
        assert!(error("/a/*/*").contains("only stand at the end"));
    }

    #[test]
    fn a_value_is_the_same_however_a_request_encodes_it() {
        let filled = PathPattern::filled("/customers/a%20b@c", false).unwrap();
        for path in ["/customers/a%20b@c", "/customers/a%20b%40c", "/customers/%61%20b%40c"] {
            assert!(filled.matches(path), "{path}");
        }
        for path in ["/customers/a%20b", "/customers/a%20b@c/", "/customers/a%20b@c%2f", "/customers/x"] {
            assert!(!filled.matches(path), "{path}");
        }
        assert_eq!(PathPattern::filled("/customers/..", false), None);
    }
}
