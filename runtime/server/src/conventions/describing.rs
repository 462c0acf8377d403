//! What a route is, for the document of the interface.
//!
//! Nothing here is written beside a handler: the types of what it takes and gives describe themselves, so the document
//! says what the code does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stepbox_api::problem::{MEDIA_TYPE, Problem};
use utoipa::ToSchema;

/// The description of one operation, as it grows.
#[derive(Debug, Default)]
pub(crate) struct Describing {
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    security: Option<Value>,
    notes: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Describing {
    /// A reference to the schema of a type, which is kept among the schemas of the document.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> Value {
        let mut needed = Vec::new();
        T::schemas(&mut needed);
        for (name, schema) in needed {
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
        let (name, schema) = (T::name().into_owned(), serde_json::to_value(T::schema()).unwrap_or_default());
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.schemas.insert(name, schema);
        reference
    }

    /// The names and schemas of the fields of a type, and whether each is required.
    pub(crate) fn fields<T: ToSchema>() -> Vec<(String, Value, bool)> {
        let mut needed = Vec::new();
        T::schemas(&mut needed);
        let known: BTreeMap<String, Value> = needed
            .into_iter()
            .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()))
            .collect();
        let mut fields = Vec::new();
        gather(&serde_json::to_value(T::schema()).unwrap_or_default(), &known, &mut fields);
        fields
    }

    pub(crate) fn parameter(&mut self, place: &str, name: &str, required: bool, schema: Value, text: &str) {
        self.parameters.push(json!({
            "name": name, "in": place, "required": required, "description": text, "schema": schema,
        }));
    }

    /// The parts of a path, from its template.
    pub(crate) fn path(&mut self, template: &str) {
        for name in template.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let (schema, text) = part_of_path(name);
            self.parameter("path", name, true, schema, text);
        }
    }

    pub(crate) fn query<Q: ToSchema>(&mut self) {
        for (name, mut schema, required) in Self::fields::<Q>() {
            let text = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let text = text.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            self.parameter("query", &name, required, schema, &text);
        }
        let mut needed = Vec::new();
        Q::schemas(&mut needed);
        for (name, schema) in needed {
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
    }

    pub(crate) fn body(&mut self, content: &[(&str, Value)], required: bool) {
        let content: Map<String, Value> =
            content.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
        self.body = Some(json!({ "required": required, "content": content }));
        self.problem(413, "The body is larger than this route takes.");
        self.problem(415, "The body has another type than this route takes.");
        self.problem(408, "The body arrived too slowly.");
    }

    pub(crate) fn answer(&mut self, status: u16, text: &str, content: &[(&str, Value)]) {
        let mut answer = json!({ "description": text });
        if !content.is_empty() {
            let content: Map<String, Value> = content
                .iter()
                .map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema })))
                .collect();
            answer["content"] = content.into();
        }
        self.answers.insert(status, answer);
    }

    /// A header of an answer that was described.
    pub(crate) fn answer_header(&mut self, status: u16, name: &str, text: &str) {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer["headers"][name] = json!({ "description": text, "schema": { "type": "string" } });
        }
    }

    pub(crate) fn problem(&mut self, status: u16, text: &str) {
        let schema = self.schema::<Problem>();
        self.answers.entry(status).or_insert_with(
            || json!({ "description": text, "content": { MEDIA_TYPE: { "schema": schema } } }),
        );
    }

    /// A note for programs: the right that the route needs, and of what.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    /// Everybody may use the route.
    pub(crate) fn for_everybody(&mut self) {
        self.security = Some(json!([]));
    }

    /// The operation, with the problems that every route may answer with, and the schemas that it refers to.
    pub(crate) fn finish(
        mut self,
        is_change: bool,
        id: &str,
        summary: &str,
        tag: &str,
    ) -> (Value, BTreeMap<String, Value>) {
        self.problem(400, "The request is wrong.");
        self.problem(404, "There is no such thing, or none that you may see.");
        self.problem(421, "This server has another name.");
        self.problem(429, "Too many at a time; `Retry-After` says when to try again.");
        self.problem(500, "An unexpected error of the server.");
        self.problem(503, "The store or the server is not available now.");
        if is_change {
            self.problem(403, "Not allowed, or sent by a page of another site.");
            self.problem(409, "Not possible as things stand now.");
            self.problem(422, "Parameters break their constraints, or a component is refused.");
        }
        if self.security.is_none() {
            self.problem(401, "Nobody is signed in, or the credentials are of no use.");
            self.problem(403, "The thing may be seen, but this may not be done.");
        }
        let answers: Map<String, Value> =
            self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer)).collect();
        let mut operation = json!({ "operationId": id, "summary": summary, "tags": [tag] });
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation["responses"] = answers.into();
        if let Some(security) = self.security {
            operation["security"] = security;
        }
        for (name, value) in self.notes {
            operation[name] = value;
        }
        (operation, self.schemas)
    }
}

/// The fields of a schema, those of flattened types included.
fn gather(schema: &Value, known: &BTreeMap<String, Value>, fields: &mut Vec<(String, Value, bool)>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        if let Some(schema) = known.get(name) {
            gather(schema, known, fields);
        }
        return;
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        gather(part, known, fields);
    }
    let is_required = |name: &str| {
        let required = schema.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|known| known == name))
    };
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        fields.push((name.clone(), schema.clone(), is_required(name)));
    }
}

fn part_of_path(name: &str) -> (Value, &'static str) {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let number = json!({ "type": "integer", "minimum": 0 });
    match name {
        "tenant" => (text("^[A-Za-z0-9_-]{1,100}$"), "The tenant."),
        "code" => (text("^[A-Za-z0-9_]{1,100}$"), "The code."),
        "execution" => (number, "The number of the execution."),
        "number" => (number, "The number, from 0."),
        "token" => (number, "The number of the token."),
        "step" => (json!({ "type": "string" }), "The name of the step."),
        "user" => (json!({ "type": "string" }), "The name of the user."),
        "name" => (json!({ "type": "string" }), "The name of the job."),
        "reference" => (
            json!({ "type": "string" }),
            "A name, which means the newest version; a name and version; or a digest or its first 6 digits at least.",
        ),
        "secret" => (json!({ "type": "string" }), "The secret of the link."),
        "file" => (json!({ "type": "string" }), "The id of the file."),
        _ => (json!({ "type": "string" }), "A part of the path."),
    }
}
