//! The ports for users, and for what they come in with.

use async_trait::async_trait;
use stepbox_batch::access::{
    ExternalIdentity, InstanceRights, LinkHash, LinkPurpose, Member, NewSession, NewToken, OneTimeLink,
    PasswordHash, Role, SessionHash, StoredPassword, Token, TokenHash, TokenId, User, UserChange,
};
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{InstanceCode, TenantId, UserName};
use stepbox_batch::ports::{Accounts, Credentials, Listing, Result, SessionPrincipal, TokenPrincipal};

use super::super::writer::Durability;
use super::super::{SqliteStore, accounts, credentials, instance_rights, tokens};

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Result<()> {
        let (user, password, by) = (user.clone(), password.cloned(), by.clone());
        let work = move |db: &_| accounts::create(db, &user, password.as_ref(), &by);
        self.writer.write(Durability::Power, work).await
    }

    async fn create_first_operator(
        &self,
        link: &LinkHash,
        user: &User,
        password: &PasswordHash,
        by: &Actor,
    ) -> Result<()> {
        let (link, user, password, by) = (link.clone(), user.clone(), password.clone(), by.clone());
        let work = move |db: &_| accounts::create_first_operator(db, &link, &user, &password, &by);
        self.writer.write(Durability::Power, work).await
    }

    async fn change_user(&self, name: &UserName, change: &UserChange, by: &Actor) -> Result<User> {
        let (name, change, by) = (name.clone(), change.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| accounts::change(db, &name, &change, &by)).await
    }

    async fn remove_user(&self, name: &UserName, by: &Actor) -> Result<()> {
        let (name, by) = (name.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| accounts::remove(db, &name, &by)).await
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>> {
        let name = name.clone();
        self.readers.read(move |db| accounts::get(db, &name)).await
    }

    async fn user_of_identity(&self, identity: &ExternalIdentity) -> Result<Option<User>> {
        let identity = identity.clone();
        self.readers.read(move |db| accounts::of_identity(db, &identity)).await
    }

    async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<Listing<User>> {
        let after = after.cloned();
        self.readers.read(move |db| accounts::list(db, after.as_ref(), limit)).await
    }

    async fn has_users(&self) -> Result<bool> {
        self.readers.read(accounts::has_users).await
    }

    async fn set_member(&self, tenant: &TenantId, member: &Member, by: &Actor) -> Result<()> {
        let (tenant, member, by) = (tenant.clone(), member.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| accounts::set_member(db, &tenant, &member, &by)).await
    }

    async fn remove_member(&self, tenant: &TenantId, user: &UserName, by: &Actor) -> Result<()> {
        let (tenant, user, by) = (tenant.clone(), user.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| accounts::remove_member(db, &tenant, &user, &by)).await
    }

    async fn members(&self, tenant: &TenantId) -> Result<Listing<Member>> {
        let tenant = tenant.clone();
        self.readers.read(move |db| accounts::members(db, &tenant)).await
    }

    async fn memberships(&self, user: &UserName) -> Result<Listing<(TenantId, Role)>> {
        let user = user.clone();
        self.readers.read(move |db| accounts::memberships(db, &user)).await
    }

    async fn set_instance_rights(
        &self,
        tenant: &TenantId,
        instance: &InstanceCode,
        rights: &InstanceRights,
        by: &Actor,
    ) -> Result<()> {
        let (tenant, instance, rights, by) = (tenant.clone(), instance.clone(), rights.clone(), by.clone());
        let work = move |db: &_| instance_rights::set(db, &tenant, &instance, &rights, &by);
        self.writer.write(Durability::Power, work).await
    }

    async fn instance_rights(&self, tenant: &TenantId, instance: &InstanceCode) -> Result<InstanceRights> {
        let (tenant, instance) = (tenant.clone(), instance.clone());
        self.readers.read(move |db| instance_rights::get(db, &tenant, &instance)).await
    }
}

#[async_trait]
impl Credentials for SqliteStore {
    async fn password(&self, user: &UserName) -> Result<Option<StoredPassword>> {
        let user = user.clone();
        self.readers.read(move |db| credentials::password(db, &user)).await
    }

    async fn set_password(
        &self,
        user: &UserName,
        password: &PasswordHash,
        expected: Option<&PasswordHash>,
        by: &Actor,
    ) -> Result<bool> {
        let (user, password, expected, by) = (user.clone(), password.clone(), expected.cloned(), by.clone());
        let work = move |db: &_| credentials::set_password(db, &user, &password, expected.as_ref(), &by);
        self.writer.write(Durability::Power, work).await
    }

    async fn create_link(&self, link: &OneTimeLink, by: &Actor) -> Result<()> {
        let (link, by) = (link.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| credentials::create_link(db, &link, &by)).await
    }

    async fn link(&self, link: &LinkHash, now: Timestamp) -> Result<Option<LinkPurpose>> {
        let link = link.clone();
        self.readers.read(move |db| credentials::link(db, &link, now)).await
    }

    async fn set_password_by_link(
        &self,
        link: &LinkHash,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserName>> {
        let (link, password) = (link.clone(), password.clone());
        let work = move |db: &_| credentials::set_password_by_link(db, &link, &password, now);
        self.writer.write(Durability::Power, work).await
    }

    async fn create_session(&self, session: &NewSession, by: &Actor) -> Result<bool> {
        let (session, by) = (session.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| credentials::create_session(db, &session, &by)).await
    }

    async fn principal_of_session(
        &self,
        session: &SessionHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<SessionPrincipal>> {
        let (session, tenant) = (session.clone(), tenant.cloned());
        let look = move |db: &_| credentials::principal_of_session(db, &session, tenant.as_ref(), now);
        self.readers.read(look).await
    }

    async fn touch_session(&self, session: &SessionHash, now: Timestamp) -> Result<()> {
        let session = session.clone();
        let work = move |db: &_| credentials::touch_session(db, &session, now);
        self.writer.write(Durability::Process, work).await
    }

    async fn end_session(&self, session: &SessionHash, by: &Actor) -> Result<bool> {
        let (session, by) = (session.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| credentials::end_session(db, &session, &by)).await
    }

    async fn end_sessions(&self, user: &UserName, by: &Actor) -> Result<u64> {
        let (user, by) = (user.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| credentials::end_sessions_of(db, &user, &by)).await
    }

    async fn create_token(&self, token: &NewToken, by: &Actor) -> Result<TokenId> {
        let (token, by) = (token.clone(), by.clone());
        self.writer.write(Durability::Power, move |db| tokens::create(db, &token, &by)).await
    }

    async fn principal_of_token(
        &self,
        token: &TokenHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<TokenPrincipal>> {
        let (token, tenant) = (token.clone(), tenant.cloned());
        self.readers.read(move |db| tokens::principal_of_token(db, &token, tenant.as_ref(), now)).await
    }

    async fn touch_token(&self, token: TokenId, now: Timestamp) -> Result<()> {
        self.writer.write(Durability::Process, move |db| tokens::touch(db, token, now)).await
    }

    async fn tokens(&self, tenant: Option<&TenantId>, owner: Option<&UserName>) -> Result<Listing<Token>> {
        let (tenant, owner) = (tenant.cloned(), owner.cloned());
        self.readers.read(move |db| tokens::list(db, tenant.as_ref(), owner.as_ref())).await
    }

    async fn revoke_token(
        &self,
        tenant: Option<&TenantId>,
        token: TokenId,
        owner: Option<&UserName>,
        by: &Actor,
    ) -> Result<()> {
        let (tenant, owner, by) = (tenant.cloned(), owner.cloned(), by.clone());
        let work = move |db: &_| tokens::revoke(db, tenant.as_ref(), token, owner.as_ref(), &by);
        self.writer.write(Durability::Power, work).await
    }
}
