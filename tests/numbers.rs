//! Numbers that look random and are the same each time.

/// A generator of numbers that is the same on every machine: xorshift64*.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Other numbers for each seed.
    pub fn of_seed(seed: u64) -> Self {
        Self::from_state(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Continues from a state, which is not 0.
    pub const fn from_state(state: u64) -> Self {
        Self(state)
    }

    /// The next number, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}
