//! `stepbox steps`: components for steps.

use std::path::Path;

use serde_json::Value;
use stepbox::batch::visible::Visible;
use stepbox_api::connector::Component;

use crate::args::{FormatArg, Steps};
use crate::error::CliError;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::words::{self, bytes};
use crate::output::{Answer, talk};
use crate::pull::{Pull, pull};
use crate::signature::Signature;
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Steps) -> Result<Answer, CliError> {
    match verb {
        Steps::Upload { file, signature, format } => {
            let signature = match signature {
                Some(named) => Signature::named(site, &named).await?,
                None => Signature::beside(&file).await?,
            };
            Ok(kept(&site.upload_file(&file, &signature).await?, format.format))
        }
        Steps::Pull { reference, signature, username, plain_http, auth_hosts, format } => {
            let signature = match signature {
                Some(named) => Signature::named(site, &named).await?,
                None => Signature::none(),
            };
            let wanted = Pull { reference: &reference, username, plain_http, auth_hosts: &auth_hosts };
            let bytes = pull(wanted).await?;
            talk(format!("pulled {}", words::bytes(bytes.len() as u64)));
            Ok(kept(&site.upload(bytes, &signature).await?, format.format))
        }
        Steps::List(FormatArg { format }) => list_all(site, format).await,
        Steps::Inspect { component, format } => {
            let component = inspect(site, &component).await?;
            Ok(Answer::new(format.format, || show(&component), || &component))
        }
        Steps::Remove { component } => {
            let reference = site.remove_component(&component).await?;
            talk(format!("removed the component `{reference}`"));
            Ok(Answer::nothing())
        }
    }
}

fn kept(component: &Component, format: Format) -> Answer {
    talk(format!("kept the component `{}` ({})", component.reference(), component.world));
    Answer::new(format, || Visible::line(&component.digest), || component)
}

async fn list_all(site: &Site, format: Format) -> Result<Answer, CliError> {
    let components = site.components().await?;
    if components.is_empty() {
        talk("there are no components yet; `stepbox steps upload` and `stepbox connectors add` bring some");
    }
    Ok(list::answer(format, &components, table))
}

fn table(components: &[&Component]) -> Table {
    let columns = ["component", "world", "digest", "signed by", "size"].map(Column::Left);
    Table::of(columns, components, |component| {
        [
            component.reference(),
            component.world.clone(),
            component.short_digest().to_owned(),
            component.signed_by.clone().unwrap_or_else(|| "-".to_owned()),
            bytes(component.size_bytes),
        ]
    })
}

/// A file, if there is one of that name, otherwise an uploaded component.
async fn inspect(site: &Site, component: &str) -> Result<Component, CliError> {
    let path = Path::new(component);
    let is_path = path.exists() || component.contains(['/', '\\']) || component.ends_with(".wasm");
    match is_path {
        true => site.inspect_file(path).await,
        false => site.component(component).await,
    }
}

/// A component and what it asks for.
fn show(view: &Component) -> Visible {
    let description = &view.description;
    let lines = |value: &Value| {
        let texts: Vec<_> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        texts.join("\n")
    };
    let columns = |value: &Value, otherwise: &str| match value.as_array() {
        Some(_) => lines(value),
        None => otherwise.to_owned(),
    };
    let mut facts = vec![
        ("component", view.name.clone()),
        ("version", view.version.clone()),
        ("world", view.world.clone()),
        ("size", bytes(view.size_bytes)),
        ("digest", view.digest.clone()),
        ("uploaded", view.uploaded_at.clone().unwrap_or_else(|| "no".to_owned())),
        ("signed by", view.signed_by.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    facts.push(("summary", description["summary"].as_str().unwrap_or_default().to_owned()));
    facts.push(("parameters", serde_json::to_string_pretty(&description["parameters"]).unwrap_or_default()));
    facts.push((
        "wishes",
        Some(lines(&description["grants"])).filter(|l| !l.is_empty()).unwrap_or("none".to_owned()),
    ));
    facts.push(("columns in", columns(&description["columns_in"], "all")));
    facts.push(("columns out", columns(&description["columns_out"], "it depends on the input")));
    let yes_or_no = |value: &Value| if *value == true { "yes" } else { "no" }.to_owned();
    facts.push(("stateless", yes_or_no(&description["stateless"])));
    facts.push(("form", yes_or_no(&description["form"])));
    pairs(facts)
}
