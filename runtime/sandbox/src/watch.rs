//! When a call must end: at its time limits, and when it does not obey a stop request.
//!
//! The check is made in two places. While the component computes, wasmtime's epoch callback makes it every 10
//! ms. While the component waits for the host, the future around the call makes it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use stepbox_batch::step_context::StepContext;
use tokio::time::Interval;

use crate::budget::CpuTime;
use crate::share::{Asked, Share};

/// How often a call that waits for the host is checked.
const BEAT: Duration = Duration::from_millis(20);

/// Watches the calls of one component, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Arc<Mutex<Call>>);

#[derive(Debug)]
struct Call {
    context: StepContext,
    share: Share,
    cpu: CpuTime,
    stop_grace: Duration,
    time_ms_max: u64,
    began_at: Instant,
    /// When a check first found this call running after a stop request.
    stop_seen_at: Option<Instant>,
}

/// Why a call was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("ran longer than {ms} ms")]
    TimeLimit { ms: u64 },
    #[error("its step's components computed longer than {ms} ms, all together")]
    CpuLimit { ms: u64 },
    #[error("went on after a stop request")]
    Stopped,
}

impl Watch {
    pub(crate) fn new(context: StepContext, share: Share, cpu: CpuTime, stop_grace_ms: u64) -> Self {
        Self(Arc::new(Mutex::new(Call {
            context,
            share,
            cpu,
            stop_grace: Duration::from_millis(stop_grace_ms),
            time_ms_max: 0,
            began_at: Instant::now(),
            stop_seen_at: None,
        })))
    }

    /// Runs a call until it returns or must end. A call that was ended may have left its component in any
    /// state, so no other call may follow.
    pub(crate) async fn guard<T>(
        &self,
        time_ms_max: u64,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let (context, share, cpu) = self.begin(time_ms_max);
        let mut call = pin!(call);
        let mut beat: Option<Interval> = None;
        let mut asked = None;
        poll_fn(|cx| {
            if poll_turn(asked.get_or_insert_with(|| share.ask()), cx).is_ready() {
                let before = thread_cpu();
                let polled = call.as_mut().poll(cx);
                let us = thread_cpu().saturating_sub(before).as_micros() as u64;
                context.metering().computed(us);
                cpu.computed(us);
                asked = None;
                if let Poll::Ready(result) = polled {
                    return Poll::Ready(result);
                }
            }
            if let Some(cut) = self.check(Instant::now()) {
                return Poll::Ready(Err(cut.into()));
            }
            let beat = beat.get_or_insert_with(|| tokio::time::interval(BEAT));
            while beat.poll_tick(cx).is_ready() {}
            Poll::Pending
        })
        .await
    }

    fn begin(&self, time_ms_max: u64) -> (StepContext, Share, CpuTime) {
        let mut call = self.lock();
        call.time_ms_max = time_ms_max;
        call.began_at = Instant::now();
        call.stop_seen_at = None;
        (call.context.clone(), call.share.clone(), call.cpu.clone())
    }

    /// Whether the call must end now.
    pub(crate) fn check(&self, now: Instant) -> Option<Cut> {
        let mut call = self.lock();
        if now.saturating_duration_since(call.began_at) >= Duration::from_millis(call.time_ms_max) {
            return Some(Cut::TimeLimit { ms: call.time_ms_max });
        }
        if call.cpu.is_used_up() {
            return Some(Cut::CpuLimit { ms: call.cpu.ms_max });
        }
        if !call.context.should_stop() {
            return None;
        }
        let seen_at = *call.stop_seen_at.get_or_insert(now);
        (now.saturating_duration_since(seen_at) >= call.stop_grace).then_some(Cut::Stopped)
    }

    fn lock(&self) -> MutexGuard<'_, Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Polls for the component's turn to compute.
fn poll_turn(asked: &mut Asked, cx: &mut Context<'_>) -> Poll<()> {
    if let Asked::Waits(receiver) = asked {
        match ready!(Pin::new(receiver).poll(cx)) {
            Ok(turn) => *asked = Asked::Granted { _turn: turn },
            // The sender is gone, so no more turns come: the sandbox ends.
            Err(_) => return Poll::Pending,
        }
    }
    Poll::Ready(())
}

/// The processor time of this thread.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepbox_batch::log::NoLog;

    use super::*;
    use crate::budget::{Budget, Usage};
    use crate::limits::Limits;
    use crate::share::ShareLimits;
    use crate::testing::{share, step_context};

    fn cpu(cpu_ms_max: u64) -> CpuTime {
        Budget::new(&Limits { cpu_ms_max, ..Limits::default() }, &Usage::default()).cpu
    }

    #[test]
    fn a_call_ends_when_its_step_has_computed_enough() {
        let cpu = cpu(7);
        let watch =
            Watch::new(step_context(Arc::new(NoLog)), share(ShareLimits::default()), cpu.clone(), 5000);
        watch.begin(60_000);
        assert_eq!(watch.check(Instant::now()), None);
        cpu.computed(7_000);
        assert_eq!(watch.check(Instant::now()), Some(Cut::CpuLimit { ms: 7 }));
    }

    #[test]
    fn a_call_ends_at_its_time() {
        let watch =
            Watch::new(step_context(Arc::new(NoLog)), share(ShareLimits::default()), cpu(86_400_000), 5000);
        watch.begin(100);
        let began_at = watch.lock().began_at;
        assert_eq!(watch.check(began_at + Duration::from_millis(99)), None);
        assert_eq!(watch.check(began_at + Duration::from_millis(100)), Some(Cut::TimeLimit { ms: 100 }));
    }

    #[test]
    fn a_call_that_goes_on_after_a_stop_request_has_its_grace() {
        let context = step_context(Arc::new(NoLog));
        let watch = Watch::new(context.clone(), share(ShareLimits::default()), cpu(86_400_000), 5000);
        watch.begin(60_000);
        let at = |ms| watch.lock().began_at + Duration::from_millis(ms);
        let (before, seen, within, after) = (at(1000), at(2000), at(6999), at(7000));
        assert_eq!(watch.check(before), None);
        context.run().request_stop();
        assert_eq!(watch.check(seen), None);
        assert_eq!(watch.check(within), None);
        assert_eq!(watch.check(after), Some(Cut::Stopped));
        watch.begin(60_000);
        assert_eq!(watch.check(Instant::now()), None, "the next call, such as `close`, has its own");
    }

    #[tokio::test]
    async fn a_call_that_waits_for_ever_is_ended_all_the_same() {
        let watch =
            Watch::new(step_context(Arc::new(NoLog)), share(ShareLimits::default()), cpu(86_400_000), 5000);
        let waiting = std::future::pending::<wasmtime::Result<()>>();
        let error = watch.guard(1, waiting).await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Cut::TimeLimit { ms: 1 }));
    }
}
