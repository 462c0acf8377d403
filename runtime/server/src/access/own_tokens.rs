//! The tokens of the asking user in a tenant. Each user has a right to the user's own tokens; administrators, to all.

use stepbox::batch::access::{Principal, Right, Scope, Thing, Token, TokenText, TokenWish};
use stepbox::batch::name::{TenantId, UserName};
use stepbox::{Accounts, Tenant};

use super::doors::Doors;
use super::may::{Entry, named};
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;

/// Somebody in a tenant, and the tokens there.
pub(crate) struct OfSelf {
    principal: Principal,
    tenant: Tenant,
    accounts: Accounts,
}

impl Entry for OfSelf {
    async fn open(doors: &Doors, asking: &mut Asking) -> Result<Self, Failure> {
        let id = TenantId::new(asking.path("tenant")).ok();
        let principal = doors.principal(asking.headers(), &asking.client(), id.as_ref()).await?;
        asking.who = Some(named(&principal));
        let tenant = id.map(|id| doors.tenant(&id, &principal)).transpose()?.flatten();
        let tenant = tenant.ok_or_else(|| Failure::not_found("tenant"))?;
        let accounts = doors.accounts(Some(&principal))?;
        Ok(Self { principal, tenant, accounts })
    }

    fn describe(operation: &mut Describing) {
        operation.note("x-right", "signed-in");
    }
}

impl OfSelf {
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whose tokens are one's own: nobody's if the embedder has other users.
    pub(crate) fn user(&self) -> Option<UserName> {
        self.principal.user.clone()
    }

    /// `None`, which is everybody, for those who may.
    pub(crate) fn of_everybody(&self) -> Result<Option<UserName>, Failure> {
        match self.principal.may(Right::Administer, Thing::Members) {
            true => Ok(None),
            false => {
                let failure = Failure::forbidden("you may see your tokens, but not those of others");
                Err(failure.with_help("ask for the role `administrator`"))
            }
        }
    }

    /// Refuses a token that may not decide about tokens: with a stolen one, nobody ends the others.
    pub(crate) fn decides(&self) -> Result<(), Failure> {
        let scopes = self.principal.token.as_ref().map(|token| &token.scopes);
        match scopes.is_none_or(|scopes| scopes.contains(&Scope::Administer)) {
            true => Ok(()),
            false => Err(Failure::forbidden("a token sees no tokens")
                .with_help("the token needs the scope `administer`")),
        }
    }

    /// Makes a token, no wider than its maker.
    pub(crate) async fn create_token(&self, wish: TokenWish) -> Result<(TokenText, Token), Failure> {
        Ok(self.accounts.create_token(&self.principal, wish).await?)
    }
}
