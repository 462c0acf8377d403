//! Reads the events of all executions once, for all open streams of the process.
//!
//! A reader of its own for each stream would ask the store as often as there are streams. The broadcaster asks once, and
//! only while there is a stream. It begins at the newest event: a stream that wants earlier ones reads them itself, after
//! it has begun to listen, so that it misses none between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stepbox::Stepbox;
use stepbox::batch::clock::Timestamp;
use stepbox::batch::execution::event::{Checkpointed, EventNumber, ExecutionEvent};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How many events are read at a time.
const EVENTS: u32 = 1_000;
/// How many signals a slow stream may be behind. Then it reads the store itself.
const SIGNALS: usize = 64;
/// How often progress is read.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How many steps' progress is read at a time.
const PROGRESS: u32 = 1_000;
/// How far before the last save progress is read again: two workers save at different clocks.
const OVERLAP_MS: i64 = 500;

/// Something that open streams hear.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Events in their order.
    Events(Vec<ExecutionEvent>),
    /// The progress of running steps.
    Progress(Vec<Checkpointed>),
    /// Events in between were dropped.
    Gap(EventNumber),
}

/// Reads events for all open streams.
pub(crate) struct Broadcaster {
    stepbox: Stepbox,
    sender: broadcast::Sender<Arc<Signal>>,
    reader: Mutex<Option<JoinHandle<()>>>,
    /// Counts changes of rights that this process has made, so that streams look at once whether they may go on.
    rights: watch::Sender<u64>,
}

impl Broadcaster {
    pub(crate) fn new(stepbox: Stepbox) -> Self {
        let (sender, rights) = (broadcast::Sender::new(SIGNALS), watch::Sender::new(0));
        Self { stepbox, sender, reader: Mutex::new(None), rights }
    }

    /// Begins to listen. The reader runs from now on, as long as somebody listens.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Signal>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Listens before the reader may look whether anybody does.
        let receiver = self.sender.subscribe();
        if reader.as_ref().is_none_or(JoinHandle::is_finished) {
            *reader = Some(tokio::spawn(read(self.stepbox.clone(), self.sender.clone())));
        }
        receiver
    }

    /// The number of the newest event.
    pub(crate) async fn newest(&self) -> Result<EventNumber, stepbox::Error> {
        self.stepbox.newest_event().await
    }

    /// Lets every open stream look whether it may go on.
    pub(crate) fn rights_changed(&self) {
        self.rights.send_modify(|changes| *changes += 1);
    }

    /// Hears of changes of rights.
    pub(crate) fn rights(&self) -> watch::Receiver<u64> {
        self.rights.subscribe()
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner) {
            reader.abort();
        }
    }
}

/// Reads events and progress until nobody listens.
async fn read(stepbox: Stepbox, sender: broadcast::Sender<Arc<Signal>>) {
    let mut next = None;
    let (mut since, mut seen, mut look_at) = (Timestamp(0), Vec::new(), Instant::now());
    while sender.receiver_count() > 0 {
        let Some(after) = next else {
            match stepbox.newest_event().await {
                Ok(newest) => {
                    next = Some(newest);
                    since = stepbox.now();
                }
                Err(_) => sleep(PROGRESS_EVERY).await,
            }
            continue;
        };
        match stepbox.events(after, EVENTS).await {
            Ok(page) => {
                if !page.is_complete {
                    // The error is that nobody listens any more.
                    let _ = sender.send(Arc::new(Signal::Gap(page.next)));
                }
                if !page.events.items.is_empty() {
                    let _ = sender.send(Arc::new(Signal::Events(page.events.items)));
                }
                next = Some(page.next);
            }
            Err(_) => {
                sleep(PROGRESS_EVERY).await;
                continue;
            }
        }
        if look_at <= Instant::now() {
            look_at = Instant::now() + PROGRESS_EVERY;
            if let Ok(saved) = stepbox.checkpointed(Timestamp(since.0 - OVERLAP_MS), PROGRESS).await {
                let is_new = |step: &Checkpointed| !seen.contains(step);
                let fresh: Vec<_> = saved.items.iter().filter(|step| is_new(step)).cloned().collect();
                since = saved.items.iter().map(|step| step.at).max().unwrap_or(since).max(since);
                seen = saved.items;
                if !fresh.is_empty() {
                    let _ = sender.send(Arc::new(Signal::Progress(fresh)));
                }
            }
        }
        let left = look_at.saturating_duration_since(Instant::now());
        stepbox.wait_for_events(next.unwrap_or(after), left.as_millis() as u64).await;
    }
}
