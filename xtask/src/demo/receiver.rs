//! The application that is notified: a small HTTP server on this machine.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tiny_http::{Response, Server};

/// The request that arrived.
pub(super) struct Notification {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: String,
}

pub(super) struct Receiver {
    url: String,
    arrived: mpsc::Receiver<Notification>,
}

impl Receiver {
    /// Listens until the program ends, on a port that the system chooses.
    pub(super) fn start() -> anyhow::Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port to listen on: {error}"))?;
        let address = server.server_addr().to_ip().context("the server has no address")?;
        let (send, arrived) = mpsc::channel();
        thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let mut body = String::new();
                let is_text = request.as_reader().read_to_string(&mut body).is_ok();
                let (method, path) = (request.method().to_string(), request.url().to_owned());
                let status = if is_text { 200 } else { 400 };
                // A client that does not wait for the answer has notified all the same.
                let _ = request.respond(Response::from_string("").with_status_code(status));
                if send.send(Notification { method, path, body }).is_err() {
                    break;
                }
            }
        });
        Ok(Self { url: format!("http://{address}/products/exported"), arrived })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The first request. The job is over, so the request is there or will never come.
    pub(super) fn notification(&self) -> anyhow::Result<Notification> {
        self.arrived.recv_timeout(Duration::from_secs(1)).context("no notification arrived")
    }
}
