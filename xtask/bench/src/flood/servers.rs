//! Two servers on loopback for the flood's requests: one reads nothing, one answers each request and closes the
//! connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::Result;

/// Where the servers are. They end with the process.
pub(crate) struct Servers {
    pub(crate) silent: String,
    pub(crate) answering: String,
}

impl Servers {
    pub(crate) fn start() -> Result<Self> {
        let (silent, answering) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let url = |listener: &TcpListener| listener.local_addr().map(|address| format!("http://{address}/"));
        let servers = Self { silent: url(&silent)?, answering: url(&answering)? };
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in silent.incoming().flatten() {
                // Connections beyond a tenant's quota need not be kept: the other side has closed them.
                open.truncate(256);
                open.insert(0, stream);
            }
        });
        thread::spawn(move || answering.incoming().flatten().for_each(answer));
        Ok(servers)
    }
}

fn answer(mut stream: TcpStream) {
    let (mut head, mut piece) = (Vec::new(), [0; 64 << 10]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(bytes) if bytes > 0 && head.len() < 1 << 20 => head.extend_from_slice(&piece[..bytes]),
            _ => return,
        }
    }
    // The client may be gone by now.
    let _ = stream.write_all(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n");
}
