//! Waiting for work: an entry of any process ends the wait at once, as long as the server can be reached.
//!
//! A publisher notifies the others after its commit, not in it: PostgreSQL makes commits with a notification only
//! one after the other, each with its own wait for the disk. Publishers at the same time share one notification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::sync::{Mutex, OnceCell, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::AsyncMessage;

use super::PostgresOptions;
use super::address::Address;
use super::pool::Connections;
use super::trouble::Outcome;

/// How long to wait before listening on another connection.
const AGAIN: Duration = Duration::from_millis(500);

/// The callers that wait for work.
#[derive(Debug)]
pub(super) struct Wake {
    address: Arc<Address>,
    options: Arc<PostgresOptions>,
    /// How many entries came in.
    news: watch::Sender<u64>,
    /// How many of them were there at the last look of a claim.
    seen: AtomicU64,
    listener: OnceCell<Listener>,
    /// How many notifications were asked for, and how many of them were sent.
    asked: AtomicU64,
    told: Mutex<u64>,
}

/// A task with a connection of its own, which ends with the store.
#[derive(Debug)]
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wake {
    pub(super) fn new(address: Arc<Address>, options: Arc<PostgresOptions>) -> Self {
        Self {
            address,
            options,
            news: watch::Sender::new(0),
            seen: AtomicU64::new(0),
            listener: OnceCell::new(),
            asked: AtomicU64::new(0),
            told: Mutex::new(0),
        }
    }

    /// An entry came in: wakes the waiting callers of this process.
    pub(super) fn here(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    /// An entry came in: wakes the waiting callers of every process. If the others cannot be notified, they find
    /// the entry when they look by themselves.
    pub(super) async fn everywhere(&self, connections: &Connections) {
        self.here();
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut told = self.told.lock().await;
        if *told < mine {
            let all = self.asked.load(Ordering::SeqCst);
            if notify(connections).await.is_ok() {
                *told = all;
            }
        }
    }

    /// Notes that a claim looks at the queue now.
    pub(super) fn look(&self) {
        self.seen.store(*self.news.borrow(), Ordering::SeqCst);
    }

    /// Returns when an entry has come in since the last look; after `timeout_ms` milliseconds at the latest.
    pub(super) async fn wait(&self, timeout_ms: u64) {
        let end = Instant::now() + Duration::from_millis(timeout_ms);
        self.listener.get_or_init(|| async { self.listen() }).await;
        let seen = self.seen.load(Ordering::SeqCst);
        let mut news = self.news.subscribe();
        let _ = timeout_at(end, news.wait_for(|news| *news != seen)).await;
        self.look();
    }

    /// Returns when an entry comes in after this call began, or after that time. This call opens no connection to
    /// listen: entries of other processes are noticed only while a worker of this process waits for work.
    pub(super) async fn hear(&self, patience: Duration) {
        let mut news = self.news.subscribe();
        let _ = tokio::time::timeout(patience, news.changed()).await;
    }

    fn listen(&self) -> Listener {
        let (address, options, news) = (self.address.clone(), self.options.clone(), self.news.clone());
        Listener(tokio::spawn(async move {
            loop {
                // If listening ends, another connection may work. Meanwhile workers look by themselves.
                let _ = hear(&address, &options, &news).await;
                sleep(AGAIN).await;
            }
        }))
    }
}

/// Notifies all listeners. A notification need not survive a crash, so it does not wait for the disk.
async fn notify(connections: &Connections) -> Outcome<()> {
    let session = connections.get().await?;
    session.run("BEGIN; SET LOCAL synchronous_commit = off; NOTIFY stepbox_queue; COMMIT").await?;
    session.give_back();
    Ok(())
}

/// Listens until the connection breaks.
async fn hear(
    address: &Address,
    options: &PostgresOptions,
    news: &watch::Sender<u64>,
) -> Result<(), tokio_postgres::Error> {
    let patience = Duration::from_millis(options.connect_timeout_ms);
    let Ok(connected) = tokio::time::timeout(patience, address.connect()).await else { return Ok(()) };
    let (client, mut line) = connected?;
    let listening = async {
        client.batch_execute("LISTEN stepbox_queue").await?;
        // Entries from before this moment were not notified.
        news.send_modify(|news| *news += 1);
        std::future::pending().await
    };
    let hearing = async {
        while let Some(message) = poll_fn(|context| line.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message? {
                news.send_modify(|news| *news += 1);
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = listening => ended,
        ended = hearing => ended,
    }
}
