//! Users, their rights, and what they come in with.

use std::collections::BTreeMap;

use stepbox_batch::access::{
    Barred, ExternalIdentity, InstanceRight, InstanceRights, Member, PasswordHash, Principal, Role, Session,
    StoredPassword, Token, TokenId, User,
};
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{InstanceCode, TenantId, UserName};
use stepbox_batch::ports::{Result, SessionPrincipal, TokenPrincipal};

use super::Row;
use super::columns::Columns;

/// A row of `users`, without the password.
#[derive(Debug)]
pub(crate) struct UserRecord {
    pub name: String,
    pub label: String,
    pub is_operator: bool,
    pub is_suspended: bool,
    pub created_at: i64,
    pub password_changed_at: Option<i64>,
    pub issuer: Option<String>,
    pub subject: Option<String>,
}

/// Every column of [`UserRecord`].
pub(crate) const USER_COLUMNS: &str =
    "name, label, is_operator, is_suspended, created_at, password_changed_at, issuer, subject";

impl From<&User> for UserRecord {
    fn from(user: &User) -> Self {
        let User { name, label, is_operator, is_suspended, created_at, password_changed_at, external } = user;
        Self {
            name: name.to_string(),
            label: label.clone(),
            is_operator: *is_operator,
            is_suspended: *is_suspended,
            created_at: created_at.0,
            password_changed_at: password_changed_at.map(|moment| moment.0),
            issuer: external.as_ref().map(|identity| identity.issuer.clone()),
            subject: external.as_ref().map(|identity| identity.subject.clone()),
        }
    }
}

impl UserRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            name: row.text("name")?,
            label: row.text("label")?,
            is_operator: row.flag("is_operator")?,
            is_suspended: row.flag("is_suspended")?,
            created_at: row.number("created_at")?,
            password_changed_at: row.maybe_number("password_changed_at")?,
            issuer: row.maybe_text("issuer")?,
            subject: row.maybe_text("subject")?,
        })
    }

    pub(crate) fn into_user(self) -> Result<User> {
        let row = Row(format!("user `{}`", self.name));
        Ok(User {
            name: row.name("name", self.name)?,
            label: self.label,
            is_operator: self.is_operator,
            is_suspended: self.is_suspended,
            created_at: Timestamp(self.created_at),
            password_changed_at: self.password_changed_at.map(Timestamp),
            external: match (self.issuer, self.subject) {
                (Some(issuer), Some(subject)) => Some(ExternalIdentity { issuer, subject }),
                (None, None) => None,
                _ => return Err(row.corrupt("subject", "an identity has an issuer and a subject")),
            },
        })
    }
}

/// What is kept of a password, and the identity: what a session may begin with.
pub(crate) const PROOF_COLUMNS: &str = "password, is_suspended, issuer, subject";

/// What is kept of a password.
pub(crate) fn stored_password<C: Columns>(row: &C) -> std::result::Result<StoredPassword, C::Error> {
    Ok(StoredPassword {
        hash: row.maybe_text("password")?.map(PasswordHash::new),
        is_suspended: row.flag("is_suspended")?,
        is_external: row.maybe_text("issuer")?.is_some(),
    })
}

/// The user and the role of a row of `members`.
pub(crate) fn member(tenant: &TenantId, user: String, role: &str) -> Result<Member> {
    let row = Row(format!("member `{user}` of `{tenant}`"));
    Ok(Member { user: row.name("user_name", user)?, role: self::role(&row, role)? })
}

/// The tenant and the role of a row of `members`.
pub(crate) fn membership(user: &UserName, tenant: String, role: &str) -> Result<(TenantId, Role)> {
    let row = Row(format!("member `{user}` of `{tenant}`"));
    Ok((row.name("tenant", tenant)?, self::role(&row, role)?))
}

fn role(row: &Row, text: &str) -> Result<Role> {
    text.parse().map_err(|error| row.corrupt("role", error))
}

fn instance_right(row: &Row, text: &str) -> Result<InstanceRight> {
    text.parse().map_err(|error| row.corrupt("right_name", error))
}

/// The lists of an instance, of rows with a right and a user; the user is `None` if the list is empty.
pub(crate) fn instance_rights(
    instance: &InstanceCode,
    rows: impl IntoIterator<Item = (String, Option<String>)>,
) -> Result<InstanceRights> {
    let row = Row(format!("rights at `{instance}`"));
    let mut rights = InstanceRights::default();
    for (right, user) in rows {
        let list = rights.list_mut(instance_right(&row, &right)?).get_or_insert_default();
        if let Some(user) = user {
            list.insert(row.name("user_name", user)?);
        }
    }
    Ok(rights)
}

/// A row of `tokens`, without the hash.
#[derive(Debug)]
pub(crate) struct TokenRecord {
    pub id: i64,
    pub name: String,
    pub owner: String,
    pub tenant: Option<String>,
    pub instance: Option<String>,
    pub scopes: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub last_used_at: Option<i64>,
    pub made_by: Option<i64>,
}

/// Every column of [`TokenRecord`], of the table `t`.
pub(crate) const TOKEN_COLUMNS: &str = "t.id, t.name, t.owner, t.tenant, t.instance, t.scopes, t.created_at,
    t.expires_at, t.last_used_at, t.made_by";

impl TokenRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            id: row.number("id")?,
            name: row.text("name")?,
            owner: row.text("owner")?,
            tenant: row.maybe_text("tenant")?,
            instance: row.maybe_text("instance")?,
            scopes: row.text("scopes")?,
            created_at: row.number("created_at")?,
            expires_at: row.number("expires_at")?,
            last_used_at: row.maybe_number("last_used_at")?,
            made_by: row.maybe_number("made_by")?,
        })
    }

    pub(crate) fn into_token(self) -> Result<Token> {
        let row = Row(format!("token {}", self.id));
        Ok(Token {
            id: TokenId(row.count("id", self.id)?),
            name: self.name,
            owner: row.name("owner", self.owner)?,
            tenant: self.tenant.map(|tenant| row.name("tenant", tenant)).transpose()?,
            instance: self.instance.map(|code| row.name("instance", code)).transpose()?,
            scopes: row.json("scopes", &self.scopes)?,
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
            last_used_at: self.last_used_at.map(Timestamp),
            made_by: self.made_by.map(|id| row.count("made_by", id)).transpose()?.map(TokenId),
        })
    }
}

/// What a statement for a principal says of the user.
#[derive(Debug)]
pub(crate) struct PrincipalRecord {
    user_name: String,
    is_operator: bool,
    /// JSON: pairs of tenant and role.
    memberships: Vec<u8>,
    /// JSON: pairs of instance and right.
    barred: Vec<u8>,
}

impl PrincipalRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            user_name: row.text("user_name")?,
            is_operator: row.flag("is_operator")?,
            memberships: row.maybe_bytes("memberships")?.unwrap_or_default(),
            barred: row.maybe_bytes("barred")?.unwrap_or_default(),
        })
    }

    /// A damaged role is no role, and a damaged right of a list takes every right at its instance: damage stops
    /// nobody else, and gives nobody more.
    fn into_principal(self, tenant: Option<&TenantId>) -> Result<Principal> {
        let row = Row(format!("user `{}`", self.user_name));
        let user: UserName = row.name("name", self.user_name)?;
        let found = pairs(&row, "memberships", &self.memberships)?;
        let memberships: BTreeMap<_, _> =
            found.into_iter().filter_map(|(tenant, role)| membership(&user, tenant, &role).ok()).collect();
        let found = pairs(&row, "barred", &self.barred)?;
        let mut barred = Barred::new();
        for (instance, right) in found {
            // No instance has a code that cannot be one.
            if let Ok(instance) = InstanceCode::new(instance) {
                barred.entry(instance).or_default().insert(right.parse().unwrap_or(InstanceRight::View));
            }
        }
        let (user, tenant) = (Some(user), tenant.cloned());
        Ok(Principal { user, is_operator: self.is_operator, memberships, tenant, barred, token: None })
    }
}

/// The pairs of a document that a statement has made of texts, also if one of these is no text.
fn pairs(row: &Row, column: &str, document: &[u8]) -> Result<Vec<(String, String)>> {
    row.json(column, &String::from_utf8_lossy(document))
}

/// A session and its principal, of a row with the columns of both.
pub(crate) fn session_principal<C: Columns>(
    row: &C,
    tenant: Option<&TenantId>,
) -> std::result::Result<SessionPrincipal, C::Error> {
    let principal = PrincipalRecord::read(row)?.into_principal(tenant)?;
    let user = principal.user.clone().expect("a principal of the store has a user");
    let session = Session {
        user,
        created_at: Timestamp(row.number("created_at")?),
        seen_at: Timestamp(row.number("seen_at")?),
        expires_at: Timestamp(row.number("expires_at")?),
    };
    Ok(SessionPrincipal { principal, session })
}

/// A token and its principal, of a row with the columns of both.
pub(crate) fn token_principal<C: Columns>(
    row: &C,
    tenant: Option<&TenantId>,
) -> std::result::Result<TokenPrincipal, C::Error> {
    let token = TokenRecord::read(row)?.into_token()?;
    let principal = PrincipalRecord::read(row)?.into_principal(tenant)?;
    Ok(TokenPrincipal { principal: Principal { token: Some(token.limits()), ..principal }, token })
}

/// What the event of a revocation says. It can be read of a token that is otherwise damaged, so that such a token
/// can be revoked.
#[derive(Debug)]
pub(crate) struct RevokedRecord {
    id: i64,
    name: String,
    owner: String,
    tenant: Option<String>,
}

impl RevokedRecord {
    pub(crate) fn read<C: Columns>(row: &C) -> std::result::Result<Self, C::Error> {
        Ok(Self {
            id: row.number("id")?,
            name: row.text("name")?,
            owner: row.text("owner")?,
            tenant: row.maybe_text("tenant")?,
        })
    }

    /// The event, and the tenant in whose trail it is. `first` is the token that was to be revoked.
    pub(crate) fn into_deed(self, first: TokenId) -> Option<(Option<TenantId>, Deed)> {
        let tenant = self.tenant.map(TenantId::new).transpose().ok()?;
        let id = TokenId(u64::try_from(self.id).ok()?);
        let along_with = (id != first).then_some(first);
        Some((tenant, Deed::token_revoked(id, &self.name, &self.owner, along_with)))
    }
}
