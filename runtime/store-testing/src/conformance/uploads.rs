//! Files that users upload: how they arrive, what keeps them, and how they go.

use serde_json::json;
use stepbox_batch::actor::Actor;
use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::execution::NewJobExecution;
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::TenantId;
use stepbox_batch::ports::JobRepository;
use stepbox_batch::uploaded_file::{FileId, FileQuota, FileUsage, UploadedFile};

use crate::sample::*;

/// A quota that is never reached here.
pub const ROOM_FOR_FILES: FileQuota = FileQuota { count_max: 100, total_bytes_max: 1000 };

/// A file that arrives now and expires a minute later.
pub fn uploaded(byte: u8, size_bytes: u64) -> UploadedFile {
    UploadedFile {
        id: FileId::from_random([byte; 16]),
        tenant: tenant(),
        name: "Übersicht \0.csv".to_owned(),
        size_bytes,
        digest: digest(byte),
        user: Some("julia".to_owned()),
        created_at: NOW.plus_ms(byte.into()),
        expires_at: LATER,
    }
}

async fn put(store: &dyn JobRepository, file: &UploadedFile) {
    store.begin_file(file, &ROOM_FOR_FILES).await.unwrap();
    store.complete_file(file, &ROOM_FOR_FILES, &by(NOW)).await.unwrap();
}

async fn ids(store: &dyn JobRepository) -> Vec<FileId> {
    store.files(&tenant()).await.unwrap().iter().map(|file| file.id.clone()).collect()
}

fn going(files: &[&UploadedFile]) -> Vec<(TenantId, FileId)> {
    let mut going: Vec<_> = files.iter().map(|file| (file.tenant.clone(), file.id.clone())).collect();
    going.sort();
    going
}

async fn retired(store: &dyn JobRepository, now: stepbox_batch::clock::Timestamp) -> Vec<(TenantId, FileId)> {
    let mut retired = store.retire_files(now).await.unwrap();
    retired.sort();
    retired
}

pub async fn come_back_as_they_went(store: &dyn JobRepository) {
    let (first, second) = (uploaded(1, 7), uploaded(2, 0));
    store.begin_file(&first, &ROOM_FOR_FILES).await.unwrap();
    assert_eq!(store.file(&tenant(), &first.id).await.unwrap(), None, "it arrives");
    assert!(ids(store).await.is_empty());
    assert!(store.is_known_file(&tenant(), &first.id).await.unwrap());
    store.complete_file(&first, &ROOM_FOR_FILES, &by(NOW)).await.unwrap();
    assert_eq!(store.file(&tenant(), &first.id).await.unwrap(), Some(first.clone()));
    put(store, &second).await;
    assert_eq!(store.files(&tenant()).await.unwrap(), [second.clone(), first.clone()], "newest first");
    assert_eq!(store.file_usage(&tenant()).await.unwrap(), FileUsage { count: 2, bytes: 7 });
    let again = store.complete_file(&first, &ROOM_FOR_FILES, &by(NOW)).await;
    assert_eq!(told(again), "not-found", "it arrives once");

    let stranger = TenantId::new("stranger").unwrap();
    assert_eq!(store.file(&stranger, &first.id).await.unwrap(), None);
    assert_eq!(store.files(&stranger).await.unwrap(), []);
    assert_eq!(store.file_usage(&stranger).await.unwrap(), FileUsage::default());
    assert!(!store.is_known_file(&stranger, &first.id).await.unwrap());
    assert_eq!(told(store.retire_file(&stranger, &first.id, &by(NOW)).await), "not-found");
    let uploads = AuditFilter { action: Some(AuditAction::FileUploaded), ..AuditFilter::default() };
    assert_eq!(store.audit(&tenant(), &uploads).await.unwrap().len(), 2);
}

pub async fn come_in_while_there_is_room(store: &dyn JobRepository) {
    let quota = FileQuota { count_max: 2, total_bytes_max: 10 };
    let (first, second, third) = (uploaded(1, 6), uploaded(2, 5), uploaded(3, 1));
    store.begin_file(&first, &quota).await.unwrap();
    store.begin_file(&second, &quota).await.unwrap();
    assert_eq!(told(store.begin_file(&third, &quota).await), "file-quota", "what arrives counts");
    store.complete_file(&first, &quota, &by(NOW)).await.unwrap();
    let too_large = store.complete_file(&second, &quota, &by(NOW)).await;
    assert_eq!(told(too_large), "file-quota");
    let smaller = UploadedFile { size_bytes: 4, ..second };
    store.complete_file(&smaller, &quota, &by(NOW)).await.unwrap();
    store.retire_file(&tenant(), &first.id, &by(NOW)).await.unwrap();
    assert_eq!(store.file_usage(&tenant()).await.unwrap(), FileUsage { count: 1, bytes: 4 });
    store.begin_file(&third, &quota).await.unwrap();
    store.complete_file(&third, &quota, &by(NOW)).await.unwrap();
}

pub async fn of_two_at_once_one_takes_the_last_place(store: &dyn JobRepository) {
    let quota = FileQuota { count_max: 2, total_bytes_max: 10 };
    let (first, second) = (uploaded(1, 6), uploaded(2, 6));
    let (tenant, by) = (tenant(), by(NOW));
    for file in [&first, &second] {
        store.begin_file(file, &quota).await.unwrap();
    }
    let (a, b) =
        tokio::join!(store.complete_file(&first, &quota, &by), store.complete_file(&second, &quota, &by));
    let mut told = [told(a), told(b)];
    told.sort_unstable();
    assert_eq!(told, ["file-quota", "ok"]);
    assert_eq!(store.files(&tenant).await.unwrap().len(), 1);
}

/// A file that goes is known until its bytes are gone, and nobody can use it.
pub async fn go_before_they_are_forgotten(store: &dyn JobRepository) {
    let file = uploaded(1, 7);
    put(store, &file).await;
    store.forget_file(&tenant(), &file.id).await.unwrap();
    assert_eq!(ids(store).await, [file.id.clone()], "a complete file stays");
    let broken = uploaded(2, 0);
    store.begin_file(&broken, &ROOM_FOR_FILES).await.unwrap();
    store.forget_file(&tenant(), &broken.id).await.unwrap();
    assert!(!store.is_known_file(&tenant(), &broken.id).await.unwrap());
    store.retire_file(&tenant(), &file.id, &by(NOW)).await.unwrap();
    assert!(ids(store).await.is_empty());
    assert_eq!(told(store.retire_file(&tenant(), &file.id, &by(NOW)).await), "not-found");
    assert!(store.is_known_file(&tenant(), &file.id).await.unwrap());
    assert_eq!(retired(store, NOW).await, going(&[&file]), "whoever removes the bytes may have died");
    store.forget_file(&tenant(), &file.id).await.unwrap();
    assert!(!store.is_known_file(&tenant(), &file.id).await.unwrap());
    assert!(retired(store, LATER).await.is_empty());
    let removals = AuditFilter { action: Some(AuditAction::FileRemoved), ..AuditFilter::default() };
    let events = store.audit(&tenant(), &removals).await.unwrap();
    assert_eq!((events.len(), &events[0].by), (1, &by(NOW)));
    assert_eq!(events[0].deed.subject, file.id.as_str());
}

pub async fn go_when_their_time_is_over(store: &dyn JobRepository) {
    let stranger = TenantId::new("stranger").unwrap();
    let (old, interrupted) = (uploaded(1, 7), uploaded(2, 0));
    let young = UploadedFile { expires_at: LATER.plus_ms(1), ..uploaded(3, 7) };
    let theirs = UploadedFile { tenant: stranger, ..uploaded(4, 7) };
    put(store, &old).await;
    put(store, &young).await;
    put(store, &theirs).await;
    store.begin_file(&interrupted, &ROOM_FOR_FILES).await.unwrap();
    assert!(retired(store, NOW).await.is_empty());
    assert_eq!(retired(store, LATER).await, going(&[&old, &interrupted, &theirs]), "of all tenants");
    assert_eq!(ids(store).await, [young.id]);
    let late = store.complete_file(&interrupted, &ROOM_FOR_FILES, &by(LATER)).await;
    assert_eq!(told(late), "not-found", "an upload that took too long");
    let removals = AuditFilter { action: Some(AuditAction::FileRemoved), ..AuditFilter::default() };
    let events = store.audit(&tenant(), &removals).await.unwrap();
    let by: Vec<_> = events.iter().map(|event| event.by.clone()).collect();
    assert_eq!(by, [Actor::stepbox(LATER)], "what was never complete is no file");
}

/// Neither a person nor the time removes a file that something still needs.
pub async fn are_kept_while_something_names_them(store: &dyn JobRepository) {
    let (of_instance, of_execution) = (uploaded(1, 7), uploaded(2, 7));
    let names = |file: &UploadedFile| json!({"source": {"type": "upload", "id": file.id.as_str()}});
    put(store, &of_instance).await;
    put(store, &of_execution).await;
    with_instance(store).await;
    let weekly = JobInstance { raw_parameters: names(&of_instance), ..instance("weekly") };
    store.create_instance(&weekly, &by(NOW)).await.unwrap();
    let new = NewJobExecution { parameters: names(&of_execution), ..new("nightly") };
    let (execution, _) = store.create_execution(&new, None).await.unwrap();

    let error = store.retire_file(&tenant(), &of_instance.id, &by(NOW)).await.unwrap_err();
    let expected = format!("the file `{}` is used by instance `weekly`", of_instance.id);
    assert_eq!(error.to_string(), expected);
    let error = store.retire_file(&tenant(), &of_execution.id, &by(NOW)).await.unwrap_err();
    let user = format!("execution {}", execution.id);
    assert_eq!(error.to_string(), format!("the file `{}` is used by {user}", of_execution.id));
    assert!(retired(store, LATER).await.is_empty());

    store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert_eq!(retired(store, LATER).await, going(&[&of_execution]));
    store.delete_instance(&tenant(), &code("weekly"), None, &by(NOW)).await.unwrap();
    store.retire_file(&tenant(), &of_instance.id, &by(NOW)).await.unwrap();
}
