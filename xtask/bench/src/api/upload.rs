//! The memory of the process while a large component is on its way.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream;
use serde::Serialize;
use stepbox_tests::alone::resident;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::Result;
use crate::client::Client;

/// How much of the upload has arrived when the memory is looked at, in bytes.
const SENT_BYTES: usize = 31 << 20;
const PIECE_BYTES: usize = 64 << 10;

#[derive(Debug, Serialize)]
pub(crate) struct OnItsWay {
    sent_bytes: usize,
    memory_bytes: u64,
}

pub(crate) async fn watch(client: &Client) -> Result<OnItsWay> {
    // A first one, so that the client's and the server's own buffers are there.
    send(client, 1 << 20).await?;
    let memory_bytes = send(client, SENT_BYTES).await?;
    Ok(OnItsWay { sent_bytes: SENT_BYTES, memory_bytes })
}

/// Sends so many bytes of a component, and returns what the process has more then. The upload never ends.
async fn send(client: &Client, bytes: usize) -> Result<u64> {
    let before = resident("VmRSS");
    let (sender, receiver) = mpsc::channel::<Vec<u8>>(1);
    let pieces = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (Ok::<_, Infallible>(piece), receiver))
    });
    let uploading = tokio::spawn(client.upload("/steps", reqwest::Body::wrap_stream(pieces)).send());
    for _ in 0..bytes / PIECE_BYTES {
        sender.send(vec![0; PIECE_BYTES]).await?;
    }
    sleep(Duration::from_secs(1)).await;
    let during = resident("VmRSS");
    uploading.abort();
    drop(sender);
    Ok(during.saturating_sub(before))
}

impl OnItsWay {
    pub(crate) fn print(&self) {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (sent, memory) = (mebibytes(self.sent_bytes as u64), mebibytes(self.memory_bytes));
        println!("{sent:.0} MiB of a component have arrived: {memory:.1} MiB more memory");
    }
}
