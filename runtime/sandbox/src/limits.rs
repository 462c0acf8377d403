//! How much a step may use. Every limit has a default, and no limit can be switched off.

use stepbox_batch::job::LimitOverrides;

/// How much a step's components may use.
///
/// A limit on "the step's components" counts for all components that share a [`Usage`](crate::Usage). The
/// other limits apply to each component separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The memory of one component, in bytes: all its memories and tables, and what the host keeps for it
    /// (streams, listings, requests and answers in progress). A component that asks for more memory of its
    /// own is ended, because most programs cannot handle the refusal.
    pub memory_bytes_max: u64,
    /// How long one call of a reader, processor or writer may take on the clock, in milliseconds.
    ///
    /// Reaching it ends the step, not the item: after an interrupt the component's memory cannot be trusted.
    pub call_ms_max: u64,
    /// How long a tasklet may take in total on the clock, in milliseconds.
    pub tasklet_ms_max: u64,
    /// How much processor time the step's components may use together, in milliseconds. Work that they cause
    /// in the host counts as well.
    pub cpu_ms_max: u64,
    /// How long a component may continue after a stop was requested, in milliseconds. Then it is ended.
    pub stop_grace_ms: u64,
    /// How much the step's components may write to files, in bytes. Removing a file gives nothing back: the
    /// limit bounds the work of the disk, not only its space.
    pub disk_bytes_max: u64,
    /// How many files and folders the step's components may create.
    pub disk_files_max: u64,
    /// How many files, requests and answers one component may have open.
    pub open_handles_max: u64,
    /// How much the step's components may log, standard output included, in bytes; each message counts 64
    /// bytes more. At the limit one line says so and the rest is dropped; the step continues.
    pub log_bytes_max: u64,
    /// How many HTTP requests the step's components may send.
    pub http_requests_max: u64,
    /// The maximum size of one body of a request or an answer, in bytes.
    pub http_body_bytes_max: u64,
    /// The maximum of all requests and answers of the step's components together, heads and bodies, in bytes.
    pub http_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            call_ms_max: 60_000,
            tasklet_ms_max: 3_600_000,
            cpu_ms_max: 86_400_000,
            stop_grace_ms: 5_000,
            disk_bytes_max: 1 << 30,
            disk_files_max: 10_000,
            open_handles_max: 64,
            log_bytes_max: 4 << 20,
            http_requests_max: 10_000,
            http_body_bytes_max: 64 << 20,
            http_bytes_max: 10 << 30,
        }
    }
}

impl Limits {
    /// The limits of `describe` when a component is uploaded: very small.
    pub(crate) fn for_describe() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            call_ms_max: 1_000,
            tasklet_ms_max: 1_000,
            cpu_ms_max: 1_000,
            stop_grace_ms: 0,
            disk_bytes_max: 0,
            disk_files_max: 0,
            open_handles_max: 8,
            log_bytes_max: 64 << 10,
            http_requests_max: 0,
            http_body_bytes_max: 0,
            http_bytes_max: 0,
        }
    }

    /// The limits of a question about a form: a person waits for the answer.
    pub(crate) fn for_form() -> Self {
        Self { call_ms_max: 5_000, tasklet_ms_max: 5_000, cpu_ms_max: 500, ..Self::for_describe() }
    }
}

impl Limits {
    /// Lowers each limit to the operator's maximum, if the operator sets one.
    #[must_use]
    pub fn at_most(self, max: &LimitOverrides) -> Self {
        let least = |limit: u64, max: Option<u64>| max.map_or(limit, |max| limit.min(max));
        Self {
            memory_bytes_max: least(self.memory_bytes_max, max.memory_bytes_max),
            call_ms_max: least(self.call_ms_max, max.time_ms_max),
            tasklet_ms_max: least(self.tasklet_ms_max, max.time_ms_max),
            cpu_ms_max: least(self.cpu_ms_max, max.cpu_ms_max),
            disk_bytes_max: least(self.disk_bytes_max, max.disk_bytes_max),
            log_bytes_max: least(self.log_bytes_max, max.log_bytes_max),
            http_requests_max: least(self.http_requests_max, max.http_requests_max),
            http_bytes_max: least(self.http_bytes_max, max.http_bytes_max),
            ..self
        }
    }
}

/// The defaults, for every limit that a job does not set.
impl From<LimitOverrides> for Limits {
    fn from(overrides: LimitOverrides) -> Self {
        let default = Self::default();
        Self {
            memory_bytes_max: overrides.memory_bytes_max.unwrap_or(default.memory_bytes_max),
            call_ms_max: overrides.time_ms_max.unwrap_or(default.call_ms_max),
            tasklet_ms_max: overrides.time_ms_max.unwrap_or(default.tasklet_ms_max),
            cpu_ms_max: overrides.cpu_ms_max.unwrap_or(default.cpu_ms_max),
            disk_bytes_max: overrides.disk_bytes_max.unwrap_or(default.disk_bytes_max),
            log_bytes_max: overrides.log_bytes_max.unwrap_or(default.log_bytes_max),
            http_requests_max: overrides.http_requests_max.unwrap_or(default.http_requests_max),
            http_bytes_max: overrides.http_bytes_max.unwrap_or(default.http_bytes_max),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_changes_what_it_names_and_keeps_the_rest() {
        assert_eq!(Limits::from(LimitOverrides::default()), Limits::default());
        let overrides = LimitOverrides { time_ms_max: Some(7), ..LimitOverrides::default() };
        let limits = Limits::from(overrides);
        assert_eq!((limits.call_ms_max, limits.tasklet_ms_max), (7, 7));
        assert_eq!(limits.memory_bytes_max, 256 << 20);
    }

    #[test]
    fn the_operator_cuts_down_what_a_job_asks_for_and_its_defaults() {
        let asked = LimitOverrides { cpu_ms_max: Some(50), http_requests_max: Some(3), ..Default::default() };
        let max = LimitOverrides {
            time_ms_max: Some(100_000),
            cpu_ms_max: Some(40),
            http_requests_max: Some(9),
            ..LimitOverrides::default()
        };
        let limits = Limits::from(asked).at_most(&max);
        assert_eq!((limits.call_ms_max, limits.tasklet_ms_max), (60_000, 100_000));
        assert_eq!((limits.cpu_ms_max, limits.http_requests_max), (40, 3));
        assert_eq!(limits.disk_bytes_max, 1 << 30);
    }
}
