//! Whether accepted settings have an effect, and whether they can work at all. These mistakes are found when
//! a connector is installed, and not by its first run.

use serde_json::Value;
use stepbox_batch::element::Role;
use stepbox_batch::error::ElementError;
use stepbox_batch::job::{GrantRequest, Job};
use stepbox_batch::name::StepName;
use stepbox_batch::template::{self, Names, TemplateError};
use stepbox_sandbox::GrantError;

use super::super::{Mistake, Mistakes, part};
use super::CheckedStepKind;

/// Refuses options of a Stepbox reader or writer that can never work, whatever the parameters are.
pub(super) fn of_native_options(
    pointer: &str,
    role: Role,
    name: &str,
    options: Option<&Value>,
) -> Result<(), Mistakes> {
    let wrong = stepbox_connectors::check_options(role, name, options.unwrap_or(&Value::Null), has_template);
    let wrong = wrong.into_iter().map(|(option, error)| {
        let pointer =
            if option.is_empty() { pointer.to_owned() } else { format!("{pointer}/{}", part(&option)) };
        let ElementError { code, message, help, .. } = error;
        let code = if code == "missing-option" { "missing-option" } else { "bad-option" };
        Err(Mistake::new(code, pointer, format!("the {role} `{name}`: {message}")).help(help).into())
    });
    Mistakes::none_in::<()>(wrong).map(drop)
}

fn has_template(value: &Value) -> bool {
    template::names(value).map_or(true, |names| names != Names::default())
}

/// Refuses grants of a step without a component, because only components need grants.
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

/// Refuses a grant if a default in its template is not allowed at its place. A grant without defaults is
/// checked in a run.
pub(super) fn of_defaults<T>(filled: Result<T, GrantError>) -> Result<(), GrantError> {
    match filled {
        Ok(_) | Err(GrantError::Template(TemplateError::NoValue { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The optional parameters in grants, with their steps.
///
/// A run without a value for such a parameter fails at that step.
pub fn optional_in_grants(job: &Job) -> Vec<(&StepName, String)> {
    let required = job.parameters.get("required").and_then(Value::as_array);
    let is_required =
        |name: &String| required.is_some_and(|required| required.iter().any(|found| found == name.as_str()));
    let has_default = |name: &String| job.parameters.pointer(&default_of(name)).is_some();
    let mut found = Vec::new();
    for step in &job.steps {
        let grants = step.grants.http.iter().chain(step.grants.files.values());
        let names =
            grants.flat_map(|grant| template::names(&Value::from(grant.as_str())).unwrap_or_default().needed);
        let optional = names.filter(|name| !is_required(name) && !has_default(name));
        found.extend(optional.map(|name| (&step.name, name)));
    }
    found.dedup();
    found
}

fn default_of(name: &str) -> String {
    format!("/properties/{}/default", name.replace('~', "~0").replace('/', "~1"))
}
