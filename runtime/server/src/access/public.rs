//! Ways into routes that are about no thing: for everybody, and for everybody who is signed in.

use axum::http::HeaderMap;
use stepbox::batch::access::{LinkPurpose, Principal, Role};
use stepbox::batch::clock::Timestamp;
use stepbox::batch::name::{TenantId, UserName};
use stepbox::{SignIn, SignedIn, Tenant};

use super::doors::Doors;
use super::may::{Entry, named};
use super::opened::Opened;
use super::own::session;
use crate::conventions::asking::{Asking, Client};
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;

/// Any client: nothing was checked.
pub(crate) struct Anybody {
    doors: Doors,
    client: Client,
}

impl Entry for Anybody {
    async fn open(doors: &Doors, asking: &mut Asking) -> Result<Self, Failure> {
        Ok(Self { doors: doors.clone(), client: asking.client() })
    }

    fn describe(operation: &mut Describing) {
        operation.for_everybody();
        operation.note("x-right", "none");
    }
}

impl Anybody {
    /// Where the request comes from.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a session for a user with a password.
    pub(crate) async fn sign_in(&self, user: &str, password: &str) -> Result<SignedIn, Failure> {
        let sign_in = SignIn { user, password, client: self.client.address };
        Ok(self.doors.accounts(None)?.sign_in(sign_in).await?)
    }

    /// What a one-time link is for. A link that cannot be used is not there.
    pub(crate) async fn link_purpose(&self, secret: &str) -> Result<LinkPurpose, Failure> {
        let purpose = self.doors.accounts(None)?.link_purpose(secret).await?;
        purpose.ok_or_else(|| Failure::not_found("one-time link"))
    }

    /// Uses a one-time link.
    pub(crate) async fn use_link(
        &self,
        secret: &str,
        user: Option<&str>,
        password: &str,
    ) -> Result<UserName, Failure> {
        Ok(self.doors.accounts(None)?.use_link(secret, user, password, self.client.address).await?)
    }

    /// Whether the store answers.
    pub(crate) async fn is_ready(&self) -> bool {
        self.doors.stepbox().workers().await.is_ok()
    }
}

/// Somebody who is signed in, or a program with a token. What is shown must be the principal's own.
pub(crate) struct Signed {
    doors: Doors,
    principal: Principal,
    headers: HeaderMap,
    client: Client,
}

impl Entry for Signed {
    async fn open(doors: &Doors, asking: &mut Asking) -> Result<Self, Failure> {
        let principal = doors.principal(asking.headers(), &asking.client(), None).await?;
        asking.who = Some(named(&principal));
        let (doors, headers, client) = (doors.clone(), asking.headers().clone(), asking.client());
        Ok(Self { doors, principal, headers, client })
    }

    fn describe(operation: &mut Describing) {
        operation.note("x-right", "signed-in");
    }
}

impl Opened for Signed {
    fn principal(&self) -> &Principal {
        &self.principal
    }

    fn tenant(&self) -> Option<&Tenant> {
        None
    }

    fn doors(&self) -> &Doors {
        &self.doors
    }
}

impl Signed {
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Where the request comes from.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// When the session or the token ends; `None` for users of an embedder.
    pub(crate) async fn expires_at(&self) -> Result<Option<Timestamp>, Failure> {
        if let Some(token) = &self.principal.token {
            return Ok(Some(token.expires_at));
        }
        let (Ok(accounts), Ok(session)) = (self.doors.accounts(None), self.session()) else {
            return Ok(None);
        };
        Ok(accounts.principal_of_session(&session, None).await?.map(|found| found.session.expires_at))
    }

    /// Ends the session of the request.
    pub(crate) async fn sign_out(&self) -> Result<(), Failure> {
        let accounts = self.doors.accounts(Some(&self.principal))?;
        accounts.sign_out(&self.session()?).await?;
        Ok(())
    }

    /// Changes the password of the signed-in user, and begins a new session.
    pub(crate) async fn change_password(&self, current: &str, new: &str) -> Result<SignedIn, Failure> {
        self.session()?;
        let accounts = self.doors.accounts(Some(&self.principal))?;
        let Some(user) = &self.principal.user else { return Err(Failure::no_route()) };
        Ok(accounts.change_password(user, current, new, self.client.address).await?)
    }

    /// The session of the request. A token is none.
    fn session(&self) -> Result<String, Failure> {
        let session = session(&self.headers, &self.client).ok().flatten();
        session.filter(|_| self.principal.token.is_none()).ok_or_else(|| {
            Failure::forbidden("only somebody who signed in can do that").with_help("sign in with a password")
        })
    }

    /// What the principal is in a tenant.
    pub(crate) fn role_in(&self, tenant: &TenantId) -> Option<String> {
        match self.principal.is_operator {
            true => Some(Role::Administrator.to_string()),
            false => self.principal.memberships.get(tenant).map(ToString::to_string),
        }
    }

    /// The tenants that the principal may enter, and the standing of each.
    pub(crate) fn tenants(&self) -> Result<Vec<Tenant>, Failure> {
        let all = self.doors.stepbox().tenants().into_iter();
        let entered = all.filter_map(|(id, _)| self.doors.tenant(&id, &self.principal).transpose());
        entered.collect()
    }
}
