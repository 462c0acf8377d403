//! `stepbox instances`: jobs with saved parameters.

use serde_json::Value;
use stepbox::batch::job::JobInstance;
use stepbox::batch::parameters::Violation;
use stepbox::batch::visible::Visible;
use stepbox::{Error, InstanceEdit, NewInstance, Tenant};
use stepbox_api::instance::{Instance, InstanceDetails};

use crate::args::Instances;
use crate::error::CliError;
use crate::output::Format;
use crate::output::execution::parameters as parameter_lines;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::{Answer, talk};
use crate::parameters;

pub(crate) async fn carry_out(tenant: &Tenant, verb: Instances) -> Result<Answer, CliError> {
    match verb {
        Instances::Create { connector, job, job_type, code, config, label, format } => {
            let parameters = parameters::read(&config)?;
            let new = NewInstance { connector, job, job_type, code, label, parameters };
            let instance = tenant.create_instance(new).await?;
            Ok(done("created", &instance, format.format))
        }
        Instances::List { job_type, format } => list_all(tenant, job_type.as_deref(), format.format).await,
        Instances::Show { code, format } => show(tenant, &code, format.format).await,
        Instances::Edit { code, config, unset, label, format } => {
            let set = config.as_deref().map(parameters::read).transpose()?;
            let instance = tenant.edit_instance(&code, InstanceEdit { label, set, unset }).await?;
            Ok(done("changed", &instance, format.format))
        }
        Instances::Duplicate { code, new_code, label, format } => {
            let instance = tenant.duplicate_instance(&code, &new_code, label).await?;
            Ok(done("created", &instance, format.format))
        }
        Instances::Delete { code } => {
            tenant.delete_instance(&code).await?;
            talk(format!("deleted the instance `{code}`; its executions stay"));
            Ok(Answer::nothing())
        }
    }
}

/// Reports a change to people; programs receive the instance as it is now.
fn done(verb: &str, instance: &JobInstance, format: Format) -> Answer {
    talk(format!("{verb} the instance `{}`", instance.code));
    Answer::new(format, Visible::default, || Instance::of(instance))
}

async fn list_all(tenant: &Tenant, job_type: Option<&str>, format: Format) -> Result<Answer, CliError> {
    let instances = tenant.instances(job_type).await?;
    if instances.rows() == 0 {
        let of_type = job_type.map(|job_type| format!(" of type `{job_type}`")).unwrap_or_default();
        talk(format!("there are no instances{of_type}; `stepbox instances create` makes one"));
    }
    Ok(list::answer(format, &instances, table, Instance::of))
}

fn table(instances: &[JobInstance]) -> Table {
    let columns = [
        Column::Left("type"),
        Column::Left("code"),
        Column::Left("job"),
        Column::Left("connector"),
        Column::Left("label"),
    ];
    Table::of(columns, instances, |instance| {
        [
            instance.job_type.clone(),
            instance.code.to_string(),
            instance.job.to_string(),
            instance.connector.to_string(),
            instance.label.clone(),
        ]
    })
}

async fn show(tenant: &Tenant, code: &str, format: Format) -> Result<Answer, CliError> {
    let instance = tenant.instance(code).await?;
    let effective = match tenant.effective_parameters(&instance).await {
        Ok(parameters) => Ok(parameters),
        // The job may have been installed again with other constraints. The instance still exists.
        Err(Error::Violations { violations, .. }) => Err(violations),
        Err(error) => return Err(error.into()),
    };
    Ok(Answer::new(format, || text(&instance, &effective), || InstanceDetails::of(&instance, &effective)))
}

fn text(instance: &JobInstance, effective: &Result<Value, Vec<Violation>>) -> Visible {
    let lines = |value: &Value| parameter_lines(value.as_object().into_iter().flatten());
    let effective = match effective {
        Ok(parameters) => lines(parameters),
        Err(violations) => {
            let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
            format!("none: the job's constraints are broken\n{}", violations.join("\n"))
        }
    };
    pairs([
        ("instance", instance.code.to_string()),
        ("label", instance.label.clone()),
        ("job", format!("{} of connector {}, type {}", instance.job, instance.connector, instance.job_type)),
        ("own parameters", lines(&instance.raw_parameters)),
        ("effective parameters", effective),
    ])
}
