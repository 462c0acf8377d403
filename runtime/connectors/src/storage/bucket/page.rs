//! A page of a list of objects. It is read before the library reads it: for its token of the next page, and to remove
//! the objects that were not asked for.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

/// The largest depth of nested elements in a page.
const DEPTH_MAX: usize = 16;

/// The result of reading a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The page without the objects that were not asked for.
    pub(super) text: Vec<u8>,
    /// How many objects the page still has.
    pub(super) keys: usize,
    /// Whether another page follows.
    pub(super) is_truncated: bool,
    /// The token with which to ask for the next page.
    pub(super) token: Option<String>,
}

/// Reads a page, without the objects whose keys do not begin with the prefix; `None` if the page is not XML, or is
/// nested deeper than a list can be.
pub(super) fn read(text: &[u8], prefix: &str) -> Option<Page> {
    let text = std::str::from_utf8(text).ok()?.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut page = Page::default();
    let (mut path, mut value) = (Vec::<String>::new(), String::new());
    let (mut object, mut is_asked_for) = (0, false);
    let mut others: Vec<Range<usize>> = Vec::new();
    loop {
        let at = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Eof if path.is_empty() => break,
            Event::Eof => return None,
            Event::Start(_) if path.len() == DEPTH_MAX => return None,
            Event::Start(tag) => {
                if path.len() == 1 && tag.local_name().as_ref() == "Contents" {
                    (object, is_asked_for) = (at, false);
                }
                path.push(tag.local_name().as_ref().to_owned());
                value.clear();
            }
            Event::Text(piece) => value.push_str(&piece),
            Event::CData(piece) => value.push_str(&piece),
            Event::GeneralRef(name) => value.push(character(&name)?),
            Event::End(_) => {
                let names: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
                match names[..] {
                    ["Contents", "Key"] => is_asked_for = value.starts_with(prefix),
                    ["Contents"] if is_asked_for => page.keys += 1,
                    ["Contents"] => others.push(object..usize::try_from(reader.buffer_position()).ok()?),
                    ["IsTruncated"] => page.is_truncated = value.trim() == "true",
                    ["NextContinuationToken"] => page.token = Some(value.clone()),
                    _ => {}
                }
                path.pop();
                value.clear();
            }
            _ => {}
        }
    }
    let mut from = 0;
    for other in others {
        page.text.extend_from_slice(text.get(from..other.start)?.as_bytes());
        from = other.end;
    }
    page.text.extend_from_slice(text.get(from..)?.as_bytes());
    Some(page)
}

/// The character of `&amp;` or `&#38;`.
fn character(name: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Some(character) = name.resolve_char_ref().ok()? {
        return Some(character);
    }
    let text = quick_xml::escape::resolve_predefined_entity(name)?;
    text.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inside: &str, expected: &str) {
        let text = format!(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3\">{inside}</ListBucketResult>"
        );
        let found = match read(text.as_bytes(), "shop/a&b/") {
            None => "unreadable".to_owned(),
            Some(page) => {
                let text = String::from_utf8(page.text).expect("text");
                let left: Vec<_> =
                    text.split("<Key>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
                format!("{} {} {:?} {}", page.keys, page.is_truncated, page.token, left.join(","))
            }
        };
        assert_eq!(found, expected, "{inside}");
    }

    #[test]
    fn a_page_names_what_was_asked_for_alone() {
        let object = |key: &str| format!("<Contents><Key>{key}</Key><Size>7</Size></Contents>");
        let (ours, other) = (object("shop/a&amp;b/1"), object("shop/bait"));
        check("", "0 false None ");
        check(&ours, "1 false None shop/a&amp;b/1");
        check(&format!("{other}{ours}{other}"), "1 false None shop/a&amp;b/1");
        check(&object("shop/a&#38;b/<![CDATA[2]]>"), "1 false None shop/a&#38;b/");
        check("<Contents><Size>7</Size></Contents>", "0 false None ");
        check(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>",
            "0 true Some(\"x\") ",
        );
        // Only the element in its right place counts.
        check("<Owner><IsTruncated>true</IsTruncated></Owner>", "0 false None ");
        check("<Contents>", "unreadable");
        check("&nonsense;", "unreadable");
    }
}
