//! A server that answers exactly the bytes that a test gives it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stepbox_client::{Client, Tenant, Token};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// It sends these bytes, and closes the connection.
    Bytes(Vec<u8>),
    /// It sends these bytes, then those again and again, until nobody reads.
    Endless(Vec<u8>, Vec<u8>),
    /// It sends these bytes, and then nothing.
    Stall(Vec<u8>),
}

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The method and the path.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A server on this machine.
pub(crate) struct Server {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A server with an answer for each request. The last one is repeated.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<_> = answers.into_iter().collect();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let known = asked.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, answers.clone(), known.clone()));
            }
        });
        Self { address, asked }
    }

    /// The requests that have arrived.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// A client with a token, which does not wait for long.
    pub(crate) fn client(&self) -> Client {
        let builder = Client::builder(&self.address).token(Token::new("sbx_secret").unwrap());
        builder.silence_max(Duration::from_millis(300)).answer_bytes_max(64 * 1024).build().unwrap()
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.client().tenant("acme")
    }
}

/// Reads one request, and answers it.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: Vec<Answer>,
    known: Arc<Mutex<Vec<Asked>>>,
) {
    let Some(asked) = read(&mut stream).await else { return };
    let answer = {
        let mut known = known.lock().unwrap();
        known.push(asked);
        answers[(known.len() - 1).min(answers.len() - 1)].clone()
    };
    let (bytes, rest) = match &answer {
        Answer::Bytes(bytes) | Answer::Stall(bytes) => (bytes, None),
        Answer::Endless(bytes, rest) => (bytes, Some(rest)),
    };
    if stream.write_all(bytes).await.is_err() {
        return;
    }
    while let Some(rest) = rest {
        if stream.write_all(rest).await.is_err() {
            return;
        }
    }
    if let Answer::Stall(_) = answer {
        // Until the client has closed the connection.
        let mut byte = [0];
        while stream.read(&mut byte).await.is_ok_and(|length| length > 0) {}
    }
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut asked = Asked { line, headers, body: bytes.split_off(end + 4) };
    let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    while asked.body.len() < length {
        if stream.read_buf(&mut asked.body).await.ok()? == 0 {
            break;
        }
    }
    Some(asked)
}

/// A whole answer.
pub(crate) fn answer(status: &str, headers: &[&str], body: &str) -> Answer {
    Answer::Bytes(whole(status, headers, body))
}

pub(crate) fn whole(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

pub(crate) const OF_JSON: &str = "Content-Type: application/json";

/// A good answer of JSON.
pub(crate) fn json(body: &str) -> Answer {
    answer("200 OK", &[OF_JSON], body)
}

/// A problem document.
pub(crate) fn problem(status: &str, headers: &[&str], code: &str) -> Answer {
    let body = format!(
        r#"{{"type":"/errors/{code}","title":"t","status":1,"code":"{code}","detail":"it is {code}"}}"#
    );
    let headers: Vec<_> = headers.iter().copied().chain(["Content-Type: application/problem+json"]).collect();
    answer(status, &headers, &body)
}

/// The beginning of an answer whose end is the end of the connection.
pub(crate) fn open_head(kind: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n").into_bytes()
}
