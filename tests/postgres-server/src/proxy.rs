//! A piece of network that can be cut.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on, until it is cut: then nothing goes through and nobody is told.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port, for that server.
    pub async fn start(server: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (is_cut, seen) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), seen.clone()));
            }
        });
        Ok(Self { address, is_cut, task })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on nothing goes through; connections stay open, and new ones get no answer.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// What was held up goes on, as TCP would send it again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: String, mut is_cut: watch::Receiver<bool>) -> io::Result<()> {
    wait(&mut is_cut).await;
    let server = TcpStream::connect(server).await?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
    }
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    let both = (copy(client_in, server_out, is_cut.clone()), copy(server_in, client_out, is_cut));
    // Both halves go when one side has gone.
    tokio::select! {
        done = both.0 => done,
        done = both.1 => done,
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut is_cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        wait(&mut is_cut).await;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

/// Waits until the way is free.
async fn wait(is_cut: &mut watch::Receiver<bool>) {
    // Whoever could mend it may have gone.
    let _ = is_cut.wait_for(|is_cut| !is_cut).await;
}
