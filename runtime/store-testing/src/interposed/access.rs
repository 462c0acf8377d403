//! The ports for users, and for what they come in with.

use async_trait::async_trait;
use stepbox_batch::access::{
    ExternalIdentity, InstanceRights, LinkHash, LinkPurpose, Member, NewSession, NewToken, OneTimeLink,
    PasswordHash, Role, SessionHash, StoredPassword, Token, TokenHash, TokenId, User, UserChange,
};
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{InstanceCode, TenantId, UserName};
use stepbox_batch::ports::{
    Accounts, Credentials, JobRepository, Listing, Result, SessionPrincipal, TokenPrincipal,
};

use super::{Call, Interposed, Interposer};

#[async_trait]
impl<S: JobRepository, I: Interposer> Accounts for Interposed<S, I> {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Result<()> {
        self.around(Call::Write("create_user"), self.store.create_user(user, password, by)).await
    }

    async fn create_first_operator(
        &self,
        link: &LinkHash,
        user: &User,
        password: &PasswordHash,
        by: &Actor,
    ) -> Result<()> {
        self.around(
            Call::Write("create_first_operator"),
            self.store.create_first_operator(link, user, password, by),
        )
        .await
    }

    async fn change_user(&self, name: &UserName, change: &UserChange, by: &Actor) -> Result<User> {
        self.around(Call::Write("change_user"), self.store.change_user(name, change, by)).await
    }

    async fn remove_user(&self, name: &UserName, by: &Actor) -> Result<()> {
        self.around(Call::Write("remove_user"), self.store.remove_user(name, by)).await
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>> {
        self.around(Call::Read("user"), self.store.user(name)).await
    }

    async fn user_of_identity(&self, identity: &ExternalIdentity) -> Result<Option<User>> {
        self.around(Call::Read("user_of_identity"), self.store.user_of_identity(identity)).await
    }

    async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<Listing<User>> {
        self.around(Call::Read("users"), self.store.users(after, limit)).await
    }

    async fn has_users(&self) -> Result<bool> {
        self.around(Call::Read("has_users"), self.store.has_users()).await
    }

    async fn set_member(&self, tenant: &TenantId, member: &Member, by: &Actor) -> Result<()> {
        self.around(Call::Write("set_member"), self.store.set_member(tenant, member, by)).await
    }

    async fn remove_member(&self, tenant: &TenantId, user: &UserName, by: &Actor) -> Result<()> {
        self.around(Call::Write("remove_member"), self.store.remove_member(tenant, user, by)).await
    }

    async fn members(&self, tenant: &TenantId) -> Result<Listing<Member>> {
        self.around(Call::Read("members"), self.store.members(tenant)).await
    }

    async fn memberships(&self, user: &UserName) -> Result<Listing<(TenantId, Role)>> {
        self.around(Call::Read("memberships"), self.store.memberships(user)).await
    }

    async fn set_instance_rights(
        &self,
        tenant: &TenantId,
        instance: &InstanceCode,
        rights: &InstanceRights,
        by: &Actor,
    ) -> Result<()> {
        self.around(
            Call::Write("set_instance_rights"),
            self.store.set_instance_rights(tenant, instance, rights, by),
        )
        .await
    }

    async fn instance_rights(&self, tenant: &TenantId, instance: &InstanceCode) -> Result<InstanceRights> {
        self.around(Call::Read("instance_rights"), self.store.instance_rights(tenant, instance)).await
    }
}

#[async_trait]
impl<S: JobRepository, I: Interposer> Credentials for Interposed<S, I> {
    async fn password(&self, user: &UserName) -> Result<Option<StoredPassword>> {
        self.around(Call::Read("password"), self.store.password(user)).await
    }

    async fn set_password(
        &self,
        user: &UserName,
        password: &PasswordHash,
        expected: Option<&PasswordHash>,
        by: &Actor,
    ) -> Result<bool> {
        self.around(Call::Write("set_password"), self.store.set_password(user, password, expected, by)).await
    }

    async fn create_link(&self, link: &OneTimeLink, by: &Actor) -> Result<()> {
        self.around(Call::Write("create_link"), self.store.create_link(link, by)).await
    }

    async fn link(&self, link: &LinkHash, now: Timestamp) -> Result<Option<LinkPurpose>> {
        self.around(Call::Read("link"), self.store.link(link, now)).await
    }

    async fn set_password_by_link(
        &self,
        link: &LinkHash,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserName>> {
        self.around(Call::Write("set_password_by_link"), self.store.set_password_by_link(link, password, now))
            .await
    }

    async fn create_session(&self, session: &NewSession, by: &Actor) -> Result<bool> {
        self.around(Call::Write("create_session"), self.store.create_session(session, by)).await
    }

    async fn principal_of_session(
        &self,
        session: &SessionHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<SessionPrincipal>> {
        self.around(Call::Read("principal_of_session"), self.store.principal_of_session(session, tenant, now))
            .await
    }

    async fn touch_session(&self, session: &SessionHash, now: Timestamp) -> Result<()> {
        self.around(Call::Write("touch_session"), self.store.touch_session(session, now)).await
    }

    async fn end_session(&self, session: &SessionHash, by: &Actor) -> Result<bool> {
        self.around(Call::Write("end_session"), self.store.end_session(session, by)).await
    }

    async fn end_sessions(&self, user: &UserName, by: &Actor) -> Result<u64> {
        self.around(Call::Write("end_sessions"), self.store.end_sessions(user, by)).await
    }

    async fn create_token(&self, token: &NewToken, by: &Actor) -> Result<TokenId> {
        self.around(Call::Write("create_token"), self.store.create_token(token, by)).await
    }

    async fn principal_of_token(
        &self,
        token: &TokenHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<TokenPrincipal>> {
        self.around(Call::Read("principal_of_token"), self.store.principal_of_token(token, tenant, now)).await
    }

    async fn touch_token(&self, token: TokenId, now: Timestamp) -> Result<()> {
        self.around(Call::Write("touch_token"), self.store.touch_token(token, now)).await
    }

    async fn tokens(&self, tenant: Option<&TenantId>, owner: Option<&UserName>) -> Result<Listing<Token>> {
        self.around(Call::Read("tokens"), self.store.tokens(tenant, owner)).await
    }

    async fn revoke_token(
        &self,
        tenant: Option<&TenantId>,
        token: TokenId,
        owner: Option<&UserName>,
        by: &Actor,
    ) -> Result<()> {
        self.around(Call::Write("revoke_token"), self.store.revoke_token(tenant, token, owner, by)).await
    }
}
