//! Grants with places for parameters: a line of a connector's author, and a value of the user who runs its job.
//!
//! An input has one text in each line: a grant, a value for `${parameters.a}`, and a URL.

use std::path::{Component, Path};

use serde_json::json;
use stepbox::batch::template::Values;
use stepbox_sandbox::fuzzing::permits;
use stepbox_sandbox::{FolderTemplate, GrantError, HttpTemplate};
use url::{Host, Url};

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let [line, value, url] = [0; 3].map(|_| lines.next().unwrap_or_default());
    any_line(line, value);
    let Ok(asked) = Url::parse(url) else { return };
    within_a_path(value, &asked);
    within_a_host(value, &asked);
    a_whole_url(value, &asked);
    within_a_folder(value);
}

/// Every line is a template or a mistake, and so is every result of a value in it.
fn any_line(line: &str, value: &str) {
    let parameters = json!({ "a": value });
    match HttpTemplate::parse(line) {
        Ok(template) => drop(template.fill(Values::of(&parameters)).map_err(|error| check(&error))),
        Err(error) => check(&error),
    }
    match FolderTemplate::parse(line) {
        Ok(template) => drop(template.fill(Values::of(&parameters)).map_err(|error| check(&error))),
        Err(error) => check(&error),
    }
}

fn check(error: &GrantError) {
    assert!(!error.code().is_empty() && !error.to_string().is_empty());
}

fn granted(line: &str, value: &str, asked: &Url) -> bool {
    let template = HttpTemplate::parse(line).expect(line);
    template.fill(Values::of(&json!({ "a": value }))).is_ok_and(|grant| permits(&grant, asked.as_str()))
}

/// One segment, which is the value.
fn within_a_path(value: &str, asked: &Url) {
    if granted("GET http://h.example/customers/${parameters.a}", value, asked) {
        assert_eq!(asked.host_str().map(|host| host.trim_end_matches('.')), Some("h.example"));
        let segments: Vec<_> = asked.path_segments().into_iter().flatten().collect();
        assert!(segments.len() == 2 && decoded(segments[0]) == b"customers", "another path: {asked}");
        assert_eq!(decoded(segments[1]), value.as_bytes(), "another segment: {asked}");
    }
    if granted("GET http://h.example/customers/${parameters.a}/*", value, asked) {
        let segments: Vec<_> = asked.path_segments().into_iter().flatten().map(decoded).collect();
        assert!(segments.len() > 2 && segments[1] == value.as_bytes(), "another path: {asked}");
        let leads_out =
            |segment: &Vec<u8>| segment.starts_with(b"..;") || segment == b".." || segment.contains(&b'/');
        assert!(!segments.iter().any(leads_out), "a way out: {asked}");
    }
}

/// One label, which is the value.
fn within_a_host(value: &str, asked: &Url) {
    if granted("GET http://${parameters.a}.api.example.com/", value, asked) {
        let host = asked.host_str().unwrap_or_default().trim_end_matches('.');
        assert_eq!(host, format!("{}.api.example.com", value.to_ascii_lowercase()));
        assert!(!value.contains('.'));
    }
}

/// That path, of that host.
fn a_whole_url(value: &str, asked: &Url) {
    if granted("GET ${parameters.a}", value, asked) {
        let given = Url::parse(value).expect("a URL");
        let host = |url: &Url| match url.host() {
            Some(Host::Domain(name)) => name.trim_end_matches('.').to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!((host(asked), asked.path()), (host(&given), given.path()));
        assert_eq!((asked.scheme(), asked.port()), (given.scheme(), given.port()));
    }
}

/// One name below the folder.
fn within_a_folder(value: &str) {
    let template = FolderTemplate::parse("read /srv/tenants/${parameters.a}").expect("a grant");
    if let Ok((_, path)) = template.fill(Values::of(&json!({ "a": value }))) {
        let below = path.strip_prefix("/srv/tenants").expect("below").to_owned();
        assert_eq!(below.components().collect::<Vec<_>>(), [Component::Normal(Path::new(value).as_os_str())]);
    }
}

/// Percent-decoded, by other code than the tested one.
fn decoded(text: &str) -> Vec<u8> {
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let query = Url::parse(&format!("http://h/?{pair}")).expect("a URL");
    let value = query.query_pairs().next().map(|(_, value)| value.into_owned());
    value.unwrap_or_default().into_bytes()
}
