//! The port for users and their rights.

use async_trait::async_trait;

use super::error::Result;
use super::listing::Listing;
use crate::access::{
    ExternalIdentity, InstanceRights, LinkHash, Member, PasswordHash, Role, User, UserChange,
};
use crate::actor::Actor;
use crate::name::{InstanceCode, TenantId, UserName};

/// Users, their roles in tenants, and rights per instance.
///
/// Users belong to the installation: methods about them are for all tenants, and write to the trail of the
/// installation. Methods about members and instances belong to a tenant, and write to its trail.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates a user; refuses a name, or an external identity, that another user has.
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Result<()>;

    /// Creates the first user of the installation, an operator, with a one-time link, which is used up.
    ///
    /// Refuses if the link does not exist any more, or if there is a user. If several calls run at once, one wins.
    async fn create_first_operator(
        &self,
        link: &LinkHash,
        user: &User,
        password: &PasswordHash,
        by: &Actor,
    ) -> Result<()>;

    /// Changes a user, and returns the user after the change.
    ///
    /// All sessions of the user end if the user is suspended then, has become an operator or ceased to be one, or has
    /// another external identity. Refuses to leave the installation without an operator who may come in.
    async fn change_user(&self, name: &UserName, change: &UserChange, by: &Actor) -> Result<User>;

    /// Removes a user with all roles, places in lists, sessions, tokens and links.
    ///
    /// Refuses to remove the last operator who may come in.
    async fn remove_user(&self, name: &UserName, by: &Actor) -> Result<()>;

    /// The user of that name.
    async fn user(&self, name: &UserName) -> Result<Option<User>>;

    /// The user with that identity at an identity provider.
    async fn user_of_identity(&self, identity: &ExternalIdentity) -> Result<Option<User>>;

    /// Users after a name, by name; 0 for all of them.
    async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<Listing<User>>;

    /// Whether there is any user.
    async fn has_users(&self) -> Result<bool>;

    /// Gives a user a role in a tenant, or another role.
    ///
    /// If the role changes, all sessions of the user end.
    async fn set_member(&self, tenant: &TenantId, member: &Member, by: &Actor) -> Result<()>;

    /// Takes a user's role in a tenant away, and the user's places in the lists of its instances.
    ///
    /// All sessions of the user end.
    async fn remove_member(&self, tenant: &TenantId, user: &UserName, by: &Actor) -> Result<()>;

    /// The members of a tenant, by name.
    async fn members(&self, tenant: &TenantId) -> Result<Listing<Member>>;

    /// The roles of a user, by tenant.
    async fn memberships(&self, user: &UserName) -> Result<Listing<(TenantId, Role)>>;

    /// Sets the lists of an instance.
    ///
    /// Refuses a name that is no member of the tenant, and a code that neither an instance nor a list has.
    async fn set_instance_rights(
        &self,
        tenant: &TenantId,
        instance: &InstanceCode,
        rights: &InstanceRights,
        by: &Actor,
    ) -> Result<()>;

    /// The lists of an instance; without any if none was set.
    async fn instance_rights(&self, tenant: &TenantId, instance: &InstanceCode) -> Result<InstanceRights>;
}
