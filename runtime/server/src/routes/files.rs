//! Files: inputs of jobs that users upload. Parameters name them by their ids.

use serde::Deserialize;
use serde_json::json;
use stepbox::FileOptions;
use stepbox::batch::uploaded_file;
use stepbox_api::file::UploadedFile;
use utoipa::ToSchema;

use crate::access::{FileChanges, Files, Launch, May};
use crate::conventions::answer::{Created, Done, Shown};
use crate::conventions::asking::Asking;
use crate::conventions::body::{Spooled, spool};
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, InPath, Input, Query, With};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

/// How large a file may be, in bytes: 1 GiB. The tenant's quota may be smaller.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 30;

/// The types with which a file may come. Nobody looks at them: the reader of a step says what it expects.
const TYPES: &[&str] =
    &["application/octet-stream", "text/csv", "text/plain", "application/jsonl", "application/json"];

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/files", "The uploaded files.", list)
        .post("/tenants/{tenant}/files", "Upload a file as an input of jobs.", upload)
        .get("/tenants/{tenant}/files/{file}", "An uploaded file.", show)
        .delete("/tenants/{tenant}/files/{file}", "Remove an uploaded file that nothing needs.", remove)
}

/// A file that has arrived.
pub(super) struct Arrived(pub(super) Spooled);

impl Input for Arrived {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let folder = asking.tools.spool.clone();
        Ok(Self(spool(asking, TYPES, FILE_BYTES_MAX, &folder).await?))
    }

    fn describe(operation: &mut Describing) {
        let binary = || json!({ "type": "string", "format": "binary" });
        let types: Vec<_> = TYPES.iter().map(|name| (*name, binary())).collect();
        operation.body(&types, true);
    }
}

/// What the file is called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// A name for people, without a folder: `stock.csv`.
    name: String,
}

async fn list(
    may: May<Launch, Files>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<UploadedFile>, Failure> {
    let files = may.tenant().files().await?;
    let key = |file: &uploaded_file::UploadedFile| format!("{} {}", file.created_at, file.id);
    Ok(List::of(page, files, key, UploadedFile::of))
}

async fn upload(
    may: May<Launch, FileChanges>,
    (With(tools), Caller(who), Query(Named { name }), Arrived(body)): (With, Caller, Query<Named>, Arrived),
) -> Result<Created<UploadedFile>, Failure> {
    tools.limits.upload(&who)?;
    let file = may.tenant().upload_file(&name, body.file, FileOptions::default()).await?;
    let at = format!("files/{}", file.id);
    Ok(Created { at, version: None, thing: UploadedFile::of(&file) })
}

async fn show(may: May<Launch, Files>, InPath(id): InPath<'f'>) -> Result<Shown<UploadedFile>, Failure> {
    Ok(Shown(UploadedFile::of(&may.tenant().file(&id).await?)))
}

async fn remove(may: May<Launch, FileChanges>, InPath(id): InPath<'f'>) -> Result<Done, Failure> {
    may.tenant().remove_file(&id).await?;
    Ok(Done)
}
