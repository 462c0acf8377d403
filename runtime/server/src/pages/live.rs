//! The live stream of a page: its moving parts, each sent again after it has changed.
//!
//! A page with moving parts names the address of its stream in [`Head::live`](stepbox_web::Head::live). The route of that
//! address takes [`Watching`], makes a [`Moving`] that writes the same parts as the page, and answers
//! [`Watching::stream`]. The stream looks at the parts after a signal of the broadcaster, and sends those that differ from
//! what it sent before. It sends nothing while nothing changes, and it asks the store for nothing then.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use stepbox::batch::access::{Principal, Thing};
use stepbox_web::{Markup, Reader};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::visit::Visit;
use crate::access::{May, RightOf, Standing, ThingOf};
use crate::conventions::asking::Asking;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::Input;
use crate::conventions::limits::Place;
use crate::streams::broadcaster::Signal;
use crate::streams::event_stream::{EventStream, RETRY, STILL_HERE};
use crate::tools::Tools;

/// How often a stream looks whether its credentials still hold, and says that it is still here.
const JUDGE_EVERY: Duration = Duration::from_secs(15);
/// The least time between two looks, so that a burst of events is one look.
const LOOK_AFTER: Duration = Duration::from_millis(300);

/// The event after which the page closes the stream: nothing will change any more, or nobody may look.
const END: &str = "event: end\ndata: end\n\n";

/// What a stream found when it looked.
#[derive(Default)]
pub(crate) struct Look {
    /// The moving parts: the id of an element, and the whole element with that id. One that did not change is not sent.
    pub(crate) parts: Vec<(String, Markup)>,
    /// What is added to the end of an element, once.
    pub(crate) added: Option<Added>,
    /// Whether nothing will change any more. The stream ends after this look.
    pub(crate) is_over: bool,
}

/// New lines at the end of an element.
pub(crate) struct Added {
    /// The id of the element.
    pub(crate) id: &'static str,
    /// What comes behind the last line.
    pub(crate) markup: Markup,
    /// The number of the last line. A page whose stream broke off names it when it connects again.
    pub(crate) last: u64,
}

/// The moving parts of a page.
pub(crate) trait Moving: Send + Sync + 'static {
    /// What the reader must be allowed to see, as long as the stream lasts.
    fn thing(&self) -> Thing<'_>;

    /// Whether a signal may have changed a part.
    fn hears(&self, signal: &Signal) -> bool;

    /// How often to look without a signal, for what no event tells: lines of a log, heartbeats of workers.
    fn every(&self) -> Option<Duration> {
        None
    }

    /// Writes the parts as they are now, for a principal whose rights may have changed since.
    fn look(
        &mut self,
        principal: &Principal,
        reader: &Reader,
    ) -> impl Future<Output = Result<Look, Failure>> + Send;
}

/// Who watches, and what they have seen.
pub(crate) struct Watching {
    tools: Arc<Tools>,
    who: String,
    /// The last line that the page has, if its stream broke off.
    pub(crate) seen: Option<u64>,
}

impl Input for Watching {
    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let seen = asking.header(&HeaderName::from_static("last-event-id"))?;
        let seen = seen.and_then(|text| text.parse().ok());
        Ok(Self { tools: asking.tools.clone(), who: asking.who.clone().unwrap_or_default(), seen })
    }

    fn describe(_: &mut Describing) {}
}

impl Watching {
    /// The stream of a page's moving parts.
    pub(crate) fn stream<R: RightOf, T: ThingOf>(
        self,
        visit: &Visit<May<R, T>>,
        moving: impl Moving,
    ) -> Result<EventStream, Failure> {
        let place = self.tools.limits.stream(&self.who)?;
        let (client, stream) = EventStream::new();
        let live = Live {
            client,
            moving,
            principal: visit.may.principal().clone(),
            standing: visit.may.standing(),
            reader: visit.reader.clone(),
            sent: HashMap::new(),
            tools: self.tools,
            _place: place,
        };
        tokio::spawn(live.run());
        Ok(stream)
    }
}

/// Nobody listens any more, or nobody may.
struct Over;

struct Live<M> {
    client: mpsc::Sender<String>,
    moving: M,
    principal: Principal,
    standing: Option<Standing>,
    reader: Reader,
    /// The digests of the parts that were sent last, by id.
    sent: HashMap<String, u64>,
    tools: Arc<Tools>,
    _place: Place,
}

impl<M: Moving> Live<M> {
    async fn run(mut self) {
        let tools = self.tools.clone();
        tools.meters.live_streams.inc();
        // The listener has gone, or was told the end.
        let _ = self.follow().await;
        tools.meters.live_streams.dec();
    }

    async fn follow(&mut self) -> Result<(), Over> {
        // Listens before the first look, so that it misses nothing between.
        let mut signals = self.tools.streams.listen();
        let mut rights = self.tools.streams.rights();
        self.send(RETRY.to_owned()).await?;
        let mut judge = interval_at(Instant::now() + JUDGE_EVERY, JUDGE_EVERY);
        judge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let client = self.client.clone();
        let mut looked = self.look().await?;
        let mut is_heard = false;
        loop {
            let next = match (is_heard, self.moving.every()) {
                (true, _) => Some(looked + LOOK_AFTER),
                (false, every) => every.map(|every| looked + every.max(LOOK_AFTER)),
            };
            tokio::select! {
                () = client.closed() => return Err(Over),
                changed = rights.changed() => match changed {
                    Ok(()) => {
                        self.judge().await?;
                        is_heard = true;
                    }
                    Err(_) => return Err(Over),
                },
                _ = judge.tick() => {
                    self.judge().await?;
                    self.send(STILL_HERE.to_owned()).await?;
                }
                heard = signals.recv() => is_heard |= match heard {
                    Ok(signal) => self.moving.hears(&signal),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => true,
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return Err(Over),
                },
                () = until(next) => {
                    looked = self.look().await?;
                    is_heard = false;
                }
            }
        }
    }

    /// Looks at the parts, and sends what has changed. Returns when that was.
    async fn look(&mut self) -> Result<Instant, Over> {
        self.reader.now = jiff::Timestamp::now();
        // A page whose stream breaks off connects again.
        let Look { parts, added, is_over } =
            self.moving.look(&self.principal, &self.reader).await.map_err(|_| Over)?;
        let mut text = String::new();
        for (id, markup) in parts {
            let mut hasher = DefaultHasher::new();
            markup.0.hash(&mut hasher);
            let digest = hasher.finish();
            if self.sent.insert(id.clone(), digest) != Some(digest) {
                text.push_str(&partial(&id, "outerMorph", &markup));
            }
        }
        let last = added.as_ref().map(|added| added.last);
        if let Some(added) = added {
            text.push_str(&partial(added.id, "beforeend", &added.markup));
        }
        if !text.is_empty() {
            self.send(message(last, &text)).await?;
        }
        match is_over {
            true => self.end().await,
            false => Ok(Instant::now()),
        }
    }

    /// Ends the stream if the credentials no longer let it go on.
    async fn judge(&mut self) -> Result<(), Over> {
        let now = match &self.standing {
            Some(standing) => standing.now(self.moving.thing()).await,
            None => None,
        };
        match now {
            Some(principal) => {
                self.principal = principal;
                Ok(())
            }
            None => self.end().await.map(drop),
        }
    }

    async fn end(&self) -> Result<Instant, Over> {
        self.send(END.to_owned()).await?;
        Err(Over)
    }

    async fn send(&self, text: String) -> Result<(), Over> {
        self.client.send(text).await.map_err(|_| Over)
    }
}

/// Waits until a moment; without one, for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// A part of a page, and how it gets there.
fn partial(id: &str, how: &str, markup: &Markup) -> String {
    format!("<hx-partial hx-target=\"#{id}\" hx-swap=\"{how}\">{}</hx-partial>", markup.0)
}

/// A message of markup. Each line of it is a line of data, whatever ends it, so no text begins a field of its own.
fn message(id: Option<u64>, markup: &str) -> String {
    let mut text = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    for line in markup.replace("\r\n", "\n").split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
