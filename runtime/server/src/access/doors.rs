//! The handles of the installation and of its tenants. Nothing outside of this module can take one.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderName};
use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::instance_form::FormRights;
use stepbox::batch::name::TenantId;
use stepbox::{Accounts, Error, Stepbox, Tenant};

use super::authenticate::{Authenticate, NotAuthenticated};
use crate::conventions::asking::{Asking, Client};
use crate::conventions::failure::Failure;

/// Whose things an interface gives.
#[derive(Debug, Clone, Default)]
pub(crate) enum Whose {
    /// All tenants of the process.
    #[default]
    All,
    /// These tenants alone. The installation itself cannot be operated.
    Only(Vec<TenantId>),
}

/// The handles of an installation.
#[derive(Clone)]
pub(crate) struct Doors(Arc<Inner>);

struct Inner {
    stepbox: Stepbox,
    whose: Whose,
    authenticate: Arc<dyn Authenticate>,
}

impl Doors {
    pub(crate) fn new(stepbox: Stepbox, whose: Whose, authenticate: Arc<dyn Authenticate>) -> Self {
        Self(Arc::new(Inner { stepbox, whose, authenticate }))
    }

    /// The sender of these headers.
    pub(super) async fn principal(
        &self,
        headers: &HeaderMap,
        client: &Client,
        tenant: Option<&TenantId>,
    ) -> Result<Principal, Failure> {
        match self.0.authenticate.authenticate(headers, client, tenant).await {
            Ok(Some(principal)) => Ok(principal),
            Ok(None) => Err(Failure::unauthenticated("nobody is signed in")),
            Err(NotAuthenticated::Rejected) => Err(Failure::unauthenticated("the credentials are of no use")),
            Err(NotAuthenticated::Failed(error)) => Err(error.into()),
        }
    }

    /// A tenant, for a principal who may enter it. `None` for every other one, whether it is there or not.
    pub(super) fn tenant(&self, id: &TenantId, principal: &Principal) -> Result<Option<Tenant>, Failure> {
        let is_ours = match &self.0.whose {
            Whose::All => true,
            Whose::Only(tenants) => tenants.contains(id),
        };
        let found = match principal.is_operator {
            true => self.0.stepbox.operator_of(id),
            false => self.0.stepbox.tenant(id),
        };
        match found {
            Ok(tenant) if is_ours && principal.may_enter(id) => {
                let tenant = tenant.seen_with(FormRights::Of(principal.role()));
                let user = principal.user.as_ref();
                Ok(Some(user.map_or_else(|| tenant.clone(), |user| tenant.acting_as(user.as_str()))))
            }
            Ok(_) | Err(Error::UnknownTenant(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The tenants that a principal may enter.
    pub(crate) fn tenants_of(&self, principal: &Principal) -> Vec<TenantId> {
        let is_ours = |id: &TenantId| match &self.0.whose {
            Whose::All => true,
            Whose::Only(tenants) => tenants.contains(id),
        };
        let known = self.0.stepbox.tenants().into_iter().map(|(id, _)| id);
        known.filter(|id| is_ours(id) && principal.may_enter(id)).collect()
    }

    /// The installation; `None` if the interface is for some tenants only.
    pub(super) fn installation(&self) -> Option<&Stepbox> {
        matches!(self.0.whose, Whose::All).then_some(&self.0.stepbox)
    }

    /// The installation, for what needs no right: signing in, and streams whose events are judged one by one.
    pub(super) fn stepbox(&self) -> &Stepbox {
        &self.0.stepbox
    }

    /// The accounts, acting as that principal; without them, there is nothing at the address.
    pub(super) fn accounts(&self, principal: Option<&Principal>) -> Result<Accounts, Failure> {
        let accounts = self.0.authenticate.accounts().ok_or_else(Failure::no_route)?;
        let user = principal.and_then(|principal| principal.user.as_ref());
        Ok(user.map_or_else(|| accounts.clone(), |user| accounts.acting_as(user.as_str())))
    }

    /// What a long answer asks while it lasts: whether its credentials still let it.
    pub(super) fn standing(&self, asking: &Asking, tenant: TenantId, right: Right) -> Standing {
        let (headers, mut credentials) = (asking.headers(), HeaderMap::new());
        for name in [AUTHORIZATION, COOKIE] as [HeaderName; 2] {
            for value in headers.get_all(&name) {
                credentials.append(name.clone(), value.clone());
            }
        }
        Standing { doors: self.clone(), credentials, client: asking.client(), tenant, right }
    }
}

/// The credentials of a long answer.
#[derive(Clone)]
pub(crate) struct Standing {
    doors: Doors,
    credentials: HeaderMap,
    client: Client,
    tenant: TenantId,
    right: Right,
}

impl Standing {
    /// The principal as it is now; `None` if it may no longer do this with that thing. An answer of the store that does
    /// not come ends nothing.
    pub(crate) async fn now(&self, thing: Thing<'_>) -> Option<Principal> {
        match self
            .doors
            .0
            .authenticate
            .authenticate(&self.credentials, &self.client, Some(&self.tenant))
            .await
        {
            Ok(Some(principal)) => {
                let is_there = matches!(self.doors.tenant(&self.tenant, &principal), Ok(Some(_)));
                (is_there && principal.may(self.right, thing)).then_some(principal)
            }
            Ok(None) | Err(NotAuthenticated::Rejected) => None,
            Err(NotAuthenticated::Failed(_)) => None,
        }
    }
}
