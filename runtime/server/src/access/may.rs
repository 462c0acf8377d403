//! The only door from a request to a thing: a right at it.

use std::marker::PhantomData;

use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::name::TenantId;
use stepbox::batch::ports::Listing;
use stepbox::{Accounts, Tenant, WorkerStatus};

use super::doors::{Doors, Standing};
use super::opened::Opened;
use super::things::{Handles, ThingOf};
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;

/// A way into a route.
pub(crate) trait Entry: Sized + Send + 'static {
    /// Checks the credentials of a request, and what they allow.
    fn open(doors: &Doors, asking: &mut Asking) -> impl Future<Output = Result<Self, Failure>> + Send;

    fn describe(operation: &mut Describing);
}

/// A right as a type.
pub(crate) trait RightOf: Send + Sync + 'static {
    const RIGHT: Right;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        impl RightOf for $name {
            const RIGHT: Right = Right::$name;
        }
    )+};
}
rights! {
    /// See [`Right::View`].
    View
    /// See [`Right::History`].
    History
    /// See [`Right::Launch`].
    Launch
    /// See [`Right::Edit`].
    Edit
    /// See [`Right::Administer`].
    Administer
    /// See [`Right::Operate`].
    Operate
}

/// A principal who may do this (`R`) with that thing (`T`), the thing, and the handle to do it with.
pub(crate) struct May<R, T: ThingOf> {
    principal: Principal,
    handles: Handles,
    found: T::Found,
    standing: Option<Standing>,
    doors: Doors,
    right: PhantomData<R>,
}

impl<R: RightOf, T: ThingOf> Entry for May<R, T> {
    async fn open(doors: &Doors, asking: &mut Asking) -> Result<Self, Failure> {
        let tenant = T::IN_TENANT.then(|| asking.path("tenant").to_owned());
        let id = tenant.as_deref().and_then(|text| TenantId::new(text).ok());
        let principal = doors.principal(asking.headers(), &asking.client(), id.as_ref()).await?;
        asking.who = Some(named(&principal));
        let handles = match (&id, tenant.is_some()) {
            (Some(id), _) => doors.tenant(id, &principal)?.map(Handles::Tenant),
            (None, true) => None,
            (None, false) => doors.installation().map(|_| Handles::Installation),
        };
        let Some(handles) = handles else {
            return Err(Failure::not_found(if T::IN_TENANT { "tenant" } else { T::KIND }));
        };
        let standing = id.map(|id| doors.standing(asking, id, R::RIGHT));
        // Looked up before anything is judged, so that a hidden thing costs the same as one that is not there.
        let found = T::find(&handles, asking).await?;
        Self::judged(doors, principal, handles, found, standing)
    }

    fn describe(operation: &mut Describing) {
        operation.note("x-right", R::RIGHT.as_str());
        operation.note("x-thing", T::KIND);
        if let Some(scope) = T::scope(R::RIGHT) {
            operation.note("x-scope", scope.as_str());
        }
    }
}

impl<R: RightOf, T: ThingOf> Opened for May<R, T> {
    fn principal(&self) -> &Principal {
        &self.principal
    }

    fn tenant(&self) -> Option<&Tenant> {
        match &self.handles {
            Handles::Tenant(tenant) => Some(tenant),
            Handles::Installation => None,
        }
    }

    fn doors(&self) -> &Doors {
        &self.doors
    }
}

/// The name under which limits and the log know a principal.
pub(super) fn named(principal: &Principal) -> String {
    principal.user.as_ref().map_or_else(|| "-".to_owned(), |user| user.as_str().to_owned())
}

impl<R: RightOf, T: ThingOf> May<R, T> {
    fn judged(
        doors: &Doors,
        principal: Principal,
        handles: Handles,
        found: Option<T::Found>,
        standing: Option<Standing>,
    ) -> Result<Self, Failure> {
        let Some(found) = found else { return Err(Failure::not_found(T::KIND)) };
        if principal.may(R::RIGHT, T::thing(&found)) {
            let doors = doors.clone();
            return Ok(Self { principal, handles, found, standing, doors, right: PhantomData });
        }
        match principal.may(T::SEEN_BY, T::thing(&found)) || T::is_no_secret(&principal, &found) {
            false => Err(Failure::not_found(T::KIND)),
            true => {
                let failure =
                    Failure::forbidden(format!("you may see this {}, but not do that with it", T::KIND));
                let scope = T::scope(R::RIGHT).filter(|_| principal.token.is_some());
                Err(match (R::RIGHT.least_role(), scope) {
                    (_, Some(scope)) => failure.with_help(format!(
                        "the token needs the scope `{scope}`, and its owner the right to {}",
                        R::RIGHT.as_str()
                    )),
                    (Some(role), None) => failure.with_help(format!("ask for the role `{role}`")),
                    (None, None) => failure.with_help("ask an operator of the installation"),
                })
            }
        }
    }

    /// The principal that asks.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The thing.
    pub(crate) fn found(&self) -> &T::Found {
        &self.found
    }

    /// The same right at another thing of the same tenant, which a body, a filter or a list names. Each thing that a
    /// request acts upon is looked up and judged by itself.
    pub(crate) async fn also<O: ThingOf>(&self, part: &str) -> Result<May<R, O>, Failure> {
        let found = O::named(&self.handles, part).await?;
        May::judged(&self.doors, self.principal.clone(), self.handles.clone(), found, self.standing.clone())
    }

    /// What a long answer asks while it lasts.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.standing.clone()
    }
}

impl<R: RightOf, T: ThingOf + super::things::InTenant> May<R, T> {
    /// The tenant, acting as the principal.
    pub(crate) fn tenant(&self) -> &Tenant {
        match &self.handles {
            Handles::Tenant(tenant) => tenant,
            Handles::Installation => unreachable!("a thing of a tenant is opened with the tenant"),
        }
    }
}

impl May<View, super::things::TheTenant> {
    /// The workers that may take executions of the tenant, and of what they run the part that may be seen.
    pub(crate) async fn workers(&self) -> Result<Listing<WorkerStatus>, Failure> {
        let (own, mut workers) = (self.tenant().id(), self.doors.stepbox().workers().await?);
        let is_for_it =
            |status: &WorkerStatus| status.worker.tenants.is_empty() || status.worker.tenants.contains(own);
        workers.items.retain(is_for_it);
        for status in &mut workers.items {
            // The names of other tenants are nobody's business.
            status.worker.tenants.retain(|tenant| tenant == own);
            status.running.retain(|held| {
                held.tenant == *own && self.principal.may(Right::History, Thing::Execution(&held.instance))
            });
        }
        Ok(workers)
    }
}

impl May<Operate, super::things::TheTenant> {
    /// Lets nothing of the tenant begin in this process.
    pub(crate) fn suspend(&self) -> Result<(), Failure> {
        Ok(self.doors.stepbox().suspend_tenant(self.tenant().id())?)
    }

    /// Lets executions of the tenant begin again.
    pub(crate) fn resume(&self) -> Result<(), Failure> {
        Ok(self.doors.stepbox().resume_tenant(self.tenant().id())?)
    }
}

impl<T: super::things::InInstallation> May<Operate, T> {
    /// The accounts, acting as the principal.
    pub(crate) fn accounts(&self) -> Result<Accounts, Failure> {
        self.doors.accounts(Some(&self.principal))
    }
}

impl May<Operate, super::things::Installation> {
    /// The store's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.doors.stepbox().now()
    }

    /// The counters of the process, for Prometheus.
    pub(crate) async fn metrics(&self) -> String {
        self.doors.stepbox().metrics().await
    }
}
