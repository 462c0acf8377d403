//! Files that users upload.

use rusqlite::{Connection as Db, OptionalExtension, named_params};
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::Listing;
use stepbox_batch::uploaded_file::{FileId, FileQuota, FileUsage, UploadedFile};

use super::audit;
use super::row::first;
use super::trouble::{Outcome, legible, listed};
use crate::record::uploaded::{
    ARRIVING, COMPLETE, GOING, UPLOAD_COLUMNS, UploadRecord, in_use, no_file, no_room,
};
use crate::record::{Listed, Row};

pub(super) fn begin(db: &Db, file: &UploadedFile, quota: &FileQuota) -> Outcome<()> {
    quota.check_count(usage(db, &file.tenant)?).map_err(no_room)?;
    let record = UploadRecord::from(file);
    let sql = format!(
        "INSERT INTO uploads ({UPLOAD_COLUMNS}, state)
         VALUES (:tenant, :id, :name, :size_bytes, :digest, :user_name, :created_at, :expires_at, {ARRIVING})"
    );
    db.prepare_cached(&sql)?.execute(named_params! {
        ":tenant": record.tenant, ":id": record.id, ":name": record.name, ":size_bytes": 0,
        ":digest": record.digest, ":user_name": record.user_name, ":created_at": record.created_at,
        ":expires_at": record.expires_at,
    })?;
    Ok(())
}

pub(super) fn complete(db: &Db, file: &UploadedFile, quota: &FileQuota, by: &Actor) -> Outcome<()> {
    quota.check_bytes(usage(db, &file.tenant)?, file.size_bytes).map_err(no_room)?;
    let record = UploadRecord::from(file);
    let sql = format!(
        "UPDATE uploads SET size_bytes = :size_bytes, digest = :digest, expires_at = :expires_at, state = {COMPLETE}
         WHERE tenant = :tenant AND id = :id AND state = {ARRIVING}"
    );
    let completed = db.prepare_cached(&sql)?.execute(named_params! {
        ":tenant": record.tenant, ":id": record.id, ":size_bytes": record.size_bytes,
        ":digest": record.digest, ":expires_at": record.expires_at,
    })?;
    match completed {
        0 => Err(no_file(&file.id).into()),
        _ => audit::append(db, &file.tenant, &Deed::file_uploaded(file), by),
    }
}

pub(super) fn get(db: &Db, tenant: &TenantId, id: &FileId) -> Outcome<Option<UploadedFile>> {
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS} FROM uploads WHERE tenant = :tenant AND id = :id AND state = {COMPLETE}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query(named_params! {":tenant": tenant.as_str(), ":id": id.as_str()})?;
    let record = first(rows, |row| UploadRecord::read(row))?;
    Ok(record.map(UploadRecord::into_file).transpose()?)
}

pub(super) fn list(db: &Db, tenant: &TenantId) -> Outcome<Listing<UploadedFile>> {
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS} FROM uploads WHERE tenant = :tenant AND state = {COMPLETE}
         ORDER BY created_at DESC, id"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":tenant": tenant.as_str()})?;
    let mut found = Listing::default();
    while let Some(row) = rows.next()? {
        let file = UploadRecord::read(row).and_then(|record| Ok(record.into_file()?));
        found.push(listed(Listed::named("file", legible(row, "id")?), file)?);
    }
    Ok(found)
}

/// Of the files that have not gone.
pub(super) fn usage(db: &Db, tenant: &TenantId) -> Outcome<FileUsage> {
    let sql = "SELECT count(*), coalesce(sum(size_bytes), 0) FROM uploads WHERE tenant = :tenant AND state <> :going";
    let (count, bytes): (i64, i64) = db
        .prepare_cached(sql)?
        .query_row(named_params! {":tenant": tenant.as_str(), ":going": GOING}, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let row = Row("the uploaded files".to_owned());
    Ok(FileUsage { count: row.count("count", count)?, bytes: row.count("size_bytes", bytes)? })
}

pub(super) fn retire(db: &Db, tenant: &TenantId, id: &FileId, by: &Actor) -> Outcome<()> {
    let file = get(db, tenant, id)?.ok_or_else(|| no_file(id))?;
    if let Some(user) = user_of(db, tenant.as_str(), id.as_str())? {
        return Err(in_use(id, user).into());
    }
    put_going(db, tenant.as_str(), id.as_str())?;
    audit::append(db, tenant, &Deed::file_removed(&file), by)
}

fn put_going(db: &Db, tenant: &str, id: &str) -> Outcome<()> {
    let sql = format!("UPDATE uploads SET state = {GOING} WHERE tenant = :tenant AND id = :id");
    db.prepare_cached(&sql)?.execute(named_params! {":tenant": tenant, ":id": id})?;
    Ok(())
}

/// Whether a file may have to go. The check does not hold up writers.
pub(super) fn has_old_ones(db: &Db, now: Timestamp) -> Outcome<bool> {
    let sql = format!("SELECT 1 FROM uploads WHERE expires_at <= :now OR state = {GOING} LIMIT 1");
    Ok(db.prepare_cached(&sql)?.exists(named_params! {":now": now.0})?)
}

/// For all tenants, on purpose: this is housekeeping.
pub(super) fn retire_old(db: &Db, now: Timestamp) -> Outcome<Vec<(TenantId, FileId)>> {
    let sql =
        format!("SELECT {UPLOAD_COLUMNS}, state FROM uploads WHERE expires_at <= :now OR state = {GOING}");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":now": now.0})?;
    let mut old = Vec::new();
    while let Some(row) = rows.next()? {
        old.push((UploadRecord::read(row)?, row.get::<_, i64>("state")?));
    }
    let mut going = Vec::new();
    for (record, state) in old {
        // A row that cannot be read names no file.
        let Ok(names) = record.names() else { continue };
        if state == COMPLETE && user_of(db, &record.tenant, &record.id)?.is_some() {
            continue;
        }
        if state != GOING {
            put_going(db, &record.tenant, &record.id)?;
        }
        if state == COMPLETE
            && let Ok(file) = record.into_file()
        {
            audit::append(db, &names.0, &Deed::file_removed(&file), &Actor::stepbox(now))?;
        }
        going.push(names);
    }
    Ok(going)
}

/// The instance, or the execution that has not ended, whose parameters name the file.
///
/// Ids are random, so a text that contains one names the file. Files go rarely and executions run often, so there is
/// no table of uses: the texts are searched.
fn user_of(db: &Db, tenant: &str, id: &str) -> Outcome<Option<String>> {
    let values = named_params! {":tenant": tenant, ":text": format!("\"{id}\"")};
    let user = db
        .prepare_cached(
            "SELECT 'instance `' || code || '`' FROM job_instances
             WHERE tenant = :tenant AND instr(raw_parameters, :text) > 0
             UNION ALL
             SELECT 'execution ' || id FROM job_executions INDEXED BY job_executions_open
             WHERE tenant = :tenant AND ended_at IS NULL AND instr(parameters, :text) > 0
             LIMIT 1",
        )?
        .query_row(values, |row| row.get(0))
        .optional()?;
    Ok(user)
}

pub(super) fn forget(db: &Db, tenant: &TenantId, id: &FileId) -> Outcome<()> {
    let sql = format!("DELETE FROM uploads WHERE tenant = :tenant AND id = :id AND state <> {COMPLETE}");
    db.prepare_cached(&sql)?.execute(named_params! {":tenant": tenant.as_str(), ":id": id.as_str()})?;
    Ok(())
}

pub(super) fn is_known(db: &Db, tenant: &TenantId, id: &FileId) -> Outcome<bool> {
    let mut statement = db.prepare_cached("SELECT 1 FROM uploads WHERE tenant = :tenant AND id = :id")?;
    Ok(statement.exists(named_params! {":tenant": tenant.as_str(), ":id": id.as_str()})?)
}
