//! A way into a page: the same as into a route, and what all pages have around them.

use stepbox::Tenant;
use stepbox::batch::access::{Right, Thing};
use stepbox::batch::execution::ExecutionFilter;
use stepbox::batch::execution::queue::{QueueDepth, QueueState};
use stepbox::batch::execution::status::BatchStatus;
use stepbox_web::Reader;
use stepbox_web::frame::{Frame, Viewer};

use super::reading::reader;
use crate::access::{Doors, Entry, Opened};
use crate::conventions::asking::{Asking, Client};
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;

/// How many running executions are counted at most.
const COUNTED_MAX: u32 = 1000;

/// A way into a page.
pub(crate) struct Visit<E> {
    pub(crate) may: E,
    pub(crate) reader: Reader,
    pub(crate) client: Client,
    pub(crate) base: String,
}

impl<E: Entry + Opened> Entry for Visit<E> {
    async fn open(doors: &Doors, asking: &mut Asking) -> Result<Self, Failure> {
        let may = E::open(doors, asking).await?;
        let (reader, client) = (reader(asking.headers()), asking.client());
        Ok(Self { may, reader, client, base: asking.tools.base_path().to_owned() })
    }

    fn describe(operation: &mut Describing) {
        E::describe(operation);
    }
}

impl<E: Opened> Visit<E> {
    /// What is around the page.
    pub(crate) async fn frame(&self) -> Result<Frame, Failure> {
        let (principal, tenant) = (self.may.principal(), self.may.tenant());
        let (running, waiting) = match tenant {
            Some(tenant) if principal.may(Right::History, Thing::Executions) => counts(tenant).await?,
            _ => (0, 0),
        };
        let sees = |right, thing| tenant.is_some() && principal.may(right, thing);
        let role = match (principal.is_operator, principal.role()) {
            (true, _) => "operator of the installation".to_owned(),
            (false, Some(role)) => role.as_str().to_owned(),
            (false, None) => String::new(),
        };
        Ok(Frame {
            base: self.base.clone(),
            reader: self.reader.clone(),
            viewer: Viewer {
                name: principal.user.as_ref().map_or_else(String::new, ToString::to_string),
                role,
                sees_audit: sees(Right::View, Thing::Trail),
                sees_members: sees(Right::View, Thing::Members),
                is_operator: principal.is_operator,
            },
            tenant: tenant.map(|tenant| tenant.id().to_string()),
            tenants: self.may.doors().tenants_of(principal).iter().map(ToString::to_string).collect(),
            running,
            waiting,
        })
    }

    /// Whether the reader may do that, so that a page has the button for it.
    pub(crate) fn may(&self, right: Right, thing: Thing<'_>) -> bool {
        self.may.principal().may(right, thing)
    }
}

/// The executions that run, and those that wait.
async fn counts(tenant: &Tenant) -> Result<(u64, u64), Failure> {
    let running = ExecutionFilter {
        statuses: vec![BatchStatus::Started, BatchStatus::Stopping, BatchStatus::Pausing],
        limit: COUNTED_MAX,
        ..ExecutionFilter::default()
    };
    let running = tenant.executions(&running).await?.items.len() as u64;
    let waits = |depth: &&QueueDepth| depth.state == QueueState::Waiting;
    let waiting = tenant.queue_depths().await?.iter().filter(waits).map(|depth| depth.count).sum();
    Ok((running, waiting))
}
