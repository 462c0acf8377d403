//! How often somebody may try to sign in: for one user, and from one address.
//!
//! What a process keeps of a user or an address is forgotten after some seconds of silence, so the number of kept
//! ones is bounded by how fast requests come.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use stepbox_batch::clock::Clock;

use super::error::AccountError;

/// How many attempts for one user may come at once.
const USER_BURST: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// The time after which one more attempt for the user is possible.
const USER_PAUSE: Duration = Duration::from_secs(6);
/// How many attempts from one address may come at once: people behind one router share it.
const CLIENT_BURST: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// The time after which one more attempt from the address is possible.
const CLIENT_PAUSE: Duration = Duration::from_secs(2);
/// From how many kept ones on those that were silent are forgotten.
const KEPT: usize = 10_000;

type Limiter = RateLimiter<u64, HashMapStateStore<u64>, Ticks, NoOpMiddleware<Nanos>>;

/// The attempts of the last seconds.
pub(super) struct Attempts {
    clock: Ticks,
    of_users: Limiter,
    of_clients: Limiter,
    /// Names come from anybody and may be long, so their hashes are kept. Nobody outside can make two names collide.
    hasher: RandomState,
}

impl Attempts {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = Ticks(clock);
        let limiter = |burst, pause| {
            let quota = Quota::with_period(pause).expect("the pause is not zero").allow_burst(burst);
            RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
        };
        Self {
            of_users: limiter(USER_BURST, USER_PAUSE),
            of_clients: limiter(CLIENT_BURST, CLIENT_PAUSE),
            clock: clock.clone(),
            hasher: RandomState::new(),
        }
    }

    /// Counts an attempt for a user, who need not exist, from an address; refuses one that comes too early.
    pub(super) fn count(&self, user: Option<&str>, client: Option<IpAddr>) -> Result<(), AccountError> {
        // The address goes first, so that one address cannot use up a user's attempts for everybody at once.
        if let Some(client) = client {
            self.ask(&self.of_clients, self.hasher.hash_one(network(client)))?;
        }
        match user {
            Some(user) => self.ask(&self.of_users, self.hasher.hash_one(user)),
            None => Ok(()),
        }
    }

    fn ask(&self, limiter: &Limiter, key: u64) -> Result<(), AccountError> {
        if limiter.len() > KEPT {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        limiter.check_key(&key).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            AccountError::TooManyAttempts { seconds: wait.as_secs() + 1 }
        })
    }
}

/// The network that belongs to one customer: an address of IPv4, or 64 bits of IPv6.
fn network(address: IpAddr) -> impl Hash {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The host's clock for the limiter.
#[derive(Clone)]
pub(super) struct Ticks(Arc<dyn Clock>);

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.ticks_us().saturating_mul(1_000))
    }
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use stepbox_batch::clock::Timestamp;

    use super::*;

    #[derive(Default)]
    struct Hand(AtomicU64);

    #[async_trait]
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn ticks_us(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        async fn sleep_ms(&self, _: u64) {}
    }

    fn attempts() -> (Arc<Hand>, Attempts) {
        let hand = Arc::new(Hand::default());
        hand.0.store(1_000_000_000, Ordering::Relaxed);
        (hand.clone(), Attempts::new(hand))
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_user_is_guessed_at_slowly_whoever_guesses() {
        let (hand, attempts) = attempts();
        for number in 0..10 {
            attempts.count(Some("julia"), address(&format!("192.0.2.{number}"))).unwrap();
        }
        let refused = attempts.count(Some("julia"), address("192.0.2.99")).unwrap_err();
        assert!(matches!(refused, AccountError::TooManyAttempts { seconds: 1..=7 }), "{refused:?}");
        attempts.count(Some("peter"), address("192.0.2.1")).unwrap();
        hand.0.fetch_add(6_000_000, Ordering::Relaxed);
        attempts.count(Some("julia"), None).unwrap();
        assert!(attempts.count(Some("julia"), None).is_err(), "one for each pause");
    }

    #[test]
    fn an_address_tries_slowly_whoever_is_tried() {
        let rows = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ];
        for (one, other, is_same) in rows {
            let (_, attempts) = attempts();
            for number in 0..30 {
                attempts.count(Some(&format!("user{number}")), address(one)).unwrap();
            }
            assert_eq!(attempts.count(Some("another"), address(other)).is_err(), is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_refused_address_uses_up_no_users_attempts() {
        let (_, attempts) = attempts();
        for number in 0..30 {
            attempts.count(Some(&format!("user{number}")), address("192.0.2.1")).unwrap();
        }
        for _ in 0..100 {
            assert!(attempts.count(Some("julia"), address("192.0.2.1")).is_err());
        }
        attempts.count(Some("julia"), address("192.0.2.2")).unwrap();
    }

    #[test]
    fn what_is_kept_is_forgotten_again() {
        let (hand, attempts) = attempts();
        for number in 0..30_000 {
            attempts.count(Some(&format!("user{number}")), None).unwrap();
            hand.0.fetch_add(1_000, Ordering::Relaxed);
        }
        // A thousand a second, each of which counts for some seconds.
        assert!(attempts.of_users.len() < 2 * KEPT, "{}", attempts.of_users.len());
    }
}
