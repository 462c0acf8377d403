//! `stepbox jobs`: definitions, their parameters and steps.

use serde_json::Value;
use stepbox::batch::limits::{LIMITS, Limit, LimitUnit};
use stepbox::batch::visible::Visible;
use stepbox_api::connector::short;
use stepbox_api::job::Job;
use stepbox_api::step::{Element, Limits, Step, StepKind};
use stepbox_api::step_settings::Branch;

use crate::args::{FormatArg, Jobs};
use crate::error::CliError;
use crate::output::Answer;
use crate::output::list;
use crate::output::settings;
use crate::output::table::{Column, Table, pairs};
use crate::output::words::{bytes, duration, number};
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Jobs) -> Result<Answer, CliError> {
    match verb {
        Jobs::List(FormatArg { format }) => Ok(list::answer(format, &site.jobs().await?, table)),
        Jobs::Show { name, format } => {
            let job = site.job(&name).await?;
            Ok(Answer::new(format.format, || show(&job), || &job))
        }
    }
}

/// Jobs, one in each line.
fn table(jobs: &[&Job]) -> Table {
    let columns =
        [Column::Left("type"), Column::Left("job"), Column::Left("connector"), Column::Left("label")];
    Table::of(columns, jobs, |job| {
        [job.r#type.clone(), job.name.clone(), job.connector.clone(), job.label.clone()]
    })
}

fn show(job: &Job) -> Visible {
    let facts = [
        ("job", job.name.clone()),
        ("connector", job.connector.clone()),
        ("type", job.r#type.clone()),
        ("label", job.label.clone()),
        ("stoppable", yes_or_no(job.stoppable)),
        (
            "concurrency",
            job.concurrency
                .map_or_else(|| "no limit".to_owned(), |max| format!("{max} of an instance at a time")),
        ),
    ];
    let parts = [pairs(facts), Visible::line(""), parameters(&job.parameters), Visible::line(""), steps(job)];
    parts.into_iter().collect()
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// The parameters of a job, one in each line.
fn parameters(schema: &Value) -> Visible {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty())
    else {
        return Visible::line("it takes no parameters");
    };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let columns = [
        Column::Left("parameter"),
        Column::Left("type"),
        Column::Left("required"),
        Column::Left("default"),
        Column::Left("description"),
    ];
    let table = Table::of(columns, properties, |(name, property)| {
        let text = |keyword: &str| property[keyword].as_str().unwrap_or_default().to_owned();
        let description = Some(text("description")).filter(|text| !text.is_empty());
        [
            name.clone(),
            type_of(property, schema),
            yes_or_no(required.contains(&name.as_str())),
            property.get("default").map_or_else(|| "-".to_owned(), Value::to_string),
            description.unwrap_or_else(|| text("title")),
        ]
    });
    table.shown()
}

/// The type of a parameter in a few words, from its schema.
fn type_of(property: &Value, schema: &Value) -> String {
    if let Some(target) = property["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        // A schema that refers to itself in a circle has no type in a few words.
        return match schema.pointer(target).filter(|target| target.get("$ref").is_none()) {
            Some(target) => type_of(target, schema),
            None => "any".to_owned(),
        };
    }
    if let Some(values) = property["enum"].as_array() {
        let values: Vec<_> = values.iter().map(Value::to_string).collect();
        return values.join(" or ");
    }
    if let Some(value) = property.get("const") {
        return value.to_string();
    }
    let of_type = |name: &str| match (name, property["properties"].as_object(), property["format"].as_str()) {
        ("object", Some(properties), _) => {
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            format!("object {{ {} }}", names.join(", "))
        }
        ("string", _, Some(format)) => format!("string, {format}"),
        _ => name.to_owned(),
    };
    match &property["type"] {
        Value::String(name) => of_type(name),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).map(of_type).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// A job's steps, and what they ask for.
pub(crate) fn steps(job: &Job) -> Visible {
    let count = job.steps.len();
    job.steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let place = place(step);
            let heading = format_args!("step {}/{count} `{}`{place}", index + 1, step.name);
            Visible::line(heading).and(step_facts(step).indented(2))
        })
        .collect()
}

/// The place of a step in a split. Branches are counted from 1, for people.
fn place(step: &Step) -> String {
    match &step.branch {
        Some(Branch { split, number }) => format!(", branch {} of the split `{split}`", number + 1),
        None => String::new(),
    }
}

fn step_facts(step: &Step) -> Visible {
    let mut facts = Vec::new();
    match &step.kind {
        StepKind::Item { reader, processors, writer, settings } => {
            let chunk = &settings.chunk;
            facts.push(("reader", element(reader)));
            facts.extend(processors.iter().map(|processor| ("processor", element(processor))));
            facts.push(("writer", element(writer)));
            facts.push((
                "chunk",
                format!("{} rows or {}", number(chunk.rows.into()), bytes(chunk.bytes.into())),
            ));
        }
        StepKind::Tasklet { tasklet } => facts.push(("tasklet", element(tasklet))),
    }
    facts.extend(settings::facts(step));
    let mut grants: Vec<_> = step.grants.http.iter().map(|grant| format!("http: {grant}")).collect();
    grants.extend(step.grants.files.iter().map(|(name, grant)| format!("files: {name}: {grant}")));
    let grants = if grants.is_empty() { "none".to_owned() } else { grants.join("\n") };
    facts.push(("grants", grants));
    if !step.secrets.is_empty() {
        facts.push(("secrets", step.secrets.join("\n")));
    }
    facts.extend(limits(&step.limits).map(|limits| ("limits", limits)));
    pairs(facts)
}

fn element(Element { name, digest, .. }: &Element) -> String {
    match digest {
        None => format!("{name} (native)"),
        Some(digest) => format!("{name} (component {})", short(digest)),
    }
}

fn limits(limits: &Limits) -> Option<String> {
    let line = |limit: &Limit| {
        let max = limits.get(limit.name)?;
        Some(match limit.unit {
            LimitUnit::Bytes => format!("{}: {max} ({})", limit.name, bytes(max)),
            LimitUnit::Milliseconds => format!("{}: {max} ({})", limit.name, duration(max)),
            LimitUnit::Count => format!("{}: {max}", limit.name),
        })
    };
    let lines: Vec<_> = LIMITS.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_what_a_parameter_may_be() {
        let schema = json!({ "$defs": {
            "storage": { "type": "object", "properties": { "type": {}, "file_path": {} } },
            "circle": { "$ref": "#/$defs/circle" },
        } });
        let rows = [
            (json!({ "type": "boolean" }), "boolean"),
            (json!({ "type": ["string", "null"] }), "string or null"),
            (json!({ "type": "string", "format": "uri" }), "string, uri"),
            (json!({ "enum": [",", ";"] }), "\",\" or \";\""),
            (json!({ "const": 1 }), "1"),
            (json!({ "$ref": "#/$defs/storage", "title": "File" }), "object { type, file_path }"),
            (json!({ "$ref": "#/$defs/circle" }), "any"),
            (json!({ "$ref": "#/$defs/nothing" }), "any"),
            (json!({}), "any"),
            (json!(true), "any"),
        ];
        for (property, expected) in rows {
            assert_eq!(type_of(&property, &schema), expected, "{property}");
        }
    }
}
