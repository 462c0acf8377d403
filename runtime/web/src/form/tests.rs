use serde_json::json;
use stepbox_api::instance::Violation;
use stepbox_batch::instance_form::{FormRights, InstanceForm, Mode};

use super::*;

fn form(schema: &Value, mode: Mode) -> InstanceForm {
    InstanceForm::new(schema, None).seen_by(mode, FormRights::Every)
}

fn drawn(schema: &Value, values: &Value, violations: &[Violation]) -> String {
    let form = form(schema, Mode::Edit);
    let filled =
        Filled { form: &form, values, violations, open: None, secrets: &[], uploads: None, described: &[] };
    format!("{}{}", filled.summary().into_string(), filled.tabs().into_string())
}

/// The names and values that a browser would post for what was drawn: of inputs, boxes that are ticked, and text areas.
fn posted(html: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(unescaped(&tag[from..from + tag[from..].find('"')?]))
    };
    let mut pairs = Vec::new();
    let mut rest = html;
    while let Some(at) =
        rest.find("<input").into_iter().chain(rest.find("<textarea")).chain(rest.find("<select")).min()
    {
        rest = &rest[at..];
        let end = rest.find('>').unwrap();
        let tag = &rest[..end];
        let Some(name) = attribute(tag, "name").filter(|name| !name.starts_with('_')) else {
            rest = &rest[end..];
            continue;
        };
        let value = if tag.starts_with("<textarea") {
            let text = &rest[end + 1..rest.find("</textarea>").unwrap()];
            Some(unescaped(text.strip_prefix('\n').unwrap_or(text)))
        } else if tag.starts_with("<select") {
            let options = &rest[end..rest.find("</select>").unwrap()];
            let chosen = options.split("<option").find(|option| option.contains(" selected"));
            chosen.and_then(|option| attribute(option, "value"))
        } else if tag.contains("type=\"checkbox\"") || tag.contains("type=\"radio\"") {
            tag.contains(" checked").then(|| attribute(tag, "value").unwrap())
        } else {
            attribute(tag, "value")
        };
        pairs.extend(value.map(|value| (name, value)));
        rest = &rest[end..];
    }
    pairs
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[test]
fn what_a_form_shows_is_what_it_sends() {
    let schema = json!({ "properties": {
        "text": { "type": "string" },
        "lines": { "type": "string", "maxLength": 10_000 },
        "whole": { "type": "integer" },
        "share": { "type": "number" },
        "on": { "type": "boolean" },
        "kind": { "enum": ["a", "b"] },
        "many": { "enum": ["a", "b", "c", "d", "e", "f"] },
        "names": { "type": "array", "items": { "type": "string" } },
        "some": { "type": "array", "items": { "enum": ["x", "y", "z"] } },
        "mapping": { "type": "array", "items": { "type": "object", "properties": {
            "from": { "type": "string" }, "keep": { "type": "boolean" },
        } } },
        "anything": {},
    } });
    let rows = [
        json!({}),
        json!({ "text": "\"><script>alert(1)</script>", "whole": 18_446_744_073_709_551_615_u64, "share": 0.1 }),
        json!({ "on": true, "kind": "b", "many": "e" }),
        json!({ "on": false, "names": ["one", "two"], "some": ["x", "z"] }),
        json!({ "mapping": [{ "from": "a", "keep": true }, { "from": "b", "keep": false }] }),
        json!({ "anything": { "a": [1, { "b": null }] } }),
        // Values that no longer fit are shown, and are sent as they are.
        json!({ "whole": "many", "kind": "z", "names": [["x"]], "mapping": "none", "on": "maybe" }),
        json!({ "lines": "one\ntwo\n</textarea><img onerror=x>" }),
    ];
    for values in rows {
        let html = drawn(&schema, &values, &[]);
        let sent = form(&schema, Mode::Edit).parameters_of(&posted(&html), &values);
        assert_eq!(sent.parameters, values, "{html}");
        assert!(sent.set.is_empty() && sent.unset.is_empty(), "{sent:?}");
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }
}

#[test]
fn a_violation_is_at_its_field_and_in_the_summary() {
    let schema =
        json!({ "properties": { "url": { "type": "string", "title": "URL <b>" } }, "required": ["url"] });
    let violation = Violation { path: "/url".to_owned(), message: "is not <i>a URL".to_owned() };
    let html = drawn(&schema, &json!({ "url": "htp:" }), &[violation]);
    assert!(html.contains("Not saved: 1 value breaks its constraints"), "{html}");
    assert!(html.contains(r##"<a href="#p-url"><bdi>URL &lt;b&gt;</bdi></a>"##), "{html}");
    assert!(
        html.contains(r#"aria-invalid="true""#) && html.contains(r#"aria-describedby="p-url-violation"#),
        "{html}"
    );
    assert!(html.contains("is not &lt;i&gt;a URL") && html.contains(r#"value="htp:""#), "{html}");
}

#[test]
fn texts_of_a_connectors_author_are_texts() {
    let hostile = "<script>alert(1)</script>\u{202e}";
    let schema = json!({ "properties": {
        "a": { "type": "string", "title": hostile, "description": hostile, "default": hostile, "examples": [hostile] },
        "b": { "enum": [hostile, "x", "y", "z", "w"], "title": hostile },
        "<script>": { "type": "boolean", "title": hostile },
        "t": { "type": "array", "title": hostile, "items": { "type": "object", "properties": { "c": { "type": "string", "title": hostile } } } },
    } });
    let values = json!({ "a": hostile, "b": hostile, "t": [{ "c": hostile }] });
    let (edit, show) =
        (drawn(&schema, &values, &[]), facts(&form(&schema, Mode::Show), &values, None).into_string());
    for html in [edit, show] {
        assert!(!html.contains("<script"), "{html}");
    }
}
