//! How much one client or one principal may ask for in a time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::failure::Failure;

/// After how many keys the old ones are forgotten.
const KEYS_MAX: usize = 10_000;

/// How much one client or one principal may ask for.
#[derive(Debug, Clone)]
pub struct ApiLimits {
    /// How many uploads a principal may begin in a minute.
    pub uploads_per_minute: u32,
    /// How many executions a principal may launch in a second.
    pub launches_per_second: u32,
    /// How many questions about forms a principal may ask in a second.
    pub form_questions_per_second: u32,
    /// How many event streams a principal may have open.
    pub streams_per_principal: u32,
    /// How many event streams may be open.
    pub streams: u32,
}

impl Default for ApiLimits {
    /// Wide for people and their programs. How often somebody may try to sign in is decided with the accounts.
    fn default() -> Self {
        Self {
            uploads_per_minute: 120,
            launches_per_second: 2_000,
            form_questions_per_second: 10,
            streams_per_principal: 50,
            streams: 2_000,
        }
    }
}

type Limiter =
    RateLimiter<String, HashMapStateStore<String>, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// Counts what is asked for.
pub(crate) struct Limiters {
    uploads: Limiter,
    launches: Limiter,
    form_questions: Limiter,
    places: Places,
}

impl Limiters {
    pub(crate) fn new(limits: &ApiLimits) -> Self {
        let some = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let limiter = |quota: Quota| RateLimiter::hashmap_with_clock(quota, MonotonicClock);
        Self {
            uploads: limiter(Quota::per_minute(some(limits.uploads_per_minute))),
            launches: limiter(Quota::per_second(some(limits.launches_per_second))),
            form_questions: limiter(Quota::per_second(some(limits.form_questions_per_second))),
            places: Places {
                taken: Arc::default(),
                each_max: limits.streams_per_principal,
                max: limits.streams,
            },
        }
    }

    /// Counts an upload of a principal.
    pub(crate) fn upload(&self, who: &str) -> Result<(), Failure> {
        check(&self.uploads, who, "too-many-uploads", "too many uploads at a time")
    }

    /// Counts a launch of a principal.
    pub(crate) fn launch(&self, who: &str) -> Result<(), Failure> {
        check(&self.launches, who, "too-many-launches", "too many launches at a time")
    }

    /// Counts a question about a form.
    pub(crate) fn form_question(&self, who: &str) -> Result<(), Failure> {
        check(
            &self.form_questions,
            who,
            "too-many-form-questions",
            "too many questions about forms at a time",
        )
    }

    /// Takes a place for an open stream.
    pub(crate) fn stream(&self, who: &str) -> Result<StreamPlace, Failure> {
        self.places.take(who)
    }
}

fn check(limiter: &Limiter, key: &str, code: &str, detail: &str) -> Result<(), Failure> {
    if limiter.len() > KEYS_MAX {
        limiter.retain_recent();
    }
    let Err(not_until) = limiter.check_key(&key.to_owned()) else { return Ok(()) };
    let wait = not_until.wait_time_from(MonotonicClock.now());
    Err(Failure::too_many(code, detail, wait + Duration::from_millis(999)))
}

/// The open streams, by principal.
struct Places {
    taken: Arc<Mutex<HashMap<String, u32>>>,
    each_max: u32,
    max: u32,
}

/// The place of an open stream. Dropping it frees the place.
pub(crate) struct StreamPlace {
    taken: Arc<Mutex<HashMap<String, u32>>>,
    who: String,
}

impl Places {
    fn take(&self, who: &str) -> Result<StreamPlace, Failure> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(who).copied().unwrap_or_default();
        if own >= self.each_max || taken.values().sum::<u32>() >= self.max {
            let detail = "too many event streams are open";
            return Err(Failure::too_many("too-many-streams", detail, Duration::from_secs(15)));
        }
        taken.insert(who.to_owned(), own + 1);
        Ok(StreamPlace { taken: self.taken.clone(), who: who.to_owned() })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_asks_too_often_waits_and_others_do_not() {
        let limits =
            ApiLimits { uploads_per_minute: 3, form_questions_per_second: 1, ..ApiLimits::default() };
        let limiters = Limiters::new(&limits);
        for _ in 0..3 {
            limiters.upload("a").unwrap();
        }
        assert_eq!(limiters.upload("a").unwrap_err().code(), "too-many-uploads");
        limiters.upload("b").unwrap();
        limiters.form_question("a").unwrap();
        assert_eq!(limiters.form_question("a").unwrap_err().code(), "too-many-form-questions");
        limiters.form_question("b").unwrap();
    }

    #[test]
    fn a_place_is_free_again_after_its_stream() {
        let limits = ApiLimits { streams_per_principal: 2, streams: 3, ..ApiLimits::default() };
        let limiters = Limiters::new(&limits);
        let (one, _two) = (limiters.stream("a").unwrap(), limiters.stream("a").unwrap());
        assert!(limiters.stream("a").is_err());
        let _third = limiters.stream("b").unwrap();
        assert!(limiters.stream("c").is_err());
        drop(one);
        limiters.stream("c").unwrap();
    }
}
