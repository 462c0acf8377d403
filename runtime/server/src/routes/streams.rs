//! Events of executions as they happen.

use stepbox::Tenant;

use crate::access::{Executions, History, May, OneExecution};
use crate::conventions::failure::Failure;
use crate::conventions::input::With;
use crate::streams::event_stream::{EventStream, From};
use crate::streams::following::{Following, Subject};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get(
            "/tenants/{tenant}/executions/{execution}/events",
            "What happens to an execution, until its end.",
            of_one,
        )
        .get("/tenants/{tenant}/events", "What happens to all executions that you may see.", of_all)
}

async fn of_one(
    may: May<History, OneExecution>,
    (With(tools), from): (With, From),
) -> Result<EventStream, Failure> {
    let subject = Subject::Execution { id: may.found().id, instance: may.found().instance.clone() };
    let (tenant, principal, standing): (Tenant, _, _) =
        (may.tenant().clone(), may.principal().clone(), may.standing());
    let _place = tools.limits.stream(&from.who)?;
    let (client, stream) = EventStream::new();
    let following = Following { subject, tenant, principal, standing, _place, tools };
    tokio::spawn(following.run(from, client));
    Ok(stream)
}

async fn of_all(
    may: May<History, Executions>,
    (With(tools), from): (With, From),
) -> Result<EventStream, Failure> {
    if from.log_after.is_some() {
        return Err(Failure::bad_request(
            "query-invalid",
            "the query is wrong: `log_after` is for one execution",
        ));
    }
    let (tenant, principal, standing): (Tenant, _, _) =
        (may.tenant().clone(), may.principal().clone(), may.standing());
    let _place = tools.limits.stream(&from.who)?;
    let (client, stream) = EventStream::new();
    let following = Following { subject: Subject::Tenant, tenant, principal, standing, _place, tools };
    tokio::spawn(following.run(from, client));
    Ok(stream)
}
