//! `stepbox connectors`: named families of jobs.

use std::path::Path;

use stepbox::batch::inventory::Connector;
use stepbox::batch::visible::Visible;
use stepbox::connector_file::optional_in_grants;
use stepbox::{AskedGrant, Error, Tenant};
use stepbox_api::connector::{self, ConnectorSummary};

use crate::args::{Connectors, FormatArg};
use crate::error::CliError;
use crate::grants;
use crate::jobs;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::words::counted;
use crate::output::{Answer, talk};

pub(crate) async fn carry_out(tenant: &Tenant, verb: Connectors) -> Result<Answer, CliError> {
    match verb {
        Connectors::Add { dir, force, format } => add(tenant, &dir, force, format.format).await,
        Connectors::List(FormatArg { format }) => {
            let connectors = tenant.connectors().await?;
            Ok(list::answer(format, &connectors, table, ConnectorSummary::of))
        }
        Connectors::Show { code, format } => {
            let connector = tenant.connector(&code).await?;
            Ok(answer(tenant, &connector, format.format))
        }
        Connectors::Remove { code } => {
            let connector = tenant.connector(&code).await?;
            tenant.remove_connector(&connector.code).await?;
            talk(format!("removed the connector `{}`", connector.code));
            Ok(Answer::nothing())
        }
    }
}

/// Installs a connector, and shows what its steps ask for and what the policy allows of it.
async fn add(tenant: &Tenant, dir: &Path, force: bool, format: Format) -> Result<Answer, CliError> {
    let (connector, broken) = match tenant.install_connector(dir).await {
        Err(Error::BreaksInstances { instances, .. }) if force => {
            (tenant.replace_connector(dir).await?, instances)
        }
        installed => (installed?, Vec::new()),
    };
    let jobs = counted(connector.jobs.len() as u64, "job");
    talk(format!("installed the connector `{}` with {jobs}", connector.code));
    for instance in broken {
        talk(format!("warning: the instance {instance}, so it does not run any more"));
    }
    for job in &connector.jobs {
        for parameter in job.unused_parameters() {
            talk(format!("warning: no step of the job `{}` takes its parameter `{parameter}`", job.name));
        }
        for (step, parameter) in optional_in_grants(job) {
            talk(format!(
                "warning: the parameter `{parameter}` of the job `{}` may be left out, and without it the step `{step}` \
                 fails, since a grant names it; list it under `required`, or give it a `default`",
                job.name
            ));
        }
    }
    Ok(answer(tenant, &connector, format))
}

fn answer(tenant: &Tenant, connector: &Connector, format: Format) -> Answer {
    let grants = tenant.policy().leaves_of(connector);
    Answer::new(
        format,
        || show(connector, &grants),
        || connector::Connector::of(connector, grants.iter().map(connector::Grant::of).collect()),
    )
}

fn table(connectors: &[Connector]) -> Table {
    let columns = [Column::Left("connector"), Column::Right("jobs"), Column::Left("label")];
    Table::of(columns, connectors, |connector| {
        [connector.code.to_string(), connector.jobs.len().to_string(), connector.label.clone()]
    })
}

fn show(connector: &Connector, grants: &[AskedGrant]) -> Visible {
    let mut text = pairs([("connector", connector.code.to_string()), ("label", connector.label.clone())]);
    for job in &connector.jobs {
        let heading = format_args!("job `{}`, type {}: {}", job.name, job.job_type, job.label);
        text.extend([Visible::line(""), Visible::line(heading), jobs::steps(job).indented(2)]);
    }
    text.and(grants::table(grants))
}
