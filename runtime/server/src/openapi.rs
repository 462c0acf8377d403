//! The document of the interface: OpenAPI 3.1, made of the routes themselves.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::table::Operation;

/// The document of the interface, with the routes below `/api/v1`.
pub fn document() -> Value {
    of(crate::routes::table().operations())
}

fn of(operations: &[Operation]) -> Value {
    let (mut paths, mut schemas) = (BTreeMap::<&str, Map<String, Value>>::new(), BTreeMap::new());
    for operation in operations {
        let method = operation.method.as_str().to_lowercase();
        paths.entry(operation.path).or_default().insert(method, operation.document.clone());
        schemas.extend(operation.schemas.clone());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stepbox",
            "version": "1",
            "description": "Batch jobs with sandboxed steps. docs/api.md is the guide.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token: `sbx_…`." },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-stepbox" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The document that is checked in is the promise to programs. It changes with the code, and is seen to change.
    #[test]
    fn the_document_is_the_one_that_is_checked_in() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let now = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("STEPBOX_WRITE_OPENAPI").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == now, "run the test with STEPBOX_WRITE_OPENAPI=1, and look at the difference");
    }

    /// Every reference leads somewhere, every operation has an id of its own, and says who may use it.
    #[test]
    fn the_document_is_whole() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next())
        {
            assert!(document["components"]["schemas"].get(reference).is_some(), "{reference}");
        }
        let mut ids = std::collections::BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                assert!(operation["x-right"].is_string(), "{method} {path}");
                let summary = operation["summary"].as_str().unwrap();
                assert!(summary.ends_with('.') && summary.len() > 5, "{method} {path}: {summary}");
            }
        }
        assert!(ids.len() > 20, "{}", ids.len());
    }
}
