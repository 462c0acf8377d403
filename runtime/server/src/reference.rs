//! A page about the interface, from its document: text and links, without script, so it can be read anywhere.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The page.
pub(crate) fn page(document: &Value) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Stepbox: the HTTP API</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body>\n<h1>The HTTP API of Stepbox</h1>\n\
         <p>All addresses begin with <code>/api/v1</code>. The document for programs is \
         <a href=\"openapi.json\">openapi.json</a>.</p>\n",
    );
    let paths = document["paths"].as_object();
    page.push_str(
        "<h2>Routes</h2>\n<table><tr><th>Method</th><th>Address</th><th>What</th><th>Right</th></tr>\n",
    );
    for (path, method, operation) in operations(paths) {
        let id = text(&operation["operationId"]);
        let what = [&method.to_uppercase(), path, &text(&operation["summary"]), &text(&operation["x-right"])]
            .map(|cell| escaped(cell));
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><a href=\"#{id}\"><code>{}</code></a></td><td>{}</td><td>{}</td></tr>",
            what[0], what[1], what[2], what[3]
        );
    }
    page.push_str("</table>\n");
    for (path, method, operation) in operations(paths) {
        operation_of(&mut page, path, method, operation);
    }
    page.push_str("<h2>Types</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let (name, about) = (escaped(name), escaped(&text(&schema["description"])));
        let _ = writeln!(page, "<h3 id=\"type-{name}\">{name}</h3>\n<p>{about}</p>\n{}", fields(schema));
    }
    page.push_str("</body></html>\n");
    page
}

fn operations(paths: Option<&Map<String, Value>>) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = paths.into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}

fn operation_of(page: &mut String, path: &str, method: &str, operation: &Value) {
    let (id, summary) = (escaped(&text(&operation["operationId"])), escaped(&text(&operation["summary"])));
    let _ = writeln!(
        page,
        "<h3 id=\"{id}\"><code>{} {}</code></h3>\n<p>{summary}</p>",
        method.to_uppercase(),
        escaped(path)
    );
    let scope = text(&operation["x-scope"]);
    if !scope.is_empty() {
        let _ = writeln!(page, "<p>Scope of a token: <code>{}</code>.</p>", escaped(&scope));
    }
    if let Some(parameters) = operation["parameters"].as_array() {
        page.push_str("<table><tr><th>Parameter</th><th>In</th><th>What</th></tr>\n");
        for parameter in parameters {
            let cells = ["name", "in", "description"].map(|field| escaped(&text(&parameter[field])));
            let _ = writeln!(
                page,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                cells[0], cells[1], cells[2]
            );
        }
        page.push_str("</table>\n");
    }
    contents(page, "Body", &operation["requestBody"]["content"]);
    page.push_str("<table><tr><th>Status</th><th>What</th></tr>\n");
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let _ =
            writeln!(page, "<tr><td>{status}</td><td>{}</td></tr>", escaped(&text(&answer["description"])));
    }
    page.push_str("</table>\n");
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        if status.starts_with('2') {
            contents(page, status, &answer["content"]);
        }
    }
}

fn contents(page: &mut String, of: &str, content: &Value) {
    for (kind, body) in content.as_object().into_iter().flatten() {
        let _ = writeln!(page, "<p>{of}: <code>{}</code> {}</p>", escaped(kind), type_of(&body["schema"]));
    }
}

fn fields(schema: &Value) -> String {
    let mut rows = String::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let about = escaped(&text(&field["description"]));
        let _ = writeln!(
            rows,
            "<tr><td><code>{}</code></td><td>{}</td><td>{about}</td></tr>",
            escaped(name),
            type_of(field)
        );
    }
    match rows.is_empty() {
        true => String::new(),
        false => format!("<table><tr><th>Field</th><th>Type</th><th>What</th></tr>\n{rows}</table>"),
    }
}

/// A type in a word, with a link if it has a name.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    if schema["items"].is_object() {
        return format!("list of {}", type_of(&schema["items"]));
    }
    for kind in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[kind].as_array() {
            return parts
                .iter()
                .map(type_of)
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" or ");
        }
    }
    match &schema["type"] {
        Value::String(one) => escaped(one),
        Value::Array(several) => {
            several.iter().map(|one| escaped(&text(one))).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_route_and_no_script() {
        let document = crate::openapi::document();
        let page = page(&document);
        for (path, _, operation) in operations(document["paths"].as_object()) {
            assert!(page.contains(&format!("<code>{path}</code>")) || path.contains('&'), "{path}");
            assert!(
                page.contains(&format!("id=\"{}\"", operation["operationId"].as_str().unwrap())),
                "{path}"
            );
        }
        assert!(!page.contains("<script") && !page.contains("style="));
    }
}
