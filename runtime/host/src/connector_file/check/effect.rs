//! Whether what is accepted has an effect, and whether it can work at all. Found when a connector is installed, not by
//! its first run.

use serde_json::Value;
use stepbox_batch::error::ElementError;
use stepbox_batch::job::GrantRequest;
use stepbox_batch::parameters::ParameterSchema;
use stepbox_batch::template::{self, Names, TemplateError};
use stepbox_connectors::ElementKind;
use stepbox_sandbox::GrantError;

use super::super::{Mistake, Mistakes, part};
use super::{CheckedStepKind, Role};

/// Refuses options of a reader or writer of ours that can never work, whatever the parameters are.
pub(super) fn of_native_options(
    pointer: &str,
    role: Role,
    name: &str,
    options: Option<&Value>,
) -> Result<(), Mistakes> {
    let kind = match role {
        Role::Reader => ElementKind::Reader,
        Role::Writer => ElementKind::Writer,
        Role::Processor | Role::Tasklet => return Ok(()),
    };
    let wrong = stepbox_connectors::check_options(kind, name, options.unwrap_or(&Value::Null), has_template);
    let wrong = wrong.into_iter().map(|(option, error)| {
        let pointer =
            if option.is_empty() { pointer.to_owned() } else { format!("{pointer}/{}", part(&option)) };
        let (code, message, help) = match error {
            ElementError::Failed { code, message, help, .. } if code == "missing-option" => {
                ("missing-option", message, help)
            }
            ElementError::Failed { message, help, .. } => ("bad-option", message, help),
            other @ ElementError::Stopped => ("bad-option", other.to_string(), String::new()),
        };
        Err(Mistake::new(code, pointer, format!("the {role} `{name}`: {message}")).help(help).into())
    });
    Mistakes::none_in::<()>(wrong).map(drop)
}

fn has_template(value: &Value) -> bool {
    template::names(value).map_or(true, |names| names != Names::default())
}

/// Grants are for components.
pub(super) fn of_grants(pointer: &str, grants: &GrantRequest, kind: &CheckedStepKind) -> Result<(), Mistake> {
    let has_component = match kind {
        CheckedStepKind::Item { reader, processors, writer, .. } => {
            [reader, writer].into_iter().chain(processors).any(|element| element.is_component)
        }
        CheckedStepKind::Tasklet { tasklet } => tasklet.is_component,
    };
    if has_component || (grants.http.is_empty() && grants.files.is_empty()) {
        return Ok(());
    }
    let message = "no element of this step is a component, so its grants have no effect";
    Err(Mistake::new("bad-grant", format!("{pointer}/grants"), message).help("leave them out"))
}

/// Refuses a grant with a default in its template that its place does not take. What has no default is judged in a run.
pub(super) fn of_defaults<T>(filled: Result<T, GrantError>) -> Result<(), GrantError> {
    match filled {
        Ok(_) | Err(GrantError::Template(TemplateError::NoValue { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A grant needs a value for each of its parameters, or the step fails: the parameter's, or a default in the template.
pub(super) fn of_template(pointer: &str, grant: &str, schema: &ParameterSchema) -> Result<(), Mistake> {
    let names = template::names(&Value::from(grant)).unwrap_or_default();
    let required = schema.as_json().get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|required| required.iter().any(|found| found == name));
    let has_default =
        |name: &str| schema.properties().any(|(found, of)| found == name && of.get("default").is_some());
    match names.needed.iter().find(|name| !is_required(name) && !has_default(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("the parameter `{name}` may be left out, and then this grant has no value");
            let help = format!(
                "list `{name}` under `required`, give it a `default`, or write one into the template: \
                 `${{parameters.{name}:-default}}`"
            );
            Err(Mistake::new("bad-grant", pointer, message).help(help))
        }
    }
}
