//! Passwords, sessions and one-time links.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
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
use super::audit;
use super::row::first;
use super::trouble::Outcome;
use crate::record::access::{PROOF_COLUMNS, session_principal, stored_password};
use crate::record::audit::Trail;
use crate::record::columns::Columns;
use crate::record::{Row, stored};

pub(super) fn password(db: &Db, user: &UserName) -> Outcome<Option<StoredPassword>> {
    let sql = format!("SELECT {PROOF_COLUMNS} FROM users WHERE name = :user");
    let mut statement = db.prepare_cached(&sql)?;
    first(statement.query(named_params! {":user": user.as_str()})?, |row| stored_password(row))
}

pub(super) fn set_password(
    db: &Db,
    user: &UserName,
    new: &PasswordHash,
    expected: Option<&PasswordHash>,
    by: &Actor,
) -> Outcome<bool> {
    let before = password(db, user)?.ok_or_else(|| not_found(user))?;
    if expected.is_some() && before.hash.as_ref() != expected {
        return Ok(false);
    }
    change_password(db, user, new, by.at)?;
    audit::append(db, Trail::Installation, &Deed::password_set(user, false), by)?;
    Ok(true)
}

/// Changes the password. Sessions end, and links are used up.
fn change_password(db: &Db, user: &UserName, new: &PasswordHash, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE users SET password = :password, password_changed_at = :now WHERE name = :user",
    )?
    .execute(named_params! {":password": new.as_str(), ":now": now.0, ":user": user.as_str()})?;
    drop_links(db, user)?;
    end_sessions(db, user).map(drop)
}

fn drop_links(db: &Db, user: &UserName) -> Outcome<()> {
    db.prepare_cached("DELETE FROM one_time_links WHERE user_name = :user")?
        .execute(named_params! {":user": user.as_str()})?;
    Ok(())
}

pub(super) fn create_link(db: &Db, link: &OneTimeLink, by: &Actor) -> Outcome<()> {
    let OneTimeLink { hash, purpose, expires_at } = link;
    db.prepare_cached("DELETE FROM one_time_links WHERE expires_at <= :now")?
        .execute(named_params! {":now": by.at.0})?;
    let user = match purpose {
        LinkPurpose::FirstOperator if accounts::has_users(db)? => {
            return Err(RepositoryError::HasUsers.into());
        }
        LinkPurpose::FirstOperator => None,
        LinkPurpose::SetPassword(user) if !accounts::exists(db, user)? => return Err(not_found(user).into()),
        LinkPurpose::SetPassword(user) => {
            drop_links(db, user)?;
            Some(user.as_str())
        }
    };
    db.prepare_cached(
        "INSERT INTO one_time_links (hash, user_name, expires_at) VALUES (:hash, :user, :expires_at)",
    )?
    .execute(named_params! {":hash": hash.as_str(), ":user": user, ":expires_at": expires_at.0})?;
    audit::append(db, Trail::Installation, &Deed::password_link_created(purpose), by)
}

pub(super) const LINK: &str =
    "SELECT l.user_name FROM one_time_links l LEFT JOIN users u ON u.name = l.user_name
     WHERE l.hash = :hash AND l.expires_at > :now AND u.is_suspended IS NOT TRUE
       AND u.issuer IS NULL";

pub(super) fn link(db: &Db, hash: &LinkHash, now: Timestamp) -> Outcome<Option<LinkPurpose>> {
    let found: Option<Option<String>> = db
        .prepare_cached(LINK)?
        .query_row(named_params! {":hash": hash.as_str(), ":now": now.0}, |row| row.get(0))
        .optional()?;
    let Some(user) = found else { return Ok(None) };
    let Some(user) = user else { return Ok(Some(LinkPurpose::FirstOperator)) };
    Ok(Some(LinkPurpose::SetPassword(Row("a link".to_owned()).name("user_name", user)?)))
}

pub(super) fn set_password_by_link(
    db: &Db,
    hash: &LinkHash,
    new: &PasswordHash,
    now: Timestamp,
) -> Outcome<Option<UserName>> {
    let Some(LinkPurpose::SetPassword(user)) = link(db, hash, now)? else { return Ok(None) };
    // The link is used up with every other link of the user.
    change_password(db, &user, new, now)?;
    let by = Actor::new(Some(user.as_str()), now);
    audit::append(db, Trail::Installation, &Deed::password_set(&user, true), &by)?;
    Ok(Some(user))
}

pub(super) fn create_session(db: &Db, session: &NewSession, by: &Actor) -> Outcome<bool> {
    let NewSession { hash, user, client, proof } = session;
    db.prepare_cached(EXPIRED)?.execute(named_params! {":now": by.at.0})?;
    if !holds(db, user, proof)? {
        return Ok(false);
    }
    let expires_at = Session::end(by.at, by.at);
    db.prepare_cached(
        "INSERT INTO sessions (hash, user_name, created_at, seen_at, expires_at)
         VALUES (:hash, :user, :now, :now, :expires_at)",
    )?
    .execute(named_params! {
        ":hash": hash.as_str(), ":user": user.as_str(), ":now": by.at.0, ":expires_at": expires_at.0,
    })?;
    db.prepare_cached(TOO_MANY)?.execute(named_params! {
        ":user": user.as_str(), ":hash": hash.as_str(), ":others": SESSIONS_PER_USER_MAX - 1,
    })?;
    let with = match proof {
        SignInProof::Password(_) => "password",
        SignInProof::External(_) => "identity",
    };
    audit::append(db, Trail::Installation, &Deed::signed_in(user, with, client.as_deref()), by)?;
    Ok(true)
}

pub(super) const EXPIRED: &str = "DELETE FROM sessions WHERE expires_at <= :now";

pub(super) const TOO_MANY: &str = "DELETE FROM sessions WHERE hash IN (
         SELECT hash FROM sessions WHERE user_name = :user AND hash <> :hash
         ORDER BY seen_at DESC LIMIT -1 OFFSET :others)";

/// Whether the user may come in now, with what was shown.
fn holds(db: &Db, user: &UserName, proof: &SignInProof) -> Outcome<bool> {
    let sql = format!("SELECT {PROOF_COLUMNS} FROM users WHERE name = :user");
    let mut statement = db.prepare_cached(&sql)?;
    let held = first(statement.query(named_params! {":user": user.as_str()})?, |row| {
        let StoredPassword { hash, is_suspended, is_external } = stored_password(row)?;
        let is_shown = match proof {
            SignInProof::Password(shown) => !is_external && hash.as_ref() == Some(shown),
            SignInProof::External(shown) => {
                row.maybe_text("issuer")?.as_ref() == Some(&shown.issuer)
                    && row.maybe_text("subject")?.as_ref() == Some(&shown.subject)
            }
        };
        Ok(is_shown && !is_suspended)
    })?;
    Ok(held.unwrap_or(false))
}

/// What a statement for a principal reads of the user `u` in `:tenant`. The documents are bytes, so that a damaged
/// text of another row does no harm.
macro_rules! principal {
    () => {
        "u.name AS user_name, u.is_operator,
         (SELECT CAST(json_group_array(json_array(m.tenant, m.role)) AS BLOB) FROM members m
              WHERE m.user_name = u.name) AS memberships,
         (SELECT CAST(json_group_array(json_array(r.instance, r.right_name)) AS BLOB) FROM instance_rights r
              WHERE r.tenant = :tenant AND NOT u.is_operator AND NOT EXISTS (
                  SELECT 1 FROM instance_right_users l
                  WHERE l.tenant = r.tenant AND l.instance = r.instance AND l.right_name = r.right_name
                    AND l.user_name = u.name)) AS barred"
    };
}
pub(super) use principal;

pub(super) const PRINCIPAL_OF_SESSION: &str = concat!(
    "SELECT s.created_at, s.seen_at, s.expires_at, ",
    principal!(),
    " FROM sessions s JOIN users u ON u.name = s.user_name
     WHERE s.hash = :hash AND s.expires_at > :now AND NOT u.is_suspended"
);

pub(super) fn principal_of_session(
    db: &Db,
    hash: &SessionHash,
    tenant: Option<&TenantId>,
    now: Timestamp,
) -> Outcome<Option<SessionPrincipal>> {
    let mut statement = db.prepare_cached(PRINCIPAL_OF_SESSION)?;
    let rows = statement.query(named_params! {
        ":hash": hash.as_str(), ":tenant": tenant.map(TenantId::as_str), ":now": now.0,
    })?;
    first(rows, |row| session_principal(row, tenant))
}

pub(super) const TOUCH_SESSION: &str = "UPDATE sessions
     SET seen_at = :now, expires_at = min(created_at + :lasts, :now + :idle)
     WHERE hash = :hash AND seen_at < :now AND expires_at > :now";

pub(super) fn touch_session(db: &Db, hash: &SessionHash, now: Timestamp) -> Outcome<()> {
    db.prepare_cached(TOUCH_SESSION)?.execute(named_params! {
        ":hash": hash.as_str(), ":now": now.0, ":lasts": stored(SESSION_MS_MAX),
        ":idle": stored(SESSION_IDLE_MS_MAX),
    })?;
    Ok(())
}

pub(super) fn end_session(db: &Db, hash: &SessionHash, by: &Actor) -> Outcome<bool> {
    let user: Option<String> = db
        .prepare_cached("DELETE FROM sessions WHERE hash = :hash RETURNING user_name")?
        .query_row(named_params! {":hash": hash.as_str()}, |row| row.get(0))
        .optional()?;
    let Some(user) = user else { return Ok(false) };
    let user = Row("a session".to_owned()).name("user_name", user)?;
    audit::append(db, Trail::Installation, &Deed::signed_out(&user, 1), by)?;
    Ok(true)
}

pub(super) fn end_sessions_of(db: &Db, user: &UserName, by: &Actor) -> Outcome<u64> {
    if !accounts::exists(db, user)? {
        return Err(not_found(user).into());
    }
    let ended = end_sessions(db, user)?;
    if ended > 0 {
        audit::append(db, Trail::Installation, &Deed::signed_out(user, ended), by)?;
    }
    Ok(ended)
}
