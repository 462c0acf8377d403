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

use super::super::connection::Db;
use super::super::saves::REPEATS_MAX;
use super::super::trouble::{Outcome, Remedy, explained};
use super::super::{PostgresStore, accounts, credentials, instance_rights, tokens};

#[async_trait]
impl Accounts for PostgresStore {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>, by: &Actor) -> Result<()> {
        transaction!(self, |db| accounts::create(db, user, password, by))
    }

    async fn create_first_operator(
        &self,
        link: &LinkHash,
        user: &User,
        password: &PasswordHash,
        by: &Actor,
    ) -> Result<()> {
        transaction!(self, |db| accounts::create_first_operator(db, link, user, password, by))
    }

    async fn change_user(&self, name: &UserName, change: &UserChange, by: &Actor) -> Result<User> {
        transaction!(self, |db| accounts::change(db, name, change, by))
    }

    async fn remove_user(&self, name: &UserName, by: &Actor) -> Result<()> {
        transaction!(self, |db| accounts::remove(db, name, by))
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>> {
        look!(self, |db| accounts::get(db, name))
    }

    async fn user_of_identity(&self, identity: &ExternalIdentity) -> Result<Option<User>> {
        look!(self, |db| accounts::of_identity(db, identity))
    }

    async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<Listing<User>> {
        look!(self, |db| accounts::list(db, after, limit))
    }

    async fn has_users(&self) -> Result<bool> {
        look!(self, |db| accounts::has_users(db))
    }

    async fn set_member(&self, tenant: &TenantId, member: &Member, by: &Actor) -> Result<()> {
        transaction!(self, |db| accounts::set_member(db, tenant, member, by))
    }

    async fn remove_member(&self, tenant: &TenantId, user: &UserName, by: &Actor) -> Result<()> {
        transaction!(self, |db| accounts::remove_member(db, tenant, user, by))
    }

    async fn members(&self, tenant: &TenantId) -> Result<Listing<Member>> {
        look!(self, |db| accounts::members(db, tenant))
    }

    async fn memberships(&self, user: &UserName) -> Result<Listing<(TenantId, Role)>> {
        look!(self, |db| accounts::memberships(db, user))
    }

    async fn set_instance_rights(
        &self,
        tenant: &TenantId,
        instance: &InstanceCode,
        rights: &InstanceRights,
        by: &Actor,
    ) -> Result<()> {
        transaction!(self, |db| instance_rights::set(db, tenant, instance, rights, by))
    }

    async fn instance_rights(&self, tenant: &TenantId, instance: &InstanceCode) -> Result<InstanceRights> {
        look!(self, |db| instance_rights::get(db, tenant, instance))
    }
}

#[async_trait]
impl Credentials for PostgresStore {
    async fn password(&self, user: &UserName) -> Result<Option<StoredPassword>> {
        look!(self, |db| credentials::password(db, user))
    }

    async fn set_password(
        &self,
        user: &UserName,
        password: &PasswordHash,
        expected: Option<&PasswordHash>,
        by: &Actor,
    ) -> Result<bool> {
        transaction!(self, |db| credentials::set_password(db, user, password, expected, by))
    }

    async fn create_link(&self, link: &OneTimeLink, by: &Actor) -> Result<()> {
        transaction!(self, |db| credentials::create_link(db, link, by))
    }

    async fn link(&self, link: &LinkHash, now: Timestamp) -> Result<Option<LinkPurpose>> {
        look!(self, |db| credentials::link(db, link, now))
    }

    async fn set_password_by_link(
        &self,
        link: &LinkHash,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserName>> {
        transaction!(self, |db| credentials::set_password_by_link(db, link, password, now))
    }

    async fn create_session(&self, session: &NewSession, by: &Actor) -> Result<bool> {
        transaction!(self, |db| credentials::create_session(db, session, by))
    }

    async fn principal_of_session(
        &self,
        session: &SessionHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<SessionPrincipal>> {
        look!(self, |db| credentials::principal_of_session(db, session, tenant, now))
    }

    async fn touch_session(&self, session: &SessionHash, now: Timestamp) -> Result<()> {
        work!(self, |db| credentials::touch_session(db, session, now))
    }

    async fn end_session(&self, session: &SessionHash, by: &Actor) -> Result<bool> {
        transaction!(self, |db| credentials::end_session(db, session, by))
    }

    async fn end_sessions(&self, user: &UserName, by: &Actor) -> Result<u64> {
        transaction!(self, |db| credentials::end_sessions_of(db, user, by))
    }

    async fn create_token(&self, token: &NewToken, by: &Actor) -> Result<TokenId> {
        transaction!(self, |db| tokens::create(db, token, by))
    }

    async fn principal_of_token(
        &self,
        token: &TokenHash,
        tenant: Option<&TenantId>,
        now: Timestamp,
    ) -> Result<Option<TokenPrincipal>> {
        look!(self, |db| tokens::principal_of_token(db, token, tenant, now))
    }

    async fn touch_token(&self, token: TokenId, now: Timestamp) -> Result<()> {
        work!(self, |db| tokens::touch(db, token, now))
    }

    async fn tokens(&self, tenant: Option<&TenantId>, owner: Option<&UserName>) -> Result<Listing<Token>> {
        look!(self, |db| tokens::list(db, tenant, owner))
    }

    async fn revoke_token(
        &self,
        tenant: Option<&TenantId>,
        token: TokenId,
        owner: Option<&UserName>,
        by: &Actor,
    ) -> Result<()> {
        transaction!(self, |db| tokens::revoke(db, tenant, token, owner, by))
    }
}
