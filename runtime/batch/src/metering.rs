//! Counts the resources of the machine that a step uses, for the tenant that pays for them.
//!
//! Elements count while they work; nothing in this file limits anything. The usage belongs to one step execution: a
//! restart begins at zero, a pause continues to count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::counters::Tally;

/// The resources that a step execution has used.
///
/// In JSON, a missing field is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceUsage {
    /// Processor time of its components, in microseconds, including the work of the host that they caused.
    pub cpu_us: u64,
    /// The most memory that its components had at one time, all together, in bytes.
    pub memory_bytes_peak: u64,
    /// How often its components called the host.
    pub host_calls: u64,
    /// Files opened for reading.
    pub files_read: u64,
    /// Bytes read from files.
    pub file_bytes_read: u64,
    /// Files opened for writing.
    pub files_written: u64,
    /// Bytes written to files.
    pub file_bytes_written: u64,
    /// HTTP requests sent.
    pub http_requests: u64,
    /// Bytes of the requests' heads and bodies.
    pub http_bytes_sent: u64,
    /// Bytes of the answers' heads and bodies.
    pub http_bytes_received: u64,
    /// HTTP requests that a grant, the policy or their address refused.
    pub http_requests_refused: u64,
    /// Accesses to files that a grant refused, or that led out of one.
    pub file_accesses_refused: u64,
    /// Messages that were dropped because the step's log was full.
    pub log_messages_dropped: u64,
}

impl ResourceUsage {
    /// The usage since `earlier`; the peak is the peak of the whole time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu_us: self.cpu_us.saturating_sub(earlier.cpu_us),
            memory_bytes_peak: self.memory_bytes_peak,
            host_calls: self.host_calls.saturating_sub(earlier.host_calls),
            files_read: self.files_read.saturating_sub(earlier.files_read),
            file_bytes_read: self.file_bytes_read.saturating_sub(earlier.file_bytes_read),
            files_written: self.files_written.saturating_sub(earlier.files_written),
            file_bytes_written: self.file_bytes_written.saturating_sub(earlier.file_bytes_written),
            http_requests: self.http_requests.saturating_sub(earlier.http_requests),
            http_bytes_sent: self.http_bytes_sent.saturating_sub(earlier.http_bytes_sent),
            http_bytes_received: self.http_bytes_received.saturating_sub(earlier.http_bytes_received),
            http_requests_refused: self.http_requests_refused.saturating_sub(earlier.http_requests_refused),
            file_accesses_refused: self.file_accesses_refused.saturating_sub(earlier.file_accesses_refused),
            log_messages_dropped: self.log_messages_dropped.saturating_sub(earlier.log_messages_dropped),
        }
    }
}

/// Counts the resources that a running step uses.
///
/// Several elements may count at the same time.
#[derive(Debug, Default)]
pub struct Metering {
    earlier: ResourceUsage,
    cpu_us: AtomicU64,
    memory_bytes: AtomicU64,
    memory_bytes_peak: AtomicU64,
    host_calls: AtomicU64,
    files_read: AtomicU64,
    file_bytes_read: AtomicU64,
    files_written: AtomicU64,
    file_bytes_written: AtomicU64,
    http_requests: AtomicU64,
    http_bytes_sent: AtomicU64,
    http_bytes_received: AtomicU64,
    http_requests_refused: AtomicU64,
    file_accesses_refused: AtomicU64,
    log_messages_dropped: AtomicU64,
    tally: Arc<Tally>,
}

impl Metering {
    /// Continues from what the same execution had used before it was paused, and counts for its tenant as well.
    pub fn going_on_from(earlier: ResourceUsage, tally: Arc<Tally>) -> Self {
        Self { earlier, tally, ..Self::default() }
    }

    /// Counts the limits and refusals that the tenant's steps run into.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The usage so far.
    pub fn usage(&self) -> ResourceUsage {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let earlier = &self.earlier;
        ResourceUsage {
            cpu_us: earlier.cpu_us + now(&self.cpu_us),
            memory_bytes_peak: earlier.memory_bytes_peak.max(now(&self.memory_bytes_peak)),
            host_calls: earlier.host_calls + now(&self.host_calls),
            files_read: earlier.files_read + now(&self.files_read),
            file_bytes_read: earlier.file_bytes_read + now(&self.file_bytes_read),
            files_written: earlier.files_written + now(&self.files_written),
            file_bytes_written: earlier.file_bytes_written + now(&self.file_bytes_written),
            http_requests: earlier.http_requests + now(&self.http_requests),
            http_bytes_sent: earlier.http_bytes_sent + now(&self.http_bytes_sent),
            http_bytes_received: earlier.http_bytes_received + now(&self.http_bytes_received),
            http_requests_refused: earlier.http_requests_refused + now(&self.http_requests_refused),
            file_accesses_refused: earlier.file_accesses_refused + now(&self.file_accesses_refused),
            log_messages_dropped: earlier.log_messages_dropped + now(&self.log_messages_dropped),
        }
    }

    /// Adds what a part of the step has used elsewhere.
    ///
    /// The part may have run on another machine, so peaks of memory are not added: the higher peak counts.
    pub fn add(&self, usage: &ResourceUsage) {
        self.memory_bytes_peak.fetch_max(usage.memory_bytes_peak, Ordering::Relaxed);
        for (counter, by) in self.counters(usage) {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Subtracts what was added, because another run of the step will add it again.
    ///
    /// The peak stays.
    pub fn take_back(&self, usage: &ResourceUsage) {
        for (counter, by) in self.counters(usage) {
            counter.fetch_sub(by, Ordering::Relaxed);
        }
    }

    /// The counter of each part of a usage.
    fn counters(&self, usage: &ResourceUsage) -> [(&AtomicU64, u64); 12] {
        let ResourceUsage {
            cpu_us,
            memory_bytes_peak: _,
            host_calls,
            files_read,
            file_bytes_read,
            files_written,
            file_bytes_written,
            http_requests,
            http_bytes_sent,
            http_bytes_received,
            http_requests_refused,
            file_accesses_refused,
            log_messages_dropped,
        } = *usage;
        [
            (&self.cpu_us, cpu_us),
            (&self.host_calls, host_calls),
            (&self.files_read, files_read),
            (&self.file_bytes_read, file_bytes_read),
            (&self.files_written, files_written),
            (&self.file_bytes_written, file_bytes_written),
            (&self.http_requests, http_requests),
            (&self.http_bytes_sent, http_bytes_sent),
            (&self.http_bytes_received, http_bytes_received),
            (&self.http_requests_refused, http_requests_refused),
            (&self.file_accesses_refused, file_accesses_refused),
            (&self.log_messages_dropped, log_messages_dropped),
        ]
    }

    /// A component has computed for `us` microseconds.
    pub fn computed(&self, us: u64) {
        self.cpu_us.fetch_add(us, Ordering::Relaxed);
    }

    /// A component has called the host `calls` times.
    pub fn called_host(&self, calls: u64) {
        self.host_calls.fetch_add(calls, Ordering::Relaxed);
    }

    /// A component got `bytes` bytes more memory.
    pub fn took_memory(&self, bytes: u64) {
        let now = self.memory_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.memory_bytes_peak.fetch_max(now, Ordering::Relaxed);
    }

    /// A component that had `bytes` bytes of memory ended.
    pub fn gave_memory_back(&self, bytes: u64) {
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A file was opened for reading.
    pub fn opened_to_read(&self) {
        self.files_read.fetch_add(1, Ordering::Relaxed);
    }

    /// `bytes` bytes were read from a file.
    pub fn read_file(&self, bytes: u64) {
        self.file_bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file was opened for writing.
    pub fn opened_to_write(&self) {
        self.files_written.fetch_add(1, Ordering::Relaxed);
    }

    /// `bytes` bytes were written to a file.
    pub fn wrote_file(&self, bytes: u64) {
        self.file_bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request was sent.
    pub fn sent_request(&self) {
        self.http_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// `bytes` bytes of a request were sent, of its head or of its body.
    pub fn sent(&self, bytes: u64) {
        self.http_bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// `bytes` bytes of an answer were received, of its head or of its body.
    pub fn received(&self, bytes: u64) {
        self.http_bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request was refused.
    pub fn refused_request(&self) {
        self.http_requests_refused.fetch_add(1, Ordering::Relaxed);
        self.tally.refused_request();
    }

    /// An access to a file was refused.
    pub fn refused_file(&self) {
        self.file_accesses_refused.fetch_add(1, Ordering::Relaxed);
        self.tally.refused_file();
    }

    /// A message was dropped.
    pub fn dropped_message(&self) {
        self.log_messages_dropped.fetch_add(1, Ordering::Relaxed);
        self.tally.dropped_message();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_all_elements_at_one_time() {
        let metering = Metering::default();
        metering.took_memory(10);
        metering.took_memory(5);
        metering.gave_memory_back(10);
        metering.took_memory(7);
        assert_eq!(metering.usage().memory_bytes_peak, 15);
    }

    #[test]
    fn what_came_since_is_everything_but_what_was_there() {
        let all = ResourceUsage { cpu_us: 7, memory_bytes_peak: 9, http_requests: 4, ..Default::default() };
        let earlier = ResourceUsage { cpu_us: 5, memory_bytes_peak: 8, ..Default::default() };
        let since = ResourceUsage { cpu_us: 2, ..all };
        assert_eq!((all.since(&earlier), all.since(&ResourceUsage::default())), (since, all));
    }

    /// Regression: a whole that was paused before its merge had begun counted the usage of its parts twice.
    #[test]
    fn what_is_taken_back_can_be_added_again() {
        let metering = Metering::default();
        metering.computed(2);
        let part = ResourceUsage { cpu_us: 5, memory_bytes_peak: 9, files_read: 3, ..Default::default() };
        metering.add(&part);
        metering.take_back(&part);
        metering.add(&part);
        assert_eq!(metering.usage(), ResourceUsage { cpu_us: 7, ..part });
    }

    #[test]
    fn goes_on_counting_after_a_pause() {
        let earlier = ResourceUsage { cpu_us: 5, memory_bytes_peak: 9, ..ResourceUsage::default() };
        let metering = Metering::going_on_from(earlier, Arc::default());
        metering.computed(2);
        metering.took_memory(4);
        metering.wrote_file(3);
        let expected = ResourceUsage { cpu_us: 7, file_bytes_written: 3, ..earlier };
        assert_eq!(metering.usage(), expected);
    }

    #[test]
    fn adds_what_a_part_has_used() {
        let metering = Metering::default();
        metering.took_memory(4);
        metering.computed(2);
        let part =
            ResourceUsage { cpu_us: 5, memory_bytes_peak: 9, log_messages_dropped: 1, ..Default::default() };
        metering.add(&part);
        metering.add(&part);
        let expected = ResourceUsage { cpu_us: 12, log_messages_dropped: 2, ..part };
        assert_eq!(metering.usage(), expected);
    }

    #[test]
    fn what_is_refused_counts_for_the_step_and_for_its_tenant() {
        let tally = Arc::<Tally>::default();
        let earlier = ResourceUsage { http_requests_refused: 5, ..ResourceUsage::default() };
        let steps = [earlier, ResourceUsage::default()];
        let steps = steps.map(|earlier| Metering::going_on_from(earlier, tally.clone()));
        for step in &steps {
            step.refused_request();
            step.refused_file();
            step.dropped_message();
        }
        let of_first = steps[0].usage();
        let expected = ResourceUsage {
            http_requests_refused: 6,
            file_accesses_refused: 1,
            log_messages_dropped: 1,
            ..ResourceUsage::default()
        };
        assert_eq!(of_first, expected);
        let counters = tally.counters();
        let refused = (counters.http_requests_refused, counters.file_accesses_refused);
        assert_eq!((refused, counters.log_messages_dropped), ((2, 2), 2), "since the process began");
    }
}
