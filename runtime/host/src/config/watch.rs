//! Reads the operator's files again while an installation is open.

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
    /// These tenants, whether or not they have a file of their own.
    Named(Vec<TenantId>),
    /// The default tenant, and all tenants that have a file of their own at the moment.
    All,
}

/// A change in the operator's files, and its result.
#[derive(Debug)]
pub enum PolicyEvent {
    /// A tenant has a new policy, or is new.
    ///
    /// Steps that are running keep the policy that they began with.
    Changed {
        /// The tenant.
        tenant: TenantId,
        /// Whether the tenant was not served before.
        is_new: bool,
        /// Whether no execution of the tenant may begin from now on.
        is_suspended: bool,
        /// What cannot be used now.
        warnings: Vec<ConfigWarning>,
    },
    /// A tenant's file was removed, and the process no longer serves the tenant.
    ///
    /// Its running executions become PAUSED.
    Removed {
        /// The tenant.
        tenant: TenantId,
        /// How many of its executions were running in this process.
        running: usize,
    },
    /// The settings for a tenant cannot be used.
    ///
    /// The tenant keeps its earlier policy.
    Refused {
        /// The tenant; `None` for all tenants.
        tenant: Option<TenantId>,
        /// The reason.
        error: ConfigError,
    },
    /// A setting of the whole process changed.
    ///
    /// It applies from the next start on.
    CountsAtNextStart,
}

/// Keeps the tenants of an installation up to date with the operator's files.
#[derive(Debug)]
pub struct PolicyWatch {
    stepbox: Stepbox,
    served: Served,
    /// The files as they were at the start.
    at_start: Arc<PolicyFiles>,
    seen: BTreeMap<TenantId, Seen>,
    /// The changes that the last look found. A change is applied if the next look finds the same state,
    /// because programs write a file in several pieces.
    pending: BTreeMap<TenantId, ReadFrom>,
    listing_failed: bool,
    /// The state of `policy.yaml` that was last compared with the state at the start.
    common: Stamp,
}

/// The last state that was read for a tenant.
#[derive(Debug, Default)]
struct Seen {
    files: ReadFrom,
    is_served: bool,
}

/// The result of one look at the files.
struct Look {
    /// The tenants that should be served.
    wanted: Result<Vec<TenantId>, ConfigError>,
    /// The tenants whose files changed.
    found: Vec<Found>,
    common: Stamp,
    /// Whether a setting of the whole process changed.
    counts_at_next_start: bool,
}

/// The result of one look at the files of a tenant.
struct Found {
    tenant: TenantId,
    files: ReadFrom,
    config: Result<TenantConfig, ConfigError>,
}

impl PolicyWatch {
    /// Starts from the state at the opening of an installation: the files, and the files that each tenant was
    /// read from.
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

    /// Looks at the files, and applies the changes that the look before already found.
    ///
    /// Call this about once a second. A look that finds no change reads no file.
    pub async fn look(&mut self) -> Vec<PolicyEvent> {
        let seen: BTreeMap<_, _> =
            self.seen.iter().map(|(tenant, seen)| (tenant.clone(), seen.files.clone())).collect();
        let (files, served, common) = (self.at_start.clone(), self.served.clone(), self.common.clone());
        // On another thread, so that a file system that hangs does not delay other work.
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

/// Reads the current settings of a tenant, and returns the files that they were read from. If the files are
/// wrong, a later change of any file that was read, or would have been read, causes another look.
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
        // A mistake in the common file does not affect a tenant with a file of its own.
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
