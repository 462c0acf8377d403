//! The reference of the HTTP API, from its document.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::blocks::head;

/// An operation: its path, its method, and what the document says of it.
type Operation<'a> = (&'a String, &'a String, &'a Value);

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    });
    methods.collect()
}

/// The reference. `document_address` is where programs get the document.
pub fn show(document: &Value, document_address: &str) -> Markup {
    let mut nouns: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for operation in operations(document) {
        nouns.entry(operation.2["tags"][0].as_str().unwrap_or("other")).or_default().push(operation);
    }
    let lead = html! {
        span { "All addresses begin with " code { "/api/v1" } ". Programs get the same as " a href=(document_address) { "a document of OpenAPI 3.1" } "." }
    };
    html! {
        (head(&html! { "The HTTP API" }, &lead, &html! {}))
        nav aria-label="Nouns of the API" {
            p.small { @for noun in nouns.keys() { a href={ "#" (noun) } { (noun) } " " } }
        }
        @for (noun, operations) in &nouns {
            section aria-labelledby=(noun) {
                div.section-head { h2 id=(noun) { (noun) } }
                @for operation in operations { (self::operation(*operation)) }
            }
        }
        section aria-labelledby="types" {
            div.section-head { h2 #types { "Types" } }
            @for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() { (named_type(name, schema)) }
        }
    }
}

fn operation((path, method, operation): Operation<'_>) -> Markup {
    let text = |field: &str| operation[field].as_str().unwrap_or_default();
    let answers = operation["responses"].as_object();
    html! {
        details.operation id=(text("operationId")) {
            summary {
                code { b { (method.to_uppercase()) } " " (path) }
                span.sub { (text("summary")) }
            }
            dl.facts {
                @if !text("x-right").is_empty() { dt { "Right" } dd { (text("x-right")) @if !text("x-thing").is_empty() { ", at: " (text("x-thing")) } } }
                @if !text("x-scope").is_empty() { dt { "Scope of a token" } dd { code { (text("x-scope")) } } }
                @for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    dt { code { (parameter["name"].as_str().unwrap_or_default()) } }
                    dd { "in the " (parameter["in"].as_str().unwrap_or_default()) ": " (parameter["description"].as_str().unwrap_or_default()) }
                }
                @for (kind, body) in content(&operation["requestBody"]) { dt { "Body" } dd { code { (kind) } " " (type_of(&body["schema"])) } }
                @for (status, answer) in answers.into_iter().flatten() {
                    dt { (status) }
                    dd {
                        (answer["description"].as_str().unwrap_or_default())
                        @if status.starts_with('2') { @for (kind, body) in content(answer) { " " code { (kind) } " " (type_of(&body["schema"])) } }
                    }
                }
            }
        }
    }
}

fn content(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of["content"].as_object().into_iter().flat_map(Map::iter)
}

fn named_type(name: &str, schema: &Value) -> Markup {
    let fields = schema["properties"].as_object().filter(|fields| !fields.is_empty());
    html! {
        details id={ "type-" (name) } {
            summary { code { (name) } " " span.muted { (schema["description"].as_str().unwrap_or_default()) } }
            @if let Some(fields) = fields {
                dl.facts.wide-facts {
                    @for (name, field) in fields {
                        dt { code { (name) } }
                        dd { (type_of(field)) " " span.sub { (field["description"].as_str().unwrap_or_default()) } }
                    }
                }
            }
        }
    }
}

/// A type in a word, with a link if it has a name.
fn type_of(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return html! { a href={ "#type-" (name) } { (name) } };
    }
    if schema["items"].is_object() {
        return html! { "list of " (type_of(&schema["items"])) };
    }
    let parts = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|kind| schema[kind].as_array());
    if let Some(parts) = parts {
        return html! { @for (place, part) in parts.iter().enumerate() { @if place > 0 { " or " } (type_of(part)) } };
    }
    html! {
        @match &schema["type"] {
            Value::String(one) => (one),
            Value::Array(several) => {
                @for (place, one) in several.iter().enumerate() { @if place > 0 { " or " } (one.as_str().unwrap_or_default()) }
            },
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_route_and_type_is_there_and_no_script() {
        let document = json!({
            "paths": { "/a/{b}": { "get": {
                "operationId": "a_show", "tags": ["a"], "summary": "<script>", "x-right": "view", "x-scope": "a:read",
                "parameters": [{ "name": "b", "in": "path", "description": "The b." }],
                "responses": { "200": { "description": "It.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/A" } } } } },
            } } },
            "components": { "schemas": { "A": { "description": "An a.", "properties": { "x": { "type": ["string", "null"] } } } } },
        });
        let page = show(&document, "/api/v1/openapi.json").into_string();
        for expected in [
            "id=\"a_show\"",
            "/a/{b}",
            "href=\"#type-A\"",
            "id=\"type-A\"",
            "string or null",
            "&lt;script&gt;",
        ] {
            assert!(page.contains(expected), "{expected}");
        }
        assert!(!page.contains("<script") && !page.contains("style="));
    }
}
