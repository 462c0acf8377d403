//! The user or program that makes a request, and the decisions about the request.

use std::collections::{BTreeMap, BTreeSet};

use super::instance_rights::InstanceRight;
use super::right::Right;
use super::role::Role;
use super::scope::Scope;
use super::thing::Thing;
use super::token::{TOKEN_DAYS_MAX, TokenLimits, TokenWish};
use crate::clock::Timestamp;
use crate::name::{InstanceCode, TenantId, UserName};

/// The rights that lists take from a user, by the code of the instance.
pub type Barred = BTreeMap<InstanceCode, BTreeSet<InstanceRight>>;

/// The user or program that makes a request, after the credentials were checked.
///
/// A principal acts in at most one tenant: the one for which it was looked up. Elsewhere it may do nothing, whatever
/// its roles are, because the lists of the other tenants were not looked up.
///
/// The default is nobody, who may do nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The user; `None` for an embedder's own.
    pub user: Option<UserName>,
    /// Whether the user operates the installation.
    pub is_operator: bool,
    /// The roles of the user, by tenant.
    pub memberships: BTreeMap<TenantId, Role>,
    /// The tenant in which it acts; `None` if the request is about no tenant.
    pub tenant: Option<TenantId>,
    /// What the lists of this tenant's instances take from the user.
    pub barred: Barred,
    /// What the token takes away; `None` if the user signed in.
    pub token: Option<TokenLimits>,
}

impl Principal {
    /// A principal who may do everything in that tenant and in the installation, such as the person at the machine.
    pub fn unlimited(user: Option<UserName>, tenant: Option<TenantId>) -> Self {
        Self { user, is_operator: true, tenant, ..Self::default() }
    }

    /// Whether it may do this with that thing: a thing of the tenant in which it acts, or of the installation.
    pub fn may(&self, right: Right, thing: Thing<'_>) -> bool {
        let Some(scope) = thing.scope(right) else { return false };
        (thing.is_of_installation() || self.tenant.is_some())
            && self.has_role_for(right)
            && self.is_left(right, thing)
            && self.token.as_ref().is_none_or(|token| self.lets(token, right, scope, thing))
    }

    /// What it is in the tenant in which it acts. Operators of the installation are administrators of each tenant.
    pub fn role(&self) -> Option<Role> {
        let tenant = self.tenant.as_ref()?;
        match self.is_operator {
            true => Some(Role::Administrator),
            false => self.memberships.get(tenant).copied(),
        }
    }

    /// Whether it may know that there is this tenant.
    pub fn may_enter(&self, tenant: &TenantId) -> bool {
        let is_within =
            self.token.as_ref().and_then(|token| token.tenant.as_ref()).is_none_or(|only| only == tenant);
        is_within && (self.is_operator || self.memberships.contains_key(tenant))
    }

    /// The instances of this tenant at which it does not have the right although the role gives it.
    ///
    /// A list of instances, or of executions, leaves these out.
    pub fn barred_from(&self, right: InstanceRight) -> Vec<InstanceCode> {
        let is_barred = |code: &&InstanceCode| self.is_barred(right, code);
        self.barred.keys().filter(is_barred).cloned().collect()
    }

    fn has_role_for(&self, right: Right) -> bool {
        match right.least_role() {
            // Both the operator's rights and the administrator's pass every list.
            _ if self.is_operator => true,
            Some(least) => self.role().is_some_and(|role| role >= least),
            None => false,
        }
    }

    /// Whether the lists of the instance leave the right.
    fn is_left(&self, right: Right, thing: Thing<'_>) -> bool {
        let Some(code) = thing.instance() else { return true };
        let needed = match (InstanceRight::of(right), thing) {
            (None, _) => return true,
            // Who may not know of the execution cannot stop it either.
            (Some(right), Thing::Execution(_) | Thing::Outputs(_)) => [right, InstanceRight::History],
            (Some(right), _) => [right, right],
        };
        !needed.into_iter().any(|right| self.is_barred(right, code))
    }

    fn is_barred(&self, right: InstanceRight, code: &InstanceCode) -> bool {
        if self.role() == Some(Role::Administrator) {
            return false;
        }
        let is_among = |rights: &BTreeSet<InstanceRight>| {
            rights.contains(&right) || rights.contains(&InstanceRight::View)
        };
        self.barred.get(code).is_some_and(is_among)
    }

    /// Whether the token leaves the right.
    fn lets(&self, token: &TokenLimits, right: Right, scope: Scope, thing: Thing<'_>) -> bool {
        let is_its_tenant = match &token.tenant {
            // A token of the installation is nothing without an operator.
            None => self.is_operator,
            Some(only) => {
                right != Right::Operate && !thing.is_of_installation() && self.tenant.as_ref() == Some(only)
            }
        };
        let is_its_instance = match &token.instance {
            None => true,
            Some(only) => thing.instance() == Some(only) || thing == Thing::FileChanges,
        };
        is_its_tenant && is_its_instance && token.scopes.contains(&scope)
    }

    /// Refuses a token that would be wider than the principal, so that nobody can make more of a stolen credential
    /// than it was.
    pub fn may_make(&self, wish: &TokenWish, now: Timestamp) -> Result<(), TokenRefusal> {
        if wish.scopes.is_empty() {
            return Err(TokenRefusal::NoScope);
        }
        let last = now.plus_ms(u64::from(TOKEN_DAYS_MAX) * 24 * 3_600_000);
        if wish.expires_at <= now || wish.expires_at > last {
            return Err(TokenRefusal::BadExpiry);
        }
        let wider = |what| Err(TokenRefusal::Wider { what });
        let is_entered = match &wish.tenant {
            None => self.is_operator,
            Some(tenant) => self.may_enter(tenant) && !wish.scopes.contains(&Scope::Operate),
        };
        if !is_entered || (wish.tenant.is_none() && wish.instance.is_some()) {
            return wider("tenant");
        }
        let Some(token) = &self.token else { return Ok(()) };
        if token.tenant.is_some() && token.tenant != wish.tenant {
            return wider("tenant");
        }
        if token.instance.is_some() && token.instance != wish.instance {
            return wider("instance");
        }
        if !wish.scopes.is_subset(&token.scopes) {
            return wider("scopes");
        }
        if wish.expires_at > token.expires_at {
            return wider("time");
        }
        Ok(())
    }
}

/// Why a token is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// A token without scopes could be used for nothing.
    #[error("a token needs at least one scope")]
    NoScope,
    /// It would expire in the past or too late.
    #[error("a token expires in the future, and at most {TOKEN_DAYS_MAX} days from now")]
    BadExpiry,
    /// It would be wider than its maker.
    #[error("the token would be wider than you are: its {what}")]
    Wider {
        /// `tenant`, `instance`, `scopes` or `time`.
        what: &'static str,
    },
}

impl TokenRefusal {
    /// The stable code, a heading in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoScope => "token-without-scope",
            Self::BadExpiry => "token-expiry",
            Self::Wider { .. } => "token-too-wide",
        }
    }
}

#[cfg(test)]
mod tests;
