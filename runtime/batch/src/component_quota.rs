//! How many components a tenant may keep, and how large they may be.

/// How many components a tenant may keep, and how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentQuota {
    /// How many components may be kept.
    pub count_max: u64,
    /// How large each component may be, in bytes.
    pub size_bytes_max: u64,
    /// How large all components together may be, in bytes.
    ///
    /// A component that two tenants keep counts for both.
    pub total_bytes_max: u64,
}

/// Which quota a new component would break, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComponentQuotaError {
    /// The number of components has reached its limit.
    #[error("{count} are kept of the {max} components that `count_max` allows")]
    Count {
        /// How many components are kept.
        count: u64,
        /// How many components may be kept.
        max: u64,
    },
    /// The component is larger than a component may be.
    #[error("it has {size} bytes, and `size_bytes_max` is {max}")]
    Size {
        /// The size of the component, in bytes.
        size: u64,
        /// How large a component may be, in bytes.
        max: u64,
    },
    /// With this component, all components together would be too large.
    #[error("it has {size} bytes, {used} are kept already, and `total_bytes_max` is {max}")]
    Total {
        /// The size of the component, in bytes.
        size: u64,
        /// The size of the components that are kept already, in bytes.
        used: u64,
        /// How large all components together may be, in bytes.
        max: u64,
    },
}

impl ComponentQuotaError {
    /// The quota's name.
    pub fn quota(&self) -> &'static str {
        match self {
            Self::Count { .. } => "count_max",
            Self::Size { .. } => "size_bytes_max",
            Self::Total { .. } => "total_bytes_max",
        }
    }
}

impl ComponentQuota {
    /// No limits, except the range of the numbers.
    pub const UNBOUNDED: Self =
        Self { count_max: u64::MAX, size_bytes_max: u64::MAX, total_bytes_max: u64::MAX };

    /// Whether there is room for one more component of that size beside `count` with `used` bytes.
    pub fn check(&self, count: u64, used: u64, size: u64) -> Result<(), ComponentQuotaError> {
        if size > self.size_bytes_max {
            return Err(ComponentQuotaError::Size { size, max: self.size_bytes_max });
        }
        if count >= self.count_max {
            return Err(ComponentQuotaError::Count { count, max: self.count_max });
        }
        if used.saturating_add(size) > self.total_bytes_max {
            return Err(ComponentQuotaError::Total { size, used, max: self.total_bytes_max });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_used_up() {
        let quota = ComponentQuota { count_max: 3, size_bytes_max: 100, total_bytes_max: 200 };
        let check = |count, used, size, expected: &str| {
            let found = match quota.check(count, used, size) {
                Ok(()) => "fine".to_owned(),
                Err(error) => format!("{}: {error}", error.quota()),
            };
            assert_eq!(found, expected);
        };
        check(2, 100, 100, "fine");
        check(3, 0, 0, "count_max: 3 are kept of the 3 components that `count_max` allows");
        check(2, 0, 101, "size_bytes_max: it has 101 bytes, and `size_bytes_max` is 100");
        let total = "total_bytes_max: it has 100 bytes, 101 are kept already, and `total_bytes_max` is 200";
        check(2, 101, 100, total);
        assert_eq!(ComponentQuota::UNBOUNDED.check(u64::MAX - 1, u64::MAX, u64::MAX), Ok(()));
    }
}
