//! Connector files: every mistake has a code and a place, and a file without mistakes becomes jobs.

use std::collections::BTreeSet;

use serde_json::json;
use stepbox::batch::clock::Timestamp;
use stepbox::batch::element::Role;
use stepbox::batch::inventory::Component;
use stepbox::batch::name::Digest;
use stepbox::connector_file::{ConnectorFile, ConnectorFileError, Known};

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let known = Known { native: native(), secrets: BTreeSet::from(["token".to_owned()]), ..Known::default() };
    match ConnectorFile::parse("connector.yaml".into(), text, &known) {
        Ok(file) => {
            let names: Vec<String> = file.components().map(|(name, _)| name.to_owned()).collect();
            let components = names.iter().map(|name| (name.clone(), component(name))).collect();
            match file.into_connector(&components) {
                Ok(connector) => assert!(!connector.jobs.is_empty(), "a connector without jobs"),
                Err(error) => {
                    assert!(!names.is_empty(), "components out of nowhere: {error}");
                    check(&error, text);
                }
            }
        }
        Err(error) => check(&error, text),
    }
}

/// A component's record in the store. Its name decides which world it is of.
fn component(name: &str) -> Component {
    let world = match name.as_bytes().first() {
        Some(b'r') => "item-reader",
        Some(b'w') => "item-writer",
        Some(b't') => "tasklet",
        _ => "item-processor",
    };
    Component {
        digest: Digest::from_bytes([1; 32]),
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        world: world.to_owned(),
        size_bytes: 1,
        uploaded_at: Timestamp(0),
        description: json!({ "stateless": name.len().is_multiple_of(2), "columns_in": ["a"] }),
        signer: None,
    }
}

fn native() -> Vec<(Role, String, Option<&'static [&'static str]>)> {
    use stepbox_connectors::{native_names, option_names};
    let of = |role| {
        native_names(role).into_iter().map(move |name| (role, name.to_owned(), option_names(role, name)))
    };
    of(Role::Reader).chain(of(Role::Writer)).collect()
}

/// A place is in the file, or just after it.
fn check(error: &ConnectorFileError, text: &str) {
    assert!(!error.code.is_empty() && !error.message.is_empty());
    assert_eq!(error.line.is_some(), error.column.is_some());
    if let Some(line) = error.line {
        let lines = 1 + text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
        assert!((1..=lines + 1).contains(&line), "line {line} of {lines}: {error}");
        assert_ne!(error.column, Some(0));
    }
    // The message for a person is one paragraph, however large the file.
    assert!(error.to_string().len() <= 4096 + 2 * text.len(), "a message larger than the file");
}

/// The connectors of this repository.
pub fn seeds() -> Vec<Vec<u8>> {
    let shipped =
        format!("connector: stepbox\nlabel: Stepbox\njobs:\n{}", stepbox_connectors::shipped_jobs());
    let example = include_str!("../../../../examples/csv-notify/connector.yaml");
    vec![shipped.into_bytes(), example.as_bytes().to_vec()]
}
