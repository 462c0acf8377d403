//! `limits` and `quotas` in `policy.yaml`: how much one step may use at most, and how much all jobs may use
//! together.

use std::num::{NonZeroU64, NonZeroUsize};

use serde::{Deserialize, Deserializer};
use stepbox_batch::limits::{LimitOverrides, deserialize_in_range};

/// How much one step may use at most. A limit that is left out is decided by the job. Limits of memory and
/// time cannot be 0. With any other limit of 0, a step may not write, log or send at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits(LimitOverrides);

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_in_range(deserializer).map(Self)
    }
}

impl From<Limits> for LimitOverrides {
    fn from(Limits(limits): Limits) -> Self {
        limits
    }
}

/// How much all jobs may use together. A quota that is left out has its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Quotas {
    running_max: Option<NonZeroUsize>,
    queued_max: Option<u64>,
    memory_bytes_max: Option<NonZeroU64>,
    processors_max: Option<NonZeroUsize>,
    disk_bytes_max: Option<u64>,
    disk_files_max: Option<u64>,
    http_connections_max: Option<u64>,
    stop_grace_ms: Option<u64>,
    uploaded_bytes_max: Option<u64>,
    uploaded_files_max: Option<u64>,
}

impl Quotas {
    pub(super) fn over(self, default: crate::policy::Quotas) -> crate::policy::Quotas {
        let Self {
            running_max,
            queued_max,
            memory_bytes_max,
            processors_max,
            disk_bytes_max,
            disk_files_max,
            http_connections_max,
            stop_grace_ms,
            uploaded_bytes_max,
            uploaded_files_max,
        } = self;
        crate::policy::Quotas {
            running_max: running_max.map_or(default.running_max, NonZeroUsize::get),
            queued_max: queued_max.unwrap_or(default.queued_max),
            memory_bytes_max: memory_bytes_max.map_or(default.memory_bytes_max, NonZeroU64::get),
            processors_max: processors_max.map_or(default.processors_max, NonZeroUsize::get),
            disk_bytes_max: disk_bytes_max.unwrap_or(default.disk_bytes_max),
            disk_files_max: disk_files_max.unwrap_or(default.disk_files_max),
            http_connections_max: http_connections_max.unwrap_or(default.http_connections_max),
            stop_grace_ms: stop_grace_ms.unwrap_or(default.stop_grace_ms),
            uploaded_bytes_max: uploaded_bytes_max.unwrap_or(default.uploaded_bytes_max),
            uploaded_files_max: uploaded_files_max.unwrap_or(default.uploaded_files_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_set_and_the_rest_stays() {
        let quotas: Quotas =
            serde_saphyr::from_str("{ running_max: 2, processors_max: 1, disk_bytes_max: 0 }").unwrap();
        let default = crate::policy::Quotas::default();
        let expected = crate::policy::Quotas {
            running_max: 2,
            processors_max: 1,
            disk_bytes_max: 0,
            ..crate::policy::Quotas::default()
        };
        assert_eq!(quotas.over(default), expected);
        let limits: Limits = serde_saphyr::from_str("{ cpu_ms_max: 5, http_bytes_max: 0 }").unwrap();
        let expected =
            LimitOverrides { cpu_ms_max: Some(5), http_bytes_max: Some(0), ..LimitOverrides::default() };
        assert_eq!(LimitOverrides::from(limits), expected);
    }

    #[test]
    fn none_can_be_switched_off() {
        let limits = serde_saphyr::from_str::<Limits>("{ memory_bytes_max: 0 }");
        assert!(limits.unwrap_err().to_string().contains("expected a nonzero u64"));
        let quotas = serde_saphyr::from_str::<Quotas>("{ running_max: 0 }");
        assert!(quotas.unwrap_err().to_string().contains("expected a nonzero"));
    }
}
