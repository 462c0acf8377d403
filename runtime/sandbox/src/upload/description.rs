//! A component's description of itself, checked before it is shown to people.

use std::collections::HashSet;

use semver::Version;
use serde_json::{Value, json};
use stepbox_batch::depth::{DEPTH_MAX, is_too_deep};

use crate::describing::{self, failure_of};
use crate::error::ComponentError;
use crate::failure::is_code;
use crate::instance::LISTS_BYTES_MAX;
use crate::limits::Limits;
use crate::machine::Loaded;
use crate::upload::World;
use crate::v0_1::bindings::exports::stepbox::step::describe::GuestIndices;
use crate::v0_1::bindings::exports::stepbox::step::form;
use crate::v0_1::bindings::stepbox::step::types::Description as Raw;

/// The maximum length of the summary, and of each grant, in bytes.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// The maximum length of the schema of the parameters, in bytes.
const SCHEMA_BYTES_MAX: usize = 256 << 10;
/// The maximum number of grants and of columns.
const NAMES_MAX: usize = 1000;

/// What a component is, and which grants it asks for. Asking gives it nothing: only a job grants.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The name: lower-case words joined by hyphens.
    pub name: String,
    /// The version: a semantic version.
    pub version: String,
    /// What the component does, in one sentence.
    pub summary: String,
    /// A JSON Schema (2020-12) for its parameters. `None` if any parameters are valid.
    pub parameters: Option<Value>,
    /// The grants that it needs: `http: POST https://api.example.com`.
    pub grants: Vec<String>,
    /// The columns that it reads; `None` means all.
    pub columns_in: Option<Vec<String>>,
    /// The columns that it writes; `None` means that they depend on the input.
    pub columns_out: Option<Vec<String>>,
    /// Whether each call depends on its own rows alone, so that several calls may run in parallel.
    pub is_stateless: bool,
    /// Whether it answers questions about the form of a job: it exports the interface `form`.
    pub describes_forms: bool,
}

impl Description {
    /// The description as a JSON object, to store and show.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "parameters": self.parameters,
            "grants": self.grants,
            "columns_in": self.columns_in,
            "columns_out": self.columns_out,
            "stateless": self.is_stateless,
            "form": self.describes_forms,
        })
    }
}

/// Calls `describe` with no grants, very small limits, and no import that could do anything for it.
pub(super) async fn ask(loaded: &Loaded, world: World) -> Result<Description, ComponentError> {
    let failed = |source| ComponentError::DescribeFailed { source };
    let limits = Limits::for_describe();
    let (call_ms_max, share) = (limits.call_ms_max, loaded.machine().uploads.clone());
    let linked = describing::linked(loaded).map_err(unlinked)?;
    let (mut instance, wasm) = describing::start(loaded, &linked, limits, share).await.map_err(failed)?;
    let exports = GuestIndices::new(&linked).and_then(|all| all.load(&mut instance.store, &wasm));
    let exports = instance.settle(exports).map_err(|halt| failed(failure_of(halt)))?;
    instance.returns_at_most(LISTS_BYTES_MAX);
    let call = exports.call_describe(&mut instance.store);
    let described = instance.watch.guard(call_ms_max, call).await;
    let raw = instance.settle(described).map_err(|halt| failed(failure_of(halt)))?;
    let description = check(raw, world).map_err(|problem| ComponentError::BadDescription { problem })?;
    Ok(Description { describes_forms: form::GuestIndices::new(&linked).is_ok(), ..description })
}

fn unlinked(error: wasmtime::Error) -> ComponentError {
    ComponentError::DoesNotCompile { problem: format!("{error:#}") }
}

fn check(raw: Raw, world: World) -> Result<Description, String> {
    if !is_code(&raw.name) {
        return Err(format!(
            "the name `{}` is not lower-case words joined by hyphens, at most 100 bytes",
            cut(&raw.name)
        ));
    }
    Version::parse(&raw.version)
        .map_err(|error| format!("the version `{}` is no semantic version: {error}", cut(&raw.version)))?;
    check_text("the summary", &raw.summary)?;
    if raw.grants.len() > NAMES_MAX {
        return Err(format!("{} grants are named; at most {NAMES_MAX} may be", raw.grants.len()));
    }
    raw.grants.iter().try_for_each(|grant| check_text("a grant", grant))?;
    // A batch without columns could not even say how many items it has.
    if world == World::ItemProcessor && raw.columns_in.as_ref().is_some_and(Vec::is_empty) {
        return Err("columns-in names no column; leave it out to get all of them".to_owned());
    }
    Ok(Description {
        parameters: schema(&raw.parameters)?,
        columns_in: columns("columns-in", raw.columns_in)?,
        columns_out: columns("columns-out", raw.columns_out)?,
        name: raw.name,
        version: raw.version,
        summary: raw.summary,
        grants: raw.grants,
        is_stateless: raw.stateless,
        describes_forms: false,
    })
}

fn check_text(what: &str, text: &str) -> Result<(), String> {
    match text.len() {
        _ if text.contains('\0') => Err(format!("{what} holds a NUL")),
        bytes if bytes > TEXT_BYTES_MAX => {
            Err(format!("{what} has {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed"))
        }
        _ => Ok(()),
    }
}

fn schema(text: &str) -> Result<Option<Value>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if text.len() > SCHEMA_BYTES_MAX {
        let bytes = text.len();
        return Err(format!(
            "the parameters' schema has {bytes} bytes; at most {SCHEMA_BYTES_MAX} are allowed"
        ));
    }
    match serde_json::from_str(text) {
        Ok(schema) if is_too_deep(&schema) => {
            Err(format!("the parameters' schema nests deeper than {DEPTH_MAX} levels"))
        }
        Ok(schema @ Value::Object(_)) => Ok(Some(schema)),
        Ok(_) => Err("the parameters' schema is JSON, but no object".to_owned()),
        Err(error) => Err(format!("the parameters' schema is not JSON: {error}")),
    }
}

fn columns(what: &str, names: Option<Vec<String>>) -> Result<Option<Vec<String>>, String> {
    let Some(names) = names else { return Ok(None) };
    if names.len() > NAMES_MAX {
        return Err(format!("{what} names {} columns; at most {NAMES_MAX} may be", names.len()));
    }
    let mut seen = HashSet::new();
    for name in &names {
        check_text(what, name)?;
        if !seen.insert(name) {
            return Err(format!("{what} names `{}` twice", cut(name)));
        }
    }
    Ok(Some(names))
}

fn cut(text: &str) -> &str {
    stepbox_batch::cut::cut(text, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> Raw {
        Raw {
            name: "normalise-prices".to_owned(),
            version: "1.2.0".to_owned(),
            summary: "Brings prices into one form.".to_owned(),
            parameters: r#"{"type":"object"}"#.to_owned(),
            grants: vec!["http: GET https://x.example".to_owned()],
            columns_in: Some(vec!["price".to_owned()]),
            columns_out: None,
            stateless: true,
        }
    }

    #[test]
    fn takes_a_description_and_makes_json_of_it() {
        let description = check(raw(), World::ItemProcessor).unwrap();
        assert_eq!(
            description.to_json(),
            json!({
                "name": "normalise-prices", "version": "1.2.0", "summary": "Brings prices into one form.",
                "parameters": { "type": "object" }, "grants": ["http: GET https://x.example"],
                "columns_in": ["price"], "columns_out": null, "stateless": true,
                "form": false,
            })
        );
    }

    #[test]
    fn says_what_is_wrong_with_a_description() {
        let check_with = |change: fn(&mut Raw), expected: &str| {
            let mut raw = raw();
            change(&mut raw);
            let found =
                check(raw, World::ItemProcessor).map_or_else(|problem| problem, |_| "fine".to_owned());
            assert!(found.starts_with(expected), "{found}");
        };
        check_with(|raw| raw.parameters.clear(), "fine");
        check_with(|raw| raw.name = "Normalise".to_owned(), "the name `Normalise` is not lower-case words");
        check_with(|raw| raw.name.clear(), "the name `` is not lower-case words");
        check_with(|raw| raw.version = "1.2".to_owned(), "the version `1.2` is no semantic version");
        check_with(|raw| raw.summary = "x".repeat(5000), "the summary has 5000 bytes; at most 4096");
        check_with(|raw| raw.summary = "\0".to_owned(), "the summary holds a NUL");
        check_with(|raw| raw.parameters = "{".to_owned(), "the parameters' schema is not JSON");
        check_with(
            |raw| raw.parameters = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65)),
            "the parameters' schema nests deeper than 64 levels",
        );
        check_with(|raw| raw.parameters = "true".to_owned(), "the parameters' schema is JSON, but no object");
        check_with(|raw| raw.grants = vec![String::new(); 1001], "1001 grants are named");
        check_with(|raw| raw.columns_in = Some(vec!["a".to_owned(); 2]), "columns-in names `a` twice");
        check_with(|raw| raw.columns_in = Some(Vec::new()), "columns-in names no column; leave it out");
        check_with(|raw| raw.columns_out = Some(Vec::new()), "fine");
        assert!(check(Raw { columns_in: Some(Vec::new()), ..raw() }, World::ItemReader).is_ok());
    }
}
