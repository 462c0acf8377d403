//! Files that users upload.

use stepbox_batch::actor::Actor;
use stepbox_batch::audit::Deed;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::Listing;
use stepbox_batch::uploaded_file::{FileId, FileQuota, FileUsage, UploadedFile};

use super::connection::Db;
use super::trouble::{Outcome, listed};
use super::value::named;
use super::{audit, locks};
use crate::record::columns::Columns;
use crate::record::uploaded::{
    ARRIVING, COMPLETE, GOING, UPLOAD_COLUMNS, UploadRecord, in_use, no_file, no_room,
};
use crate::record::{Listed, Row};

pub(super) async fn begin(db: &Db, file: &UploadedFile, quota: &FileQuota) -> Outcome<()> {
    // So that two calls at once cannot both take the last place.
    locks::by_name(db, &file.tenant, "uploads").await?;
    quota.check_count(usage(db, &file.tenant).await?).map_err(no_room)?;
    let record = UploadRecord::from(file);
    let sql = format!(
        "INSERT INTO uploads ({UPLOAD_COLUMNS}, state)
         VALUES (:tenant, :id, :name, 0, :digest, :user_name, :created_at, :expires_at, {ARRIVING})"
    );
    let values = named! {
        "tenant": &record.tenant, "id": &record.id, "name": &record.name, "digest": &record.digest,
        "user_name": &record.user_name, "created_at": record.created_at, "expires_at": record.expires_at,
    };
    db.execute(&sql, &values).await.map(drop)
}

pub(super) async fn complete(db: &Db, file: &UploadedFile, quota: &FileQuota, by: &Actor) -> Outcome<()> {
    locks::by_name(db, &file.tenant, "uploads").await?;
    quota.check_bytes(usage(db, &file.tenant).await?, file.size_bytes).map_err(no_room)?;
    let record = UploadRecord::from(file);
    let sql = format!(
        "UPDATE uploads SET size_bytes = :size_bytes, digest = :digest, expires_at = :expires_at, state = {COMPLETE}
         WHERE tenant = :tenant AND id = :id AND state = {ARRIVING}"
    );
    let values = named! {
        "tenant": &record.tenant, "id": &record.id, "size_bytes": record.size_bytes,
        "digest": &record.digest, "expires_at": record.expires_at,
    };
    match db.execute(&sql, &values).await? {
        0 => Err(no_file(&file.id).into()),
        _ => audit::append(db, &file.tenant, &Deed::file_uploaded(file), by).await,
    }
}

pub(super) async fn get(db: &Db, tenant: &TenantId, id: &FileId) -> Outcome<Option<UploadedFile>> {
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS} FROM uploads WHERE tenant = :tenant AND id = :id AND state = {COMPLETE}"
    );
    let found = db.row(&sql, &named! {"tenant": tenant.as_str(), "id": id.as_str()}).await?;
    found.map(|row| Ok(UploadRecord::read(&row)?.into_file()?)).transpose()
}

pub(super) async fn list(db: &Db, tenant: &TenantId) -> Outcome<Listing<UploadedFile>> {
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS} FROM uploads WHERE tenant = :tenant AND state = {COMPLETE}
         ORDER BY created_at DESC, id"
    );
    let mut found = Listing::default();
    for row in db.rows(&sql, &named! {"tenant": tenant.as_str()}).await? {
        let file = UploadRecord::read(&row).and_then(|record| Ok(record.into_file()?));
        found.push(listed(Listed::named("file", row.text("id")?), file)?);
    }
    Ok(found)
}

/// Of the files that have not gone.
pub(super) async fn usage(db: &Db, tenant: &TenantId) -> Outcome<FileUsage> {
    let sql = format!(
        "SELECT count(*) AS count, CAST(coalesce(sum(size_bytes), 0) AS BIGINT) AS bytes
         FROM uploads WHERE tenant = :tenant AND state <> {GOING}"
    );
    let Some(found) = db.row(&sql, &named! {"tenant": tenant.as_str()}).await? else {
        return Ok(FileUsage::default());
    };
    let row = Row("the uploaded files".to_owned());
    let (count, bytes) = (found.number("count")?, found.number("bytes")?);
    Ok(FileUsage { count: row.count("count", count)?, bytes: row.count("size_bytes", bytes)? })
}

pub(super) async fn retire(db: &Db, tenant: &TenantId, id: &FileId, by: &Actor) -> Outcome<()> {
    locks::by_name(db, tenant, "uploads").await?;
    let file = get(db, tenant, id).await?.ok_or_else(|| no_file(id))?;
    if let Some(user) = user_of(db, tenant.as_str(), id.as_str()).await? {
        return Err(in_use(id, user).into());
    }
    put_going(db, tenant.as_str(), id.as_str()).await?;
    audit::append(db, tenant, &Deed::file_removed(&file), by).await
}

async fn put_going(db: &Db, tenant: &str, id: &str) -> Outcome<()> {
    let sql = format!("UPDATE uploads SET state = {GOING} WHERE tenant = :tenant AND id = :id");
    db.execute(&sql, &named! {"tenant": tenant, "id": id}).await.map(drop)
}

/// For all tenants, on purpose: this is housekeeping.
pub(super) async fn retire_old(db: &Db, now: Timestamp) -> Outcome<Vec<(TenantId, FileId)>> {
    // Several processes may do this at once.
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS}, state FROM uploads WHERE expires_at <= :now OR state = {GOING}
         ORDER BY tenant, id FOR UPDATE SKIP LOCKED"
    );
    let mut going = Vec::new();
    for row in db.rows(&sql, &named! {"now": now.0}).await? {
        let (record, state) = (UploadRecord::read(&row)?, row.number("state")?);
        // A row that cannot be read names no file.
        let Ok(names) = record.names() else { continue };
        if state == COMPLETE && user_of(db, &record.tenant, &record.id).await?.is_some() {
            continue;
        }
        if state != GOING {
            put_going(db, &record.tenant, &record.id).await?;
        }
        if state == COMPLETE
            && let Ok(file) = record.into_file()
        {
            audit::append(db, &names.0, &Deed::file_removed(&file), &Actor::stepbox(now)).await?;
        }
        going.push(names);
    }
    Ok(going)
}

/// The instance, or the execution that has not ended, whose parameters name the file.
///
/// Ids are random, so a text that contains one names the file. Files go rarely and executions run often, so there is
/// no table of uses: the texts are searched.
async fn user_of(db: &Db, tenant: &str, id: &str) -> Outcome<Option<String>> {
    let sql = "SELECT 'instance `' || code || '`' AS user_name FROM job_instances
               WHERE tenant = :tenant AND position(:text IN raw_parameters) > 0
               UNION ALL
               SELECT 'execution ' || id FROM job_executions
               WHERE tenant = :tenant AND ended_at IS NULL AND position(:text IN parameters) > 0
               LIMIT 1";
    let text = format!("\"{id}\"");
    let found = db.row(sql, &named! {"tenant": tenant, "text": &text}).await?;
    found.map(|row| row.text("user_name")).transpose()
}

pub(super) async fn forget(db: &Db, tenant: &TenantId, id: &FileId) -> Outcome<()> {
    let sql = format!("DELETE FROM uploads WHERE tenant = :tenant AND id = :id AND state <> {COMPLETE}");
    db.execute(&sql, &named! {"tenant": tenant.as_str(), "id": id.as_str()}).await.map(drop)
}

pub(super) async fn is_known(db: &Db, tenant: &TenantId, id: &FileId) -> Outcome<bool> {
    let sql = "SELECT 1 FROM uploads WHERE tenant = :tenant AND id = :id";
    Ok(db.row(sql, &named! {"tenant": tenant.as_str(), "id": id.as_str()}).await?.is_some())
}
