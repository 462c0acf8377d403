//! `stepbox connectors`: named families of jobs.

use std::path::Path;

use stepbox::batch::visible::Visible;
use stepbox_api::connector::{Connector, ConnectorSummary, Installed, OptionalInGrant, UnusedParameter};

use crate::args::{Connectors, FormatArg};
use crate::error::CliError;
use crate::form;
use crate::grants;
use crate::jobs;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::words::counted;
use crate::output::{Answer, talk};
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Connectors) -> Result<Answer, CliError> {
    match verb {
        Connectors::Add { dir, force, format } => add(site, &dir, force, format.format).await,
        Connectors::Preview { dir, format } => {
            let preview = site.preview_connector(&dir).await?;
            Ok(Answer::new(format.format, || form::preview(&preview), || &preview))
        }
        Connectors::List(FormatArg { format }) => Ok(list::answer(format, &site.connectors().await?, table)),
        Connectors::Show { code, format } => {
            let connector = site.connector(&code).await?;
            Ok(answer(&connector, format.format))
        }
        Connectors::Remove { code } => {
            let code = site.remove_connector(&code).await?;
            talk(format!("removed the connector `{code}`"));
            Ok(Answer::nothing())
        }
    }
}

/// Installs a connector, and shows what its steps ask for and what the policy allows of it.
async fn add(site: &Site, dir: &Path, force: bool, format: Format) -> Result<Answer, CliError> {
    let Installed { connector, broken, unused, optional_in_grants } =
        site.install_connector(dir, force).await?;
    let jobs = counted(connector.jobs.len() as u64, "job");
    talk(format!("installed the connector `{}` with {jobs}", connector.code));
    for instance in broken {
        let (code, reason) = (instance.code, instance.reason);
        talk(format!("warning: the instance `{code}`: {reason}, so it does not run any more"));
    }
    for job in &connector.jobs {
        for UnusedParameter { parameter, .. } in unused.iter().filter(|unused| unused.job == job.name) {
            talk(format!("warning: no step of the job `{}` takes its parameter `{parameter}`", job.name));
        }
        let optional = optional_in_grants.iter().filter(|optional| optional.job == job.name);
        for OptionalInGrant { step, parameter, .. } in optional {
            talk(format!(
                "warning: the parameter `{parameter}` of the job `{}` may be left out, and without it the step `{step}` \
                 fails, since a grant names it; list it under `required`, or give it a `default`",
                job.name
            ));
        }
    }
    Ok(answer(&connector, format))
}

fn answer(connector: &Connector, format: Format) -> Answer {
    Answer::new(format, || show(connector), || connector)
}

fn table(connectors: &[&ConnectorSummary]) -> Table {
    let columns = [Column::Left("connector"), Column::Right("jobs"), Column::Left("label")];
    Table::of(columns, connectors, |connector| {
        [connector.code.clone(), connector.jobs.len().to_string(), connector.label.clone()]
    })
}

fn show(connector: &Connector) -> Visible {
    let mut text = pairs([("connector", connector.code.clone()), ("label", connector.label.clone())]);
    for job in &connector.jobs {
        let heading = format_args!("job `{}`, type {}: {}", job.name, job.r#type, job.label);
        text.extend([Visible::line(""), Visible::line(heading), jobs::steps(job).indented(2)]);
    }
    text.and(grants::table(&connector.grants))
}
