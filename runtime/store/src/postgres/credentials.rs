//! Passwords, sessions and one-time links.
//!
//! A session begins under a lock of its user's row, and everything that ends sessions changes that row or locks it.
//! So no session that a change should have ended begins at the same time.

use stepbox_batch::access::{
    LinkHash, LinkPurpose, NewSession, OneTimeLink, PasswordHash, SESSION_IDLE_MS_MAX, SESSION_MS_MAX,
    SESSIONS_PER_USER_MAX, Session, SessionHash, SignInProof, StoredPassword,
};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::{RepositoryError, SessionPrincipal};

use super::accounts::{self, end_sessions, not_found};
use super::connection::Db;
use super::trouble::Outcome;
use super::value::named;
use super::{audit, locks};
use crate::record::access::{PROOF_COLUMNS, session_principal, stored_password};
use crate::record::audit::Trail;
use crate::record::columns::Columns;
use crate::record::{Row, stored};

pub(super) async fn password(db: &Db, user: &UserName) -> Outcome<Option<StoredPassword>> {
    let sql = format!("SELECT {PROOF_COLUMNS} FROM users WHERE name = :user");
    let found = db.row(&sql, &named! {"user": user.as_str()}).await?;
    found.map(|row| stored_password(&row)).transpose()
}

pub(super) async fn set_password(
    db: &Db,
    user: &UserName,
    new: &PasswordHash,
    expected: Option<&PasswordHash>,
    by: &Actor,
) -> Outcome<bool> {
    accounts::lock(db, user).await?;
    let before = password(db, user).await?.ok_or_else(|| not_found(user))?;
    if expected.is_some() && before.hash.as_ref() != expected {
        return Ok(false);
    }
    change_password(db, user, new, by.at).await?;
    audit::append(db, Trail::Installation, &Deed::password_set(user, false), by).await?;
    Ok(true)
}

/// Changes the password. Sessions end, and links are used up.
async fn change_password(db: &Db, user: &UserName, new: &PasswordHash, now: Timestamp) -> Outcome<()> {
    let sql = "UPDATE users SET password = :password, password_changed_at = :now WHERE name = :user";
    let values = named! {"password": new.as_str(), "now": now.0, "user": user.as_str()};
    db.execute(sql, &values).await?;
    drop_links(db, user).await?;
    end_sessions(db, user).await.map(drop)
}

async fn drop_links(db: &Db, user: &UserName) -> Outcome<()> {
    let sql = "DELETE FROM one_time_links WHERE user_name = :user";
    db.execute(sql, &named! {"user": user.as_str()}).await.map(drop)
}

pub(super) async fn create_link(db: &Db, link: &OneTimeLink, by: &Actor) -> Outcome<()> {
    let OneTimeLink { hash, purpose, expires_at } = link;
    let user = match purpose {
        LinkPurpose::FirstOperator => {
            locks::users(db).await?;
            if accounts::has_users(db).await? {
                return Err(RepositoryError::HasUsers.into());
            }
            None
        }
        LinkPurpose::SetPassword(user) => {
            accounts::lock(db, user).await?;
            drop_links(db, user).await?;
            Some(user.as_str())
        }
    };
    db.execute("DELETE FROM one_time_links WHERE expires_at <= :now", &named! {"now": by.at.0}).await?;
    let sql = "INSERT INTO one_time_links (hash, user_name, expires_at) VALUES (:hash, :user, :expires_at)";
    let values = named! {"hash": hash.as_str(), "user": user, "expires_at": expires_at.0};
    db.execute(sql, &values).await?;
    audit::append(db, Trail::Installation, &Deed::password_link_created(purpose), by).await
}

pub(super) const LINK: &str =
    "SELECT l.user_name FROM one_time_links l LEFT JOIN users u ON u.name = l.user_name
     WHERE l.hash = :hash AND l.expires_at > :now AND u.is_suspended IS NOT TRUE
       AND u.issuer IS NULL";

pub(super) async fn link(db: &Db, hash: &LinkHash, now: Timestamp) -> Outcome<Option<LinkPurpose>> {
    let found = db.row(LINK, &named! {"hash": hash.as_str(), "now": now.0}).await?;
    let Some(row) = found else { return Ok(None) };
    let Some(user) = row.maybe_text("user_name")? else { return Ok(Some(LinkPurpose::FirstOperator)) };
    Ok(Some(LinkPurpose::SetPassword(Row("a link".to_owned()).name("user_name", user)?)))
}

pub(super) async fn set_password_by_link(
    db: &Db,
    hash: &LinkHash,
    new: &PasswordHash,
    now: Timestamp,
) -> Outcome<Option<UserName>> {
    let Some(LinkPurpose::SetPassword(user)) = link(db, hash, now).await? else { return Ok(None) };
    match accounts::lock(db, &user).await {
        Ok(()) => {}
        Err(super::trouble::Trouble::Repository(RepositoryError::NotFound { .. })) => return Ok(None),
        Err(trouble) => return Err(trouble),
    }
    // Another process may have used the link before the lock, or suspended the user.
    if link(db, hash, now).await?.is_none() {
        return Ok(None);
    }
    // The link is used up with every other link of the user.
    change_password(db, &user, new, now).await?;
    let by = Actor::new(Some(user.as_str()), now);
    audit::append(db, Trail::Installation, &Deed::password_set(&user, true), &by).await?;
    Ok(Some(user))
}

pub(super) async fn create_session(db: &Db, session: &NewSession, by: &Actor) -> Outcome<bool> {
    let NewSession { hash, user, client, proof } = session;
    if !holds(db, user, proof).await? {
        return Ok(false);
    }
    let expires_at = Session::end(by.at, by.at);
    let sql = "INSERT INTO sessions (hash, user_name, created_at, seen_at, expires_at)
               VALUES (:hash, :user, :now, :now, :expires_at)";
    let values = named! {
        "hash": hash.as_str(), "user": user.as_str(), "now": by.at.0, "expires_at": expires_at.0,
    };
    db.execute(sql, &values).await?;
    let others = i64::from(SESSIONS_PER_USER_MAX) - 1;
    let values = named! {"user": user.as_str(), "hash": hash.as_str(), "others": others};
    db.execute(TOO_MANY, &values).await?;
    db.execute(EXPIRED, &named! {"now": by.at.0, "limit": EXPIRED_TOGETHER}).await?;
    let with = match proof {
        SignInProof::Password(_) => "password",
        SignInProof::External(_) => "identity",
    };
    audit::append(db, Trail::Installation, &Deed::signed_in(user, with, client.as_deref()), by).await?;
    Ok(true)
}

pub(super) const TOO_MANY: &str = "DELETE FROM sessions WHERE hash IN (
         SELECT hash FROM sessions WHERE user_name = :user AND hash <> :hash
         ORDER BY seen_at DESC OFFSET :others)";

/// How many expired sessions are deleted together.
const EXPIRED_TOGETHER: i64 = 100;

/// Deletes expired sessions that no other process deletes at this moment.
pub(super) const EXPIRED: &str = "DELETE FROM sessions WHERE hash IN (
         SELECT hash FROM sessions WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
         FOR UPDATE SKIP LOCKED)";

/// Whether the user may come in now, with what was shown. The user's row stays as it is until the transaction ends.
async fn holds(db: &Db, user: &UserName, proof: &SignInProof) -> Outcome<bool> {
    let sql = format!("SELECT {PROOF_COLUMNS} FROM users WHERE name = :user FOR SHARE");
    let Some(row) = db.row(&sql, &named! {"user": user.as_str()}).await? else { return Ok(false) };
    let StoredPassword { hash, is_suspended, is_external } = stored_password(&row)?;
    let is_shown = match proof {
        SignInProof::Password(shown) => !is_external && hash.as_ref() == Some(shown),
        SignInProof::External(shown) => {
            row.maybe_text("issuer")?.as_ref() == Some(&shown.issuer)
                && row.maybe_text("subject")?.as_ref() == Some(&shown.subject)
        }
    };
    Ok(is_shown && !is_suspended)
}

/// What a statement for a principal reads of the user `u` in `:tenant`.
macro_rules! principal {
    () => {
        "u.name AS user_name, u.is_operator,
         convert_to(CAST(coalesce((SELECT json_agg(json_build_array(m.tenant, m.role)) FROM members m
              WHERE m.user_name = u.name), '[]') AS TEXT), 'UTF8') AS memberships,
         convert_to(CAST(coalesce((SELECT json_agg(json_build_array(r.instance, r.right_name))
              FROM instance_rights r
              WHERE r.tenant = :tenant AND NOT u.is_operator AND NOT EXISTS (
                  SELECT 1 FROM instance_right_users l
                  WHERE l.tenant = r.tenant AND l.instance = r.instance AND l.right_name = r.right_name
                    AND l.user_name = u.name)), '[]') AS TEXT), 'UTF8') AS barred"
    };
}
pub(super) use principal;

pub(super) const PRINCIPAL_OF_SESSION: &str = concat!(
    "SELECT s.created_at, s.seen_at, s.expires_at, ",
    principal!(),
    " FROM sessions s JOIN users u ON u.name = s.user_name
     WHERE s.hash = :hash AND s.expires_at > :now AND NOT u.is_suspended"
);

pub(super) async fn principal_of_session(
    db: &Db,
    hash: &SessionHash,
    tenant: Option<&TenantId>,
    now: Timestamp,
) -> Outcome<Option<SessionPrincipal>> {
    let values = named! {"hash": hash.as_str(), "tenant": tenant.map(TenantId::as_str), "now": now.0};
    let found = db.row(PRINCIPAL_OF_SESSION, &values).await?;
    found.map(|row| session_principal(&row, tenant)).transpose()
}

pub(super) const TOUCH_SESSION: &str = "UPDATE sessions
     SET seen_at = :now, expires_at = least(created_at + :lasts, CAST(:now AS BIGINT) + :idle)
     WHERE hash = :hash AND seen_at < :now AND expires_at > :now";

pub(super) async fn touch_session(db: &Db, hash: &SessionHash, now: Timestamp) -> Outcome<()> {
    let values = named! {
        "hash": hash.as_str(), "now": now.0, "lasts": stored(SESSION_MS_MAX),
        "idle": stored(SESSION_IDLE_MS_MAX),
    };
    db.execute(TOUCH_SESSION, &values).await.map(drop)
}

pub(super) async fn end_session(db: &Db, hash: &SessionHash, by: &Actor) -> Outcome<bool> {
    let sql = "DELETE FROM sessions WHERE hash = :hash RETURNING user_name";
    let Some(row) = db.row(sql, &named! {"hash": hash.as_str()}).await? else { return Ok(false) };
    let user = Row("a session".to_owned()).name("user_name", row.text("user_name")?)?;
    audit::append(db, Trail::Installation, &Deed::signed_out(&user, 1), by).await?;
    Ok(true)
}

pub(super) async fn end_sessions_of(db: &Db, user: &UserName, by: &Actor) -> Outcome<u64> {
    accounts::lock(db, user).await?;
    let ended = end_sessions(db, user).await?;
    if ended > 0 {
        audit::append(db, Trail::Installation, &Deed::signed_out(user, ended), by).await?;
    }
    Ok(ended)
}
