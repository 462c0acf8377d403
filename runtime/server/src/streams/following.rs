//! What a stream sends, and when it ends: after the last event of an execution, or once its credentials are over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::execution::event::{EventNumber, ExecutionEvent, Happened};
use stepbox::batch::instance_form::FormRights;
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox::{LogPlace, LogQuery, Tenant};
use stepbox_api::event::{Event, Gap, Progress};
use stepbox_api::execution::{Execution, LogLine};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::broadcaster::Signal;
use super::event_stream::{From, RETRY, STILL_HERE, event};
use crate::access::Standing;
use crate::conventions::limits::Place;
use crate::tools::Tools;

/// How often a stream looks whether its credentials still hold, and says that it is still here.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How often the log of a followed execution is read.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// How many events a stream reads from the store at a time.
const EVENTS: u32 = 500;
/// How many lines of a log are sent in one event at most.
const LINES_TOGETHER: usize = 200;

/// Whose events a stream sends.
pub(crate) enum Subject {
    /// Those of one execution and its parts. The stream ends with it.
    Execution { id: JobExecutionId, instance: InstanceCode },
    /// Those of all executions of the tenant whose history may be seen.
    Tenant,
}

/// A stream of one client.
pub(crate) struct Following {
    pub(crate) subject: Subject,
    pub(crate) tenant: Tenant,
    pub(crate) principal: Principal,
    pub(crate) standing: Option<Standing>,
    pub(crate) _place: Place,
    pub(crate) tools: Arc<Tools>,
}

/// Nobody listens any more, or nobody may.
struct Over;

impl Following {
    /// Sends events until the end.
    pub(crate) async fn run(self, from: From, client: mpsc::Sender<String>) {
        let tools = self.tools.clone();
        tools.meters.live_streams.inc();
        let log_sent = from.log_after.map(|lines| LogPlace { lines, bytes: 0 });
        let mut stream = Stream { log_sent, following: self, client, last: EventNumber::BEGINNING };
        // The listener has gone, or was told the end.
        let _ = stream.follow(from.after).await;
        tools.meters.live_streams.dec();
    }
}

struct Stream {
    following: Following,
    client: mpsc::Sender<String>,
    /// The last event that was looked at.
    last: EventNumber,
    /// How far the log was sent.
    log_sent: Option<LogPlace>,
}

impl Stream {
    async fn follow(&mut self, after: Option<EventNumber>) -> Result<(), Over> {
        let mut signals = self.following.tools.streams.listen();
        let mut rights = self.following.tools.streams.rights();
        self.send(RETRY.to_owned()).await?;
        self.last = match after {
            Some(after) => after,
            None => self.following.tools.streams.newest().await.map_err(|_| Over)?,
        };
        // What the client sees first is newer than where it begins, so it misses nothing.
        self.state().await?;
        self.catch_up().await?;
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut log = interval(LOG_EVERY);
        log.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let client = self.client.clone();
        loop {
            tokio::select! {
                () = client.closed() => return Err(Over),
                signal = signals.recv() => self.hear(signal).await?,
                _ = log.tick(), if self.log_sent.is_some() => self.log().await?,
                _ = look.tick() => {
                    self.judge().await?;
                    self.send(STILL_HERE.to_owned()).await?;
                }
                () = changed(&mut rights) => self.judge().await?,
            }
        }
    }

    /// Ends the stream if the credentials no longer let it go on. What is hidden may have changed as well.
    async fn judge(&mut self) -> Result<(), Over> {
        let Some(standing) = self.following.standing.clone() else { return Ok(()) };
        let thing = match &self.following.subject {
            Subject::Execution { instance, .. } => Thing::Execution(instance),
            Subject::Tenant => Thing::Executions,
        };
        match standing.now(thing).await {
            Some(principal) => {
                let rights = FormRights::Of(principal.role());
                self.following.tenant = self.following.tenant.seen_with(rights);
                self.following.principal = principal;
                Ok(())
            }
            None => {
                let end = json!({ "reason": "not-allowed-any-more" });
                self.send(event("end", None, &end)).await?;
                Err(Over)
            }
        }
    }

    async fn hear(&mut self, signal: Result<Arc<Signal>, RecvError>) -> Result<(), Over> {
        match signal.as_deref() {
            Ok(Signal::Events(events)) => {
                for event in events {
                    self.tell(event).await?;
                }
                Ok(())
            }
            Ok(Signal::Progress(steps)) => {
                for step in steps {
                    if self.is_about(&step.tenant, step.id, None) && self.may_hear_of(step.id).await {
                        self.send(event("progress", None, &Progress::of(step))).await?;
                    }
                }
                Ok(())
            }
            Ok(Signal::Gap(next)) => self.gap(*next).await,
            Err(RecvError::Lagged(_)) => self.catch_up().await,
            Err(RecvError::Closed) => Err(Over),
        }
    }

    /// Reads from the store what the stream has not sent.
    async fn catch_up(&mut self) -> Result<(), Over> {
        loop {
            let page = self.following.tenant.events(self.last, EVENTS).await.map_err(|_| Over)?;
            if !page.is_complete {
                self.gap(page.next).await?;
            }
            let is_full = page.events.rows() >= EVENTS as usize;
            for event in &page.events {
                self.tell(event).await?;
            }
            self.last = self.last.max(page.next);
            if !is_full {
                return Ok(());
            }
        }
    }

    async fn gap(&mut self, next: EventNumber) -> Result<(), Over> {
        let gap = Gap { after: self.last.0, next: next.0 };
        self.send(event("gap", None, &gap)).await
    }

    /// Sends an event that the stream is about, once.
    async fn tell(&mut self, happened: &ExecutionEvent) -> Result<(), Over> {
        if happened.number <= self.last {
            return Ok(());
        }
        self.last = happened.number;
        let is_seen = self.is_about(&happened.tenant, happened.id, happened.part_of)
            && self.following.principal.may(Right::History, Thing::Execution(&happened.instance));
        if !is_seen {
            return Ok(());
        }
        self.send(event("state", Some(happened.number), &Event::of(happened))).await?;
        let is_end = matches!(happened.happened, Happened::Ended { .. }) && happened.part_of.is_none();
        match (&self.following.subject, is_end) {
            (Subject::Execution { id, .. }, true) if *id == happened.id => self.end().await,
            _ => Ok(()),
        }
    }

    fn is_about(
        &self,
        tenant: &stepbox::batch::name::TenantId,
        id: JobExecutionId,
        part_of: Option<JobExecutionId>,
    ) -> bool {
        let is_it = match &self.following.subject {
            Subject::Execution { id: own, .. } => id == *own || part_of == Some(*own),
            Subject::Tenant => true,
        };
        is_it && tenant == self.following.tenant.id()
    }

    /// Whether the history of an execution may be seen, of which only the number is known.
    async fn may_hear_of(&self, id: JobExecutionId) -> bool {
        let Subject::Tenant = self.following.subject else { return true };
        if self.following.principal.barred.is_empty() {
            return self.following.principal.may(Right::History, Thing::Executions);
        }
        let execution = self.following.tenant.execution(id).await;
        execution.is_ok_and(|execution| {
            self.following.principal.may(Right::History, Thing::Execution(&execution.instance))
        })
    }

    /// The execution as it is, at the beginning. One that has ended before the stream began ends it at once.
    async fn state(&mut self) -> Result<(), Over> {
        let Subject::Execution { id, .. } = self.following.subject else { return Ok(()) };
        let execution = self.following.tenant.execution(id).await.map_err(|_| Over)?;
        let shown = Execution::of(&execution);
        self.send(event("execution", None, &shown)).await?;
        if execution.status.has_ended() { self.end().await } else { Ok(()) }
    }

    /// Sends what is left of the log, the execution as it ended, and the end.
    async fn end(&mut self) -> Result<(), Over> {
        self.log().await?;
        let Subject::Execution { id, .. } = self.following.subject else { return Ok(()) };
        let execution = self.following.tenant.execution(id).await.map_err(|_| Over)?;
        let shown = Execution::of(&execution);
        self.send(event("end", Some(self.last), &shown)).await?;
        Err(Over)
    }

    /// Sends the lines of the log that were not sent.
    async fn log(&mut self) -> Result<(), Over> {
        let (Some(mut place), Subject::Execution { id, .. }) = (self.log_sent, &self.following.subject)
        else {
            return Ok(());
        };
        loop {
            let some = self.following.tenant.log_after(*id, place, LogQuery::default(), LINES_TOGETHER).await;
            // A log that cannot be read now may be read later. One that is shorter has none of the lines.
            let Ok(page) = some else { return Ok(()) };
            if page.next.lines < place.lines {
                return Ok(());
            }
            place = page.next;
            // A line that Stepbox did not write has a number, and is left out.
            for lines in page.lines.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
                let shown: Vec<_> = lines.iter().map(|(_, line)| LogLine::of(line)).collect();
                let first = lines.first().map_or(0, |(number, _)| *number);
                self.send(event("log", None, &json!({ "first": first, "lines": shown }))).await?;
            }
            self.log_sent = Some(place);
            if !page.has_more {
                return Ok(());
            }
        }
    }

    async fn send(&self, text: String) -> Result<(), Over> {
        self.client.send(text).await.map_err(|_| Over)
    }
}

/// Ends when rights have changed. If nobody can change them any more, it does not end.
async fn changed(rights: &mut watch::Receiver<u64>) {
    if rights.changed().await.is_err() {
        std::future::pending().await
    }
}

/// The end of an execution, for a client that waits for it.
pub(crate) async fn ended(
    tools: &Tools,
    tenant: &Tenant,
    id: JobExecutionId,
    wait: Duration,
) -> Result<Option<stepbox::batch::execution::JobExecution>, stepbox::Error> {
    let until = Instant::now() + wait;
    let mut signals: broadcast::Receiver<Arc<Signal>> = tools.streams.listen();
    loop {
        let execution = tenant.execution(id).await?;
        if execution.status.has_ended() || Instant::now() >= until {
            return Ok(execution.status.has_ended().then_some(execution));
        }
        let is_it = |event: &ExecutionEvent| event.id == id;
        let heard = async {
            loop {
                match signals.recv().await.as_deref() {
                    Ok(Signal::Events(events)) if events.iter().any(is_it) => return,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        };
        // The limit is the end of the wait; the loop looks once more.
        let _ = tokio::time::timeout_at(until, heard).await;
    }
}
