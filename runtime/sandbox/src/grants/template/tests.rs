//! A value in a grant gives the intended grant or a refusal. The values are rows.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn filled(line: &str, value: Value) -> Result<HttpGrant, GrantError> {
    HttpTemplate::parse(line).expect(line).fill(Values::of(&json!({ "a": value })))
}

/// Checks whether a grant with a value covers a request. `expected` may be the code with which the value is
/// refused.
fn check(line: &str, value: Value, url: &str, expected: &str) {
    let found = match filled(line, value.clone()) {
        Err(error) => {
            assert!(!error.help().is_empty());
            error.code().to_owned()
        }
        Ok(grant) => grant.permits(&Method::GET, &Url::parse(url).unwrap()).to_string(),
    };
    assert_eq!(found, expected, "{line} with {value} for {url}");
}

const UNFIT: &str = "parameter-unfit";

#[test]
fn a_value_in_a_path_is_one_segment() {
    let line = "GET http://h/customers/${parameters.a}";
    let url = "http://h/customers/acme";
    check(line, json!("acme"), url, "true");
    check(line, json!(7), "http://h/customers/7", "true");
    check(line, json!("acme"), "http://h/customers/other", "false");
    check(line, json!("acme"), "http://h/customers/acme/x", "false");
    check(line, json!("acme"), "http://h/", "false");
    check(line, json!("a b"), "http://h/customers/a%20b", "true");
    check(line, json!("a@b;c"), "http://h/customers/a%40b%3Bc", "true");
    check(line, json!("a@b;c"), "http://h/customers/a@b;c", "true");
    check(line, json!("Été"), "http://h/customers/%C3%89t%C3%A9", "true");
    check(line, json!("a "), "http://h/customers/a%20", "true");
    for value in [
        "..",
        ".",
        "...",
        "%2e%2e",
        "../*",
        "x/../../*",
        "*",
        "a*",
        "",
        "a/b",
        "a?b",
        "a#b",
        "a%b",
        "a\\b",
        "a\tb",
        "a\nb",
        "a\0b",
        "..;",
        ".. ",
        "..;x=1",
        " ..",
    ] {
        check(line, json!(value), url, UNFIT);
    }
    check(line, json!(["acme"]), url, UNFIT);
    check(line, Value::Null, url, UNFIT);
    let within = "GET http://h/out/${parameters.a}-${parameters.a}.csv";
    check(within, json!("x"), "http://h/out/x-x.csv", "true");
    let below = "GET http://h/customers/${parameters.a}/*";
    check(below, json!("acme"), "http://h/customers/acme/1", "true");
    check(below, json!("acme"), "http://h/customers/acme/%2e%2e%2fother", "false");
    check(below, json!("acme"), "http://h/customers/acme/..;/other", "false");
    check(below, json!("acme"), "http://h/customers/acme", "false");
}

#[test]
fn a_value_in_a_host_is_one_label() {
    let line = "GET http://${parameters.a}.api.example.com/";
    check(line, json!("shop"), "http://shop.api.example.com/any", "true");
    check(line, json!("SHOP-1"), "http://shop-1.api.example.com/", "true");
    check(line, json!("shop"), "http://other.api.example.com/", "false");
    for value in [
        "127.0.0.1:18999/*?",
        "127.0.0.1:18999\\",
        "127.0.0.1:18999/x?",
        "evil.com/",
        "a.b",
        "*",
        "",
        "a@b",
        "a:1",
        "a#",
        "é",
        "a b",
        "a_b",
        "%61",
        "a\u{3002}b",
    ] {
        check(line, json!(value), "http://127.0.0.1:18999/", UNFIT);
    }
    check(line, json!("-a"), "http://127.0.0.1:18999/", "grant-http-malformed");
    check("GET http://shop-${parameters.a}.x.example/*", json!("7"), "http://shop-7.x.example/y", "true");
    let whole = "GET http://${parameters.a}:8080/x";
    check(whole, json!("h.example"), "http://h.example:8080/x", "true");
    check(whole, json!("h.example"), "http://h.example:8080/y", "false");
    check(whole, json!("10.0.0.1"), "http://10.0.0.1:8080/x", "true");
    for value in ["*.example", "h:1", "h/x?", "h@i", "", "h..i", "[::1]"] {
        check(whole, json!(value), "http://h:8080/x", UNFIT);
    }
    let port = "GET http://h:${parameters.a}/";
    check(port, json!(8080), "http://h:8080/x", "true");
    for value in ["80/*?", "0", "65536", "+80", " 80", ""] {
        check(port, json!(value), "http://h/", UNFIT);
    }
    check("GET http://*.${parameters.a}.example/", json!("shop"), "http://x.shop.example/y", "true");
}

#[test]
fn a_value_that_is_the_url_grants_it_alone() {
    let line = "GET ${parameters.a}";
    let hook = "http://h/hook";
    check(line, json!(hook), hook, "true");
    check(line, json!("http://h/hook?job=1"), "http://h/hook?job=2", "true");
    check(line, json!(hook), "http://h/other", "false");
    check(line, json!("http://h"), "http://h/", "true");
    check(line, json!("http://h"), "http://h/hook", "false");
    check(line, json!("http://h/"), "http://h/hook", "false");
    check(line, json!("http://h/*"), "http://h/hook", "false");
    check(line, json!("http://h/*"), "http://h/*", "true");
    check(line, json!("http://h/a%2Fb"), "http://h/a%2Fb", "true");
    for value in [
        "http://*.example.com/hook",
        "http://*/hook",
        "ftp://h/",
        "file:///etc",
        "h/hook",
        "",
        "http://u@h/",
        "http://h/#a",
        "http://h:0/",
        " http://h/",
        "http://h/ POST",
        "http://h\\@i/",
    ] {
        check(line, json!(value), hook, UNFIT);
    }
}

#[test]
fn a_line_says_at_once_that_it_grants_nothing() {
    let check = |line: &str, expected: &str| {
        let error = HttpTemplate::parse(line).expect_err(line).to_string();
        assert!(error.contains(expected), "{line}: {error}");
    };
    check("* https://*/*", "`*` may only stand for the first part");
    check("GET http://h/a/*/b", "`*` may only stand at the end of a path");
    check("GET http://h/a%2fb/*", "in different ways");
    check("${parameters.a} http://h/", "a method is written out");
    check("${parameters.a}", "it is not a method and a URL");
    check("GET ${parameters.a}://h/", "does not begin with `http://`");
    check("GET ${parameters.a}/x", "does not begin with `http://`");
    check("GET ftp://${parameters.a}/", "the scheme is `ftp`");
    check("GET http://u@${parameters.a}/", "neither a user nor");
    check("GET http://h/${parameters.a}#x", "never reaches a host");
    check("GET http://h/x?y=${parameters.a}", "no parameter has an effect in it");
    check("GET http://h/../${parameters.a}", "in different ways");
    check("GET http://h/%2e%2e/${parameters.a}", "in different ways");
    check("GET http://h/*/${parameters.a}", "`*` may only stand at the end");
    check("GET http://*.${parameters.a}/", "a whole top-level domain");
    check("GET http://a.*.${parameters.a}/", "`*` may only stand for the first part");
    check("GET http://h:x${parameters.a}/", "no port");
    check("GET http://h/${parameters.a", "without closing it");
    check("GET http://h/${secrets.a}", "no value for");
    check("GET http://h/\u{f8ff}${parameters.a}", "U+F8FF");
    check("GET http://h/${steps.a.output}", "no part of a URL");
    check("GET ${steps.a.folder}", "no part of a URL");
}

#[test]
fn a_value_in_a_folders_path_is_one_name() {
    let check = |line: &str, value: &str, expected: &str| {
        let template = FolderTemplate::parse(line).expect(line);
        let found = match template.fill(Values::of(&json!({ "a": value }))) {
            Ok((access, path)) => format!("{} {}", access.as_str(), path.display()),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(found, expected, "{line} with {value:?}");
    };
    let line = "read /srv/tenants/${parameters.a}";
    check(line, "acme", "read /srv/tenants/acme");
    for value in ["acme/../other", "..", ".", "", "/etc", "a/b", "a\\b", "...", " "] {
        check(line, value, UNFIT);
    }
    check("read /srv/x-${parameters.a}/in", "1", "read /srv/x-1/in");
    check("read /srv/x-${parameters.a}/in", "1/..", UNFIT);
    check("read /srv/.${parameters.a}/in", "a", "read /srv/.a/in");
    check("write ${parameters.a}", "/srv/any where/x", "write /srv/any where/x");
    check("write ${parameters.a}", "../x", "write ../x");
    check("write ${parameters.a}", "", UNFIT);
    check("write ${parameters.a}", "a\0b", UNFIT);
    let values = json!({ "folder": "out/today", "output": "out/today/a.csv" });
    let outputs = BTreeMap::from([("export".to_owned(), values)]);
    let values = Values { outputs: &outputs, ..Values::of(&Value::Null) };
    let (_, path) = FolderTemplate::parse("read ${steps.export.folder}").unwrap().fill(values).unwrap();
    assert_eq!(path, Path::new("out/today"));
    let later = FolderTemplate::parse("read ${steps.later.folder:-}").unwrap().fill(values);
    assert_eq!(later.unwrap_err().code(), UNFIT);
    for line in ["read a/${steps.export.folder}", "read ${steps.export.output}"] {
        assert_eq!(FolderTemplate::parse(line).expect_err(line).code(), "grant-folder-malformed", "{line}");
    }
    for line in ["read", "append ${parameters.a}", "${parameters.a} /x", "read${parameters.a} /x"] {
        assert_eq!(FolderTemplate::parse(line).expect_err(line).code(), "grant-folder-malformed", "{line}");
    }
}
