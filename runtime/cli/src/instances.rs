//! `stepbox instances`: jobs with saved parameters.

use std::collections::BTreeSet;

use serde_json::Value;
use stepbox::batch::access::InstanceRight;
use stepbox::batch::visible::Visible;
use stepbox::{InstanceEdit, NewInstance};
use stepbox_api::instance::{Instance, InstanceDetails, InstanceVersion};
use stepbox_api::member::InstanceRights;

use crate::args::Instances;
use crate::args::access::InstanceRightsArgs;
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
        Instances::History { code, format } => {
            let versions = site.instance_history(&code).await?;
            Ok(list::answer(format.format, &versions, history_table))
        }
        Instances::Rights(args) => rights(site, args).await,
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

fn history_table(versions: &[&InstanceVersion]) -> Table {
    let columns = [
        Column::Right("version"),
        Column::Left("changed"),
        Column::Left("by"),
        Column::Left("label"),
        Column::Left("what"),
    ];
    // Each with the one before it, which follows since the newest comes first.
    let earlier = versions.iter().skip(1).map(|earlier| Some(*earlier)).chain([None]);
    let pairs: Vec<_> = versions.iter().copied().zip(earlier).collect();
    Table::of(columns, &pairs, |(version, earlier)| {
        [
            version.instance.version.to_string(),
            version.instance.updated_at.clone(),
            version.user.clone().unwrap_or_else(|| "-".to_owned()),
            version.instance.label.clone(),
            earlier.map_or_else(|| "-".to_owned(), |earlier| changed(&earlier.instance, &version.instance)),
        ]
    })
}

/// The names of the parameters that differ.
fn changed(before: &Instance, after: &Instance) -> String {
    let fields = |instance: &Instance| instance.raw_parameters.as_object().cloned().unwrap_or_default();
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Shows who has which right, after the changes if there are some.
async fn rights(site: &Site, args: InstanceRightsArgs) -> Result<Answer, CliError> {
    let InstanceRightsArgs { code, view, edit, launch, history, nobody, by_role, format } = args;
    let before = site.instance_rights(&code).await?;
    let mut rights = before.clone();
    let named = [
        (InstanceRight::View, view),
        (InstanceRight::Edit, edit),
        (InstanceRight::Launch, launch),
        (InstanceRight::History, history),
    ];
    for (right, users) in named.into_iter().filter(|(_, users)| !users.is_empty()) {
        *list_of(&mut rights, right) = Some(users.iter().map(ToString::to_string).collect());
    }
    nobody.into_iter().for_each(|right| *list_of(&mut rights, right) = Some(BTreeSet::new()));
    by_role.into_iter().for_each(|right| *list_of(&mut rights, right) = None);
    if rights != before {
        rights = site.set_instance_rights(&code, rights).await?;
        talk(format!("changed the rights at the instance `{code}`"));
    }
    Ok(Answer::new(format.format, || show_rights(&rights), || &rights))
}

fn list_of(rights: &mut InstanceRights, right: InstanceRight) -> &mut Option<BTreeSet<String>> {
    match right {
        InstanceRight::View => &mut rights.view,
        InstanceRight::Edit => &mut rights.edit,
        InstanceRight::Launch => &mut rights.launch,
        InstanceRight::History => &mut rights.history,
    }
}

fn show_rights(InstanceRights { view, edit, launch, history }: &InstanceRights) -> Visible {
    let users = |list: &Option<BTreeSet<String>>| match list {
        None => "the role decides".to_owned(),
        Some(users) if users.is_empty() => "nobody".to_owned(),
        Some(users) => users.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    pairs([
        ("view", users(view)),
        ("edit", users(edit)),
        ("launch", users(launch)),
        ("history", users(history)),
    ])
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
