//! Templates in options and grants, and the places where secrets may be named.

use std::collections::BTreeSet;

use serde_json::Value;
use stepbox_batch::nearest::nearest;
use stepbox_batch::parameters::ParameterSchema;
use stepbox_batch::template::{self, Names};

use super::super::{Mistake, part};
use crate::secrets;

/// Checks every template in a value. `secrets` are the names that are allowed at this place; `None` if no
/// secret is allowed.
pub(super) fn check(
    pointer: &str,
    value: &Value,
    schema: &ParameterSchema,
    secrets: Option<&BTreeSet<String>>,
) -> Result<(), Mistake> {
    match value {
        Value::String(_) => check_text(pointer, value, schema, secrets),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| check(&format!("{pointer}/{index}"), item, schema, secrets))
        }
        Value::Object(entries) => entries
            .iter()
            .try_for_each(|(key, item)| check(&format!("{pointer}/{}", part(key)), item, schema, secrets)),
        _ => Ok(()),
    }
}

fn check_text(
    pointer: &str,
    text: &Value,
    schema: &ParameterSchema,
    secrets: Option<&BTreeSet<String>>,
) -> Result<(), Mistake> {
    let names =
        template::names(text).map_err(|error| Mistake::new("bad-template", pointer, error.to_string()))?;
    if names == Names::default() {
        return Ok(());
    }
    let known: Vec<&str> = schema.properties().map(|(name, _)| name.as_str()).collect();
    if let Some(name) = names.parameters.iter().find(|name| !known.contains(&name.as_str())) {
        let message = format!("the job has no parameter `{name}`");
        let help = nearest(name, known).map(|nearest| format!("did you mean `{nearest}`?"));
        return Err(Mistake::new("bad-template", pointer, message).help(help.unwrap_or_default()));
    }
    names.secrets.iter().try_for_each(|name| check_secret(pointer, name, secrets))
}

fn check_secret(pointer: &str, name: &str, secrets: Option<&BTreeSet<String>>) -> Result<(), Mistake> {
    match secrets {
        None => Err(misplaced(pointer, name)),
        Some(known) if known.contains(name) => Ok(()),
        Some(known) => {
            let known = known.iter().map(String::as_str);
            Err(Mistake::new(secrets::UNKNOWN_CODE, pointer, secrets::unknown(name))
                .help(secrets::help_for_unknown(name, known))
                .remedy(secrets::remedy_for_unknown(name)))
        }
    }
}

/// Refuses secrets in a job's parameters, because parameters are stored and shown, and never expanded.
pub(super) fn refuse_secrets(pointer: &str, value: &Value) -> Result<(), Mistake> {
    match value {
        Value::String(text) => match text.split_once("${secrets.") {
            Some((_, rest)) => Err(misplaced(pointer, rest.split('}').next().unwrap_or_default())),
            None => Ok(()),
        },
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| refuse_secrets(&format!("{pointer}/{index}"), item))
        }
        Value::Object(entries) => entries
            .iter()
            .try_for_each(|(key, item)| refuse_secrets(&format!("{pointer}/{}", part(key)), item)),
        _ => Ok(()),
    }
}

fn misplaced(pointer: &str, name: &str) -> Mistake {
    let message = format!("the secret `{name}` cannot be named here");
    Mistake::new("secret-misplaced", pointer, message).help(
        "only the options of a component may name a secret: `tasklet: { notify: { token: \"${secrets.NAME}\" } }`",
    )
}
