//! A part of the network that can be cut.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections until it is cut. Then nothing goes through, and neither side is informed.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Whether requests are held back.
    holds_requests: bool,
    /// Whether answers are held back.
    holds_answers: bool,
    /// How often all connections were broken off.
    broken: u64,
}

impl Proxy {
    /// Listens on a free port, for that server.
    pub async fn start(server: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, seen) = watch::channel(State::default());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), seen.clone()));
            }
        });
        Ok(Self { address, state, task })
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on nothing goes through. Connections stay open, and new ones get no answer.
    pub fn cut(&self) {
        self.state.send_modify(|state| (state.holds_requests, state.holds_answers) = (true, true));
    }

    /// From now on requests go through, and no answer comes back.
    pub fn hold_answers(&self) {
        self.state.send_modify(|state| (state.holds_requests, state.holds_answers) = (false, true));
    }

    /// Breaks off every connection, and lets new ones through. Data that was held back is lost.
    pub fn break_off(&self) {
        self.state.send_modify(|state| *state = State { broken: state.broken + 1, ..State::default() });
    }

    /// Data that was held back goes through, as TCP would send it again.
    pub fn mend(&self) {
        self.state.send_modify(|state| *state = State { broken: state.broken, ..State::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: String, state: watch::Receiver<State>) -> io::Result<()> {
    let broken = state.borrow().broken;
    let mut watched = state.clone();
    let passing = async {
        wait(&mut state.clone(), |state| !state.holds_requests).await;
        let server = TcpStream::connect(server).await?;
        for end in [&client, &server] {
            end.set_nodelay(true)?;
        }
        let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
        // Both directions end when one side has gone.
        tokio::select! {
            done = copy(client_in, server_out, state.clone(), |state| !state.holds_requests) => done,
            done = copy(server_in, client_out, state.clone(), |state| !state.holds_answers) => done,
        }
    };
    tokio::select! {
        done = passing => done,
        () = wait(&mut watched, |state| state.broken != broken) => Ok(()),
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    is_open: fn(&State) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        wait(&mut state, is_open).await;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

/// Waits for a state. If the sender of states is gone, waits for ever.
async fn wait(state: &mut watch::Receiver<State>, is_wanted: impl Fn(&State) -> bool) {
    if state.wait_for(|state| is_wanted(state)).await.is_err() {
        std::future::pending().await
    }
}
