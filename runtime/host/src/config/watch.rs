//! The operator's files, looked at again while an installation is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepbox_batch::name::TenantId;

use super::error::{ConfigError, ConfigWarning};
use super::policy_file::POLICY_FILE;
use super::policy_files::{PolicyFiles, TenantConfig};
use super::stamp::{ReadFrom, Stamp};
use crate::stepbox::Stepbox;
use crate::tenants::TenantStanding;

/// Which tenants a process serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// These, whether or not they have a file of their own.
    Named(Vec<TenantId>),
    /// The default tenant, and all that have a file of their own at the moment.
    All,
}

/// Something that changed in the operator's files, and what became of it.
#[derive(Debug)]
pub enum PolicyEvent {
    /// A tenant goes by another policy from now on, or is new. What its running steps began with stays theirs.
    Changed {
        /// Which one.
        tenant: TenantId,
        /// Whether it was not there before.
        is_new: bool,
        /// Whether nothing of it begins from now on.
        is_suspended: bool,
        /// What cannot be used now.
        warnings: Vec<ConfigWarning>,
    },
    /// A tenant's file is gone, and the process does not serve it any more. What ran of it rests as PAUSED.
    Removed {
        /// Which one.
        tenant: TenantId,
        /// How many of its executions ran here.
        running: usize,
    },
    /// What is written for a tenant cannot be used. It keeps the policy that it had.
    Refused {
        /// Which one; `None` for all.
        tenant: Option<TenantId>,
        /// Why.
        error: ConfigError,
    },
    /// A setting of the whole process changed, and counts from the next start on.
    CountsAtNextStart,
}

/// Keeps the tenants of an installation as the operator's files say.
#[derive(Debug)]
pub struct PolicyWatch {
    stepbox: Stepbox,
    served: Served,
    /// As they were at the start.
    at_start: Arc<PolicyFiles>,
    seen: BTreeMap<TenantId, Seen>,
    /// What changed at the last look. It counts once it is the same at the next one: programs write a file in several
    /// pieces.
    pending: BTreeMap<TenantId, ReadFrom>,
    listing_failed: bool,
    /// The state of `policy.yaml` that was compared with the start's last.
    common: Stamp,
}

/// What was read of a tenant last.
#[derive(Debug, Default)]
struct Seen {
    files: ReadFrom,
    is_served: bool,
}

/// What a look at the files found.
struct Look {
    /// The tenants that are served.
    wanted: Result<Vec<TenantId>, ConfigError>,
    /// Those of which something changed.
    found: Vec<Found>,
    common: Stamp,
    /// Whether a setting of the whole process changed.
    counts_at_next_start: bool,
}

/// What a look at the files found of a tenant.
struct Found {
    tenant: TenantId,
    files: ReadFrom,
    config: Result<TenantConfig, ConfigError>,
}

impl PolicyWatch {
    /// Begins with what an installation was opened with: the files, and what each of its tenants was read from.
    pub fn new(
        stepbox: Stepbox,
        files: PolicyFiles,
        served: Served,
        tenants: impl IntoIterator<Item = (TenantId, ReadFrom)>,
    ) -> Self {
        let seen = tenants.into_iter().map(|(tenant, files)| (tenant, Seen { files, is_served: true }));
        Self {
            stepbox,
            served,
            seen: seen.collect(),
            pending: BTreeMap::new(),
            listing_failed: false,
            common: files.common_stamp().clone(),
            at_start: Arc::new(files),
        }
    }

    /// Looks at the files, and carries out what changed before the last look. To be called about once a second; a look
    /// that finds no change reads no file.
    pub async fn look(&mut self) -> Vec<PolicyEvent> {
        let seen: BTreeMap<_, _> =
            self.seen.iter().map(|(tenant, seen)| (tenant.clone(), seen.files.clone())).collect();
        let (files, served, common) = (self.at_start.clone(), self.served.clone(), self.common.clone());
        // A file system that hangs holds up no other work.
        let look = tokio::task::spawn_blocking(move || Look::at(&files, &served, &seen, &common)).await;
        let Ok(Look { wanted, found, common, counts_at_next_start }) = look else { return Vec::new() };
        self.common = common;
        let mut events = Vec::new();
        match wanted {
            Ok(wanted) => {
                self.listing_failed = false;
                events.extend(self.remove_all_but(&wanted));
            }
            Err(error) if !self.listing_failed => {
                self.listing_failed = true;
                events.push(PolicyEvent::Refused { tenant: None, error });
            }
            Err(_) => {}
        }
        let pending = std::mem::take(&mut self.pending);
        for found in found {
            match pending.get(&found.tenant) == Some(&found.files) {
                true => events.push(self.carry_out(found)),
                false => drop(self.pending.insert(found.tenant, found.files)),
            }
        }
        events.extend(counts_at_next_start.then_some(PolicyEvent::CountsAtNextStart));
        events
    }

    fn carry_out(&mut self, Found { tenant, files, config }: Found) -> PolicyEvent {
        let seen = self.seen.entry(tenant.clone()).or_default();
        seen.files = files;
        let set = config.and_then(|config| {
            for path in config.named.iter().chain([&config.file]) {
                self.stepbox.keep_file(path)?;
            }
            let standing = match config.is_suspended {
                true => TenantStanding::Suspended,
                false => TenantStanding::Active,
            };
            self.stepbox.set_tenant_as(&tenant, config.policy, Some(standing))?;
            Ok((config.is_suspended, config.warnings))
        });
        match set {
            Ok((is_suspended, warnings)) => {
                let is_new = !std::mem::replace(&mut seen.is_served, true);
                PolicyEvent::Changed { tenant, is_new, is_suspended, warnings }
            }
            Err(error) => PolicyEvent::Refused { tenant: Some(tenant), error },
        }
    }

    fn remove_all_but(&mut self, wanted: &[TenantId]) -> Vec<PolicyEvent> {
        let gone: Vec<_> = self.seen.keys().filter(|tenant| !wanted.contains(tenant)).cloned().collect();
        let remove = |tenant: TenantId| {
            self.seen.remove(&tenant);
            let running = self.stepbox.remove_tenant(&tenant).ok()?;
            Some(PolicyEvent::Removed { tenant, running })
        };
        gone.into_iter().filter_map(remove).collect()
    }
}

impl Look {
    fn at(files: &PolicyFiles, served: &Served, seen: &BTreeMap<TenantId, ReadFrom>, common: &Stamp) -> Self {
        let wanted = served_tenants(files, served);
        let changed = |tenant: &&TenantId| match seen.get(tenant) {
            Some(files) => files.0.iter().any(|(path, before)| Stamp::of(path, Some(before)) != *before),
            None => true,
        };
        let known: Vec<_> = seen.keys().cloned().collect();
        let changed: Vec<_> = wanted.as_ref().unwrap_or(&known).iter().filter(changed).cloned().collect();
        let nothing = ReadFrom::default();
        let found = |tenant: TenantId| {
            let (files, config) = read(files, &tenant, seen.get(&tenant).unwrap_or(&nothing));
            Found { tenant, files, config }
        };
        let found = changed.into_iter().map(found).collect();
        let now = Stamp::of(&files.data_dir().join(POLICY_FILE), Some(common));
        let is_other = |again: PolicyFiles| again.differs_for_process(files);
        let counts_at_next_start = now != *common && files.again().is_ok_and(is_other);
        Self { wanted, found, common: now, counts_at_next_start }
    }
}

/// Reads what the files say of a tenant now, and tells what it was read from. If the files are wrong, a change of any file
/// that was read before, or would have been, is worth another look.
fn read(
    files: &PolicyFiles,
    tenant: &TenantId,
    before: &ReadFrom,
) -> (ReadFrom, Result<TenantConfig, ConfigError>) {
    let own = files.file_of(tenant);
    let has_own = own.exists();
    let common = (!has_own).then(|| files.data_dir().join(POLICY_FILE));
    let paths = before.0.keys().cloned().chain([own]).chain(common);
    let stamps = paths.map(|path| (path.clone(), Stamp::of(&path, None))).collect();
    let config = match has_own {
        // A mistake in the common file is none of this tenant's.
        true => files.tenant(tenant),
        false => files.again().and_then(|again| again.tenant(tenant)),
    };
    (config.as_ref().map_or(ReadFrom(stamps), |config| config.read_from.clone()), config)
}

/// The tenants that a process serves at the moment.
fn served_tenants(files: &PolicyFiles, served: &Served) -> Result<Vec<TenantId>, ConfigError> {
    match served {
        Served::Named(tenants) => Ok(tenants.clone()),
        Served::All => files.all_tenants(),
    }
}
