//! The schema's versions: numbered files, run once each.

/// In order; the version of a schema is how many of these files were run. A released file is never changed; changes
/// are new files.
pub(super) const MIGRATIONS: [&str; 11] = [
    include_str!("../../migrations/postgres/0001_first.sql"),
    include_str!("../../migrations/postgres/0002_set_aside.sql"),
    include_str!("../../migrations/postgres/0003_lists.sql"),
    include_str!("../../migrations/postgres/0004_installation.sql"),
    include_str!("../../migrations/postgres/0005_remedies.sql"),
    include_str!("../../migrations/postgres/0006_events.sql"),
    include_str!("../../migrations/postgres/0007_access.sql"),
    include_str!("../../migrations/postgres/0008_versions.sql"),
    include_str!("../../migrations/postgres/0009_pauses.sql"),
    include_str!("../../migrations/postgres/0010_uploads.sql"),
    include_str!("../../migrations/postgres/0011_tracker.sql"),
];

/// The version that this program reads and writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;
