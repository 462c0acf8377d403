//! The budget of a step: how much of its limits its components have used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

use crate::limits::Limits;

/// The number of file descriptors that is assumed if the system sets no limit for the process.
const DESCRIPTORS: u64 = 1 << 16;

/// What the components of a step have used together.
///
/// Cheap to clone; all clones share the same counters.
#[derive(Debug, Clone, Default)]
pub struct Usage(Arc<Used>);

#[derive(Debug, Default)]
struct Used {
    cpu_us: AtomicU64,
    disk_bytes: AtomicU64,
    disk_files: AtomicU64,
    log_bytes: AtomicU64,
    http_requests: AtomicU64,
    http_bytes: AtomicU64,
    /// The part of the tenant's disk that the execution uses; `None` if it runs for no tenant.
    disk: Option<ExecutionDisk>,
}

impl Usage {
    /// An unused budget.
    ///
    /// Files that the step writes count as well for the execution's part of its tenant's disk.
    pub fn on(disk: &ExecutionDisk) -> Self {
        Self(Arc::new(Used { disk: Some(disk.clone()), ..Used::default() }))
    }
}

/// What the running executions of a tenant may have written together.
#[derive(Debug)]
pub(crate) struct TenantDisk {
    bytes_max: AtomicU64,
    files_max: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
}

impl TenantDisk {
    pub(crate) fn new(bytes_max: u64, files_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max: AtomicU64::new(bytes_max),
            files_max: AtomicU64::new(files_max),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
        })
    }

    /// Sets the limits for files. Files that are already written stay.
    pub(crate) fn set_max(&self, bytes_max: u64, files_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
        self.files_max.store(files_max, Ordering::Relaxed);
    }
}

/// What one execution has written, counted in the quota of its tenant.
///
/// It is given back when the execution has ended, because its working folder is deleted then. Cheap to clone;
/// all clones share the same counters.
#[derive(Debug, Clone)]
pub struct ExecutionDisk(Arc<Written>);

#[derive(Debug)]
struct Written {
    tenant: Arc<TenantDisk>,
    bytes: AtomicU64,
    files: AtomicU64,
}

impl ExecutionDisk {
    pub(crate) fn new(tenant: Arc<TenantDisk>) -> Self {
        Self(Arc::new(Written { tenant, bytes: AtomicU64::new(0), files: AtomicU64::new(0) }))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.tenant.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
        self.tenant.files.fetch_sub(*self.files.get_mut(), Ordering::Relaxed);
    }
}

/// What one component may still use of the budget that its step's components share.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// Processor time.
    pub(crate) cpu: CpuTime,
    /// Bytes written to files. Removing a file gives nothing back.
    pub(crate) disk_bytes: Allowance,
    /// Files and folders created.
    pub(crate) disk_files: Allowance,
    /// Bytes logged.
    pub(crate) log_bytes: Allowance,
    /// HTTP requests sent.
    pub(crate) http_requests: Allowance,
    /// Bytes of requests and answers, heads and bodies together.
    pub(crate) http_bytes: Allowance,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, usage: &Usage) -> Self {
        let allow = |limit, what, max, counter| Allowance {
            limit,
            what,
            max,
            usage: usage.clone(),
            counter,
            of_tenant: None,
        };
        let disk_bytes =
            allow("limits.disk_bytes_max", "bytes written to files", limits.disk_bytes_max, |used| {
                &used.disk_bytes
            });
        let disk_files =
            allow("limits.disk_files_max", "files and folders created", limits.disk_files_max, |used| {
                &used.disk_files
            });
        Self {
            cpu: CpuTime { ms_max: limits.cpu_ms_max, usage: usage.clone() },
            disk_bytes: disk_bytes.within(OfTenant {
                limit: "disk_bytes_max",
                max: |disk| disk.bytes_max.load(Ordering::Relaxed),
                of_execution: |written| &written.bytes,
                of_all: |disk| &disk.bytes,
            }),
            disk_files: disk_files.within(OfTenant {
                limit: "disk_files_max",
                max: |disk| disk.files_max.load(Ordering::Relaxed),
                of_execution: |written| &written.files,
                of_all: |disk| &disk.files,
            }),
            log_bytes: allow("limits.log_bytes_max", "bytes logged", limits.log_bytes_max, |used| {
                &used.log_bytes
            }),
            http_requests: allow(
                "limits.http_requests_max",
                "HTTP requests",
                limits.http_requests_max,
                |used| &used.http_requests,
            ),
            http_bytes: allow(
                "limits.http_bytes_max",
                "bytes in requests and answers",
                limits.http_bytes_max,
                |used| &used.http_bytes,
            ),
        }
    }
}

/// An amount of processor time. It is counted after it is used, so a component can exceed it until the next
/// tick.
#[derive(Debug, Clone)]
pub(crate) struct CpuTime {
    pub(crate) ms_max: u64,
    usage: Usage,
}

impl CpuTime {
    pub(crate) fn computed(&self, us: u64) {
        self.usage.0.cpu_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.usage.0.cpu_us.load(Ordering::Relaxed) >= self.ms_max.saturating_mul(1000)
    }
}

/// An amount of one resource that a step may use at most.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    limit: &'static str,
    what: &'static str,
    max: u64,
    usage: Usage,
    counter: fn(&Used) -> &AtomicU64,
    of_tenant: Option<OfTenant>,
}

/// The counters of the same resource for all executions of the tenant.
#[derive(Debug, Clone, Copy)]
struct OfTenant {
    limit: &'static str,
    max: fn(&TenantDisk) -> u64,
    of_execution: fn(&Written) -> &AtomicU64,
    of_all: fn(&TenantDisk) -> &AtomicU64,
}

/// The rest of an allowance is smaller than the requested amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("over {whose} of {max} {what} (`{limit}`)")]
pub(crate) struct OverLimit {
    /// `the limit` of the step, or `the tenant's quota`.
    pub(crate) whose: &'static str,
    pub(crate) limit: &'static str,
    pub(crate) what: &'static str,
    pub(crate) max: u64,
}

impl OverLimit {
    fn of_step(limit: &'static str, what: &'static str, max: u64) -> Self {
        Self { whose: "the limit", limit, what, max }
    }
}

impl Allowance {
    fn within(self, of_tenant: OfTenant) -> Self {
        Self { of_tenant: Some(of_tenant), ..self }
    }

    /// Takes `amount`, or nothing if less than `amount` is left.
    pub(crate) fn take(&self, amount: u64) -> Result<(), OverLimit> {
        let used = (self.counter)(&self.usage.0);
        add(used, amount, self.max).ok_or(OverLimit::of_step(self.limit, self.what, self.max))?;
        let Some((tenant, disk)) = self.tenant() else { return Ok(()) };
        let max = (tenant.max)(&disk.0.tenant);
        if add((tenant.of_all)(&disk.0.tenant), amount, max).is_none() {
            used.fetch_sub(amount, Ordering::Relaxed);
            return Err(OverLimit { whose: "the tenant's quota", limit: tenant.limit, what: self.what, max });
        }
        (tenant.of_execution)(&disk.0).fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back an amount that was taken and not used.
    pub(crate) fn give_back(&self, amount: u64) {
        (self.counter)(&self.usage.0).fetch_sub(amount, Ordering::Relaxed);
        if let Some((tenant, disk)) = self.tenant() {
            (tenant.of_execution)(&disk.0).fetch_sub(amount, Ordering::Relaxed);
            (tenant.of_all)(&disk.0.tenant).fetch_sub(amount, Ordering::Relaxed);
        }
    }

    fn tenant(&self) -> Option<(&OfTenant, &ExecutionDisk)> {
        self.of_tenant.as_ref().zip(self.usage.0.disk.as_ref())
    }
}

/// Adds `amount` if the sum stays within `max`; otherwise adds nothing and returns `None`.
fn add(used: &AtomicU64, amount: u64, max: u64) -> Option<u64> {
    let fits = |used: u64| used.checked_add(amount).filter(|&sum| sum <= max);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()
}

/// The open files, requests and answers of one component. Each also counts for the tenant and for the whole
/// process, because each takes a file descriptor, which all steps of the process share. Cheap to clone; all
/// clones share the same counter.
#[derive(Debug, Clone)]
pub(crate) struct Handles(Arc<OpenHandles>);

#[derive(Debug)]
struct OpenHandles {
    limit: &'static str,
    max: u64,
    open: AtomicU64,
    /// The larger group that these handles count for as well; `None` for those of the process.
    whole: Option<Handles>,
}

/// One open handle. The owner of the open thing holds it, and dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Handle {
    of: Handles,
    /// Whether the handle takes a file descriptor, and so counts for the larger groups as well.
    has_descriptor: bool,
}

impl Handles {
    /// The handles of all components of the process: half of its file descriptors. The other half is for
    /// stores, logs, folders and connections; without these no step could continue.
    pub(crate) fn of_process() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS);
        Self::of_many("half of ulimit -n", descriptors / 2, None)
    }

    /// The handles of one tenant: half of what all components have, so that other tenants always find some
    /// free.
    pub(crate) fn of_tenant(&self) -> Self {
        Self::of_many("a quarter of ulimit -n, for one tenant", self.0.max / 2, Some(self))
    }

    /// The handles of one component.
    pub(crate) fn of_component(&self, limits: &Limits) -> Self {
        Self::of_many("limits.open_handles_max", limits.open_handles_max, Some(self))
    }

    fn of_many(limit: &'static str, max: u64, whole: Option<&Self>) -> Self {
        Self(Arc::new(OpenHandles { limit, max, open: AtomicU64::new(0), whole: whole.cloned() }))
    }

    pub(crate) fn open(&self) -> Result<Handle, OverLimit> {
        self.take()?;
        Ok(Handle { of: self.clone(), has_descriptor: true })
    }

    /// Opens a handle for a request. The request itself takes no file descriptor. Its connection takes one,
    /// and the connection counts for the tenant separately, as long as it is open.
    pub(crate) fn open_request(&self) -> Result<Handle, OverLimit> {
        self.take_own()?;
        Ok(Handle { of: self.clone(), has_descriptor: false })
    }

    fn take(&self) -> Result<(), OverLimit> {
        self.take_own()?;
        let Some(whole) = &self.0.whole else { return Ok(()) };
        whole.take().inspect_err(|_| {
            self.0.open.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn take_own(&self) -> Result<(), OverLimit> {
        let OpenHandles { limit, max, open, .. } = &*self.0;
        add(open, 1, *max).ok_or(OverLimit::of_step(limit, "open handles", *max)).map(drop)
    }

    fn give_back(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(whole) = &self.0.whole {
            whole.give_back();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        match self.has_descriptor {
            true => self.of.give_back(),
            false => drop(self.of.0.open.fetch_sub(1, Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_all_or_nothing_up_to_the_limit() {
        let limits = Limits { disk_bytes_max: 10, ..Limits::default() };
        let bytes = Budget::new(&limits, &Usage::default()).disk_bytes;
        assert!(bytes.take(6).is_ok());
        let error = bytes.take(5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "over the limit of 10 bytes written to files (`limits.disk_bytes_max`)"
        );
        assert!(bytes.take(4).is_ok());
        assert!(bytes.take(u64::MAX).is_err(), "a sum past 64 bits is too much as well");
        bytes.give_back(1);
        assert!(bytes.take(1).is_ok());
    }

    #[test]
    fn components_of_one_step_share_what_they_use() {
        let (limits, usage) = (Limits { http_requests_max: 1, ..Limits::default() }, Usage::default());
        let (first, second) = (Budget::new(&limits, &usage), Budget::new(&limits, &usage));
        assert!(first.http_requests.take(1).is_ok());
        assert!(second.http_requests.take(1).is_err());
    }

    #[test]
    fn what_a_tenants_executions_write_counts_until_they_end() {
        let (tenant, limits) = (TenantDisk::new(10, 1), Limits { disk_bytes_max: 8, ..Limits::default() });
        let execution = || ExecutionDisk::new(tenant.clone());
        let budget = |disk: &ExecutionDisk| Budget::new(&limits, &Usage::on(disk));
        let (first, second) = (execution(), execution());
        let of_first = budget(&first);
        assert!(of_first.disk_bytes.take(8).is_ok());
        assert!(of_first.disk_files.take(1).is_ok());
        let of_second = budget(&second);
        let error = of_second.disk_bytes.take(3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "over the tenant's quota of 10 bytes written to files (`disk_bytes_max`)"
        );
        assert!(of_second.disk_bytes.take(2).is_ok(), "what was refused took nothing");
        of_second.disk_bytes.give_back(2);
        assert!(of_second.disk_files.take(1).is_err());
        drop((of_first, first));
        assert!(of_second.disk_bytes.take(8).is_ok());
        assert!(of_second.disk_files.take(1).is_ok());
    }

    #[test]
    fn the_time_of_a_steps_components_counts_as_one() {
        let (limits, usage) = (Limits { cpu_ms_max: 2, ..Limits::default() }, Usage::default());
        let (first, second) = (Budget::new(&limits, &usage).cpu, Budget::new(&limits, &usage).cpu);
        first.computed(1_999);
        assert!(!second.is_used_up());
        second.computed(1);
        assert!(first.is_used_up());
    }

    #[test]
    fn a_closed_handle_makes_room_for_another() {
        let all = Handles::of_many("the process", 2, None);
        let limits = Limits { open_handles_max: 1, ..Limits::default() };
        let handles = all.of_component(&limits);
        let first = handles.open().unwrap();
        assert!(handles.open().is_err());
        drop(first);
        assert!(handles.open().is_ok());
    }

    #[test]
    fn the_handles_of_many_components_are_counted_together() {
        let process = Handles::of_many("the process", 4, None);
        let (tenant, other) = (process.of_tenant(), process.of_tenant());
        let component = || tenant.of_component(&Limits::default());
        let held = [component().open().unwrap(), component().open().unwrap()];
        let error = component().open().unwrap_err();
        let text = "over the limit of 2 open handles (`a quarter of ulimit -n, for one tenant`)";
        assert_eq!(error.to_string(), text);
        let _others = [other.open().unwrap(), other.open().unwrap()];
        assert_eq!(process.open().unwrap_err().limit, "the process");
        drop(held);
        let requests: Vec<_> = (0..3).map(|_| component().open_request().unwrap()).collect();
        let held = [component().open().unwrap(), component().open().unwrap()];
        drop(requests);
        assert!(component().open().is_err(), "a request has given back nothing of the tenant's");
        drop(held);
        assert!(component().open().is_ok() && process.open().is_ok(), "what was refused took nothing");
    }
}
