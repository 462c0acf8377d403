//! `stepbox instances`: jobs with saved parameters.

use serde_json::Value;
use stepbox::batch::visible::Visible;
use stepbox::{InstanceEdit, NewInstance};
use stepbox_api::instance::{Instance, InstanceDetails};

use crate::args::Instances;
use crate::error::CliError;
use crate::output::Format;
use crate::output::execution::parameters as parameter_lines;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::{Answer, talk};
use crate::parameters;
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Instances) -> Result<Answer, CliError> {
    match verb {
        Instances::Create { connector, job, job_type, code, config, label, format } => {
            let parameters = parameters::read(&config)?;
            let new = NewInstance { connector, job, job_type, code, label, parameters };
            let instance = site.create_instance(new).await?;
            Ok(done("created", &instance, format.format))
        }
        Instances::List { job_type, format } => list_all(site, job_type.as_deref(), format.format).await,
        Instances::Show { code, format } => {
            let instance = site.instance(&code).await?;
            Ok(Answer::new(format.format, || show(&instance), || &instance))
        }
        Instances::Edit { code, config, unset, label, format } => {
            let set = config.as_deref().map(parameters::read).transpose()?;
            let instance =
                site.edit_instance(&code, InstanceEdit { label, set, unset, expected: None }).await?;
            Ok(done("changed", &instance, format.format))
        }
        Instances::Duplicate { code, new_code, label, format } => {
            let instance = site.duplicate_instance(&code, &new_code, label).await?;
            Ok(done("created", &instance, format.format))
        }
        Instances::Delete { code } => {
            site.delete_instance(&code).await?;
            talk(format!("deleted the instance `{code}`; its executions stay"));
            Ok(Answer::nothing())
        }
    }
}

/// Reports a change to people; programs receive the instance as it is now.
fn done(verb: &str, instance: &Instance, format: Format) -> Answer {
    talk(format!("{verb} the instance `{}`", instance.code));
    Answer::new(format, Visible::default, || instance)
}

async fn list_all(site: &Site, job_type: Option<&str>, format: Format) -> Result<Answer, CliError> {
    let instances = site.instances(job_type).await?;
    if instances.is_empty() {
        let of_type = job_type.map(|job_type| format!(" of type `{job_type}`")).unwrap_or_default();
        talk(format!("there are no instances{of_type}; `stepbox instances create` makes one"));
    }
    Ok(list::answer(format, &instances, table))
}

fn table(instances: &[&Instance]) -> Table {
    let columns = [
        Column::Left("type"),
        Column::Left("code"),
        Column::Left("job"),
        Column::Left("connector"),
        Column::Left("label"),
    ];
    Table::of(columns, instances, |instance| {
        [
            instance.r#type.clone(),
            instance.code.clone(),
            instance.job.clone(),
            instance.connector.clone(),
            instance.label.clone(),
        ]
    })
}

fn show(InstanceDetails { instance, effective_parameters, violations }: &InstanceDetails) -> Visible {
    let lines = |value: &Value| parameter_lines(value.as_object().into_iter().flatten());
    let effective = match effective_parameters {
        Some(parameters) => lines(parameters),
        None => {
            let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
            format!("none: the job's constraints are broken\n{}", violations.join("\n"))
        }
    };
    let Instance { code, label, connector, job, r#type: job_type, raw_parameters, .. } = instance;
    pairs([
        ("instance", code.clone()),
        ("label", label.clone()),
        ("job", format!("{job} of connector {connector}, type {job_type}")),
        ("own parameters", lines(raw_parameters)),
        ("effective parameters", effective),
    ])
}
