//! The door to a server. The connection is encrypted, as the URL asks, before anything is sent. What the server
//! sends before the login is complete is limited and checked.
//!
//! The library would ask for encryption itself, and then send the password in the way that the server wants. Here
//! the password never leaves in clear text, and a server that sends data without end cannot use up all memory.
//! After the login, the length of messages and answers is limited to what a store may need.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much a server may send before the login is complete, in bytes.
const PREFACE_BYTES_MAX: u64 = 256 << 10;
/// How long a message may be, in bytes: far more than the longest row of a store.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;
/// How long an answer may be in all, in bytes, because the library keeps all of it in memory. Lists that can grow
/// are read in pages.
const ANSWER_BYTES_MAX: u64 = 192 << 20;
/// How much the library keeps for a message in addition to its content, at least, in bytes.
const MESSAGE_BYTES: u64 = 128;
/// How long an error or a notice may be, in bytes.
const WORDS_BYTES_MAX: u64 = 1 << 20;
/// The request for encryption.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Not encrypted.
    None,
    /// Encrypted if the server supports it.
    IfOffered,
    /// Always encrypted.
    Required,
    /// Always encrypted, from the first byte.
    AtOnce,
}

/// Makes doors. The library takes it for the code that encrypts connections, so each connection goes through it.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) tls: MakeRustlsConnect,
    pub(super) encryption: Encryption,
}

type Rustls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

impl MakeTlsConnect<Socket> for Doors {
    type Stream = Door;
    type TlsConnect = Knock;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Knock> {
        let tls = match self.encryption {
            Encryption::None => None,
            _ => Some(
                MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, host).map_err(io::Error::other)?,
            ),
        };
        Ok(Knock { tls, encryption: self.encryption })
    }
}

/// A door that is about to be opened.
pub(super) struct Knock {
    /// `None` for a connection that is not encrypted.
    tls: Option<Rustls>,
    encryption: Encryption,
}

impl TlsConnect<Socket> for Knock {
    type Stream = Door;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Door>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(self.open(socket))
    }
}

impl Knock {
    async fn open(self, mut socket: Socket) -> io::Result<Door> {
        let Some(tls) = self.tls else { return Ok(Door::plain(socket)) };
        if self.encryption != Encryption::AtOnce {
            socket.write_all(&SSL_REQUEST).await?;
            if socket.read_u8().await? != b'S' {
                return match self.encryption {
                    Encryption::IfOffered => Ok(Door::plain(socket)),
                    _ => Err(io::Error::other("the server does not support TLS")),
                };
            }
        }
        let encrypted = tls.connect(socket).await?;
        Ok(Door { line: Line::Encrypted(Box::new(encrypted)), ear: Ear::new(false) })
    }
}

/// An open door.
pub(super) struct Door {
    line: Line,
    ear: Ear,
}

enum Line {
    Plain(Socket),
    Encrypted(Box<Encrypted>),
}

impl Door {
    fn plain(socket: Socket) -> Self {
        Self { line: Line::Plain(socket), ear: Ear::new(true) }
    }
}

impl AsyncRead for Door {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { line, ear } = self.get_mut();
        let before = into.filled().len();
        let read = match line {
            Line::Plain(socket) => Pin::new(socket).poll_read(context, into),
            Line::Encrypted(stream) => Pin::new(stream.as_mut()).poll_read(context, into),
        };
        match read {
            Poll::Ready(Ok(())) => Poll::Ready(ear.hear(&into.filled()[before..]).map_err(io::Error::other)),
            other => other,
        }
    }
}

impl AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().line {
            Line::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Line::Encrypted(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Plain(socket) => Pin::new(socket).poll_flush(context),
            Line::Encrypted(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Line::Encrypted(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

impl TlsStream for Door {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.line {
            Line::Plain(_) => ChannelBinding::none(),
            Line::Encrypted(stream) => stream.channel_binding(),
        }
    }
}

/// Reads what the server sends: the kinds of messages, and the length of each. It ignores their contents, except
/// the kind of password that the server asks for.
#[derive(Debug)]
struct Ear {
    is_plain: bool,
    is_let_in: bool,
    /// How many bytes were received before the login was complete.
    preface_bytes: u64,
    /// The length of the present answer so far.
    answer_bytes: u64,
    /// The kind, the length, and the first number of the present message.
    head: [u8; 9],
    heard: usize,
    /// How many bytes of the message are missing.
    left: u64,
}

/// Why the connection is closed by the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Deaf {
    #[error(
        "the server asks for the password in clear, and the connection is not encrypted: use `sslmode=verify-full`, or \
         `scram-sha-256` in the server's `pg_hba.conf`"
    )]
    PasswordInClear,
    #[error("the server says more than {PREFACE_BYTES_MAX} bytes before it lets anybody in")]
    Preface,
    #[error("the server sends a message of {bytes} bytes")]
    Message { bytes: u64 },
    #[error("the server sends an answer of more than {ANSWER_BYTES_MAX} bytes")]
    Answer,
}

/// The kind and the length of a message.
const HEAD: usize = 5;

impl Ear {
    fn new(is_plain: bool) -> Self {
        Self {
            is_plain,
            is_let_in: false,
            preface_bytes: 0,
            answer_bytes: 0,
            head: [0; 9],
            heard: 0,
            left: 0,
        }
    }

    fn hear(&mut self, mut bytes: &[u8]) -> Result<(), Deaf> {
        while !bytes.is_empty() {
            let wanted = if self.heard < HEAD { HEAD - self.heard } else { self.wanted_of_the_number() };
            if wanted == 0 {
                let passed = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                (self.left, bytes) = (self.left - passed as u64, &bytes[passed..]);
            } else {
                let (now, later) = bytes.split_at(wanted.min(bytes.len()));
                self.head[self.heard..self.heard + now.len()].copy_from_slice(now);
                if self.heard >= HEAD {
                    self.left -= now.len() as u64;
                }
                (self.heard, bytes) = (self.heard + now.len(), later);
                if self.heard == HEAD && self.left == 0 {
                    self.begin_message()?;
                }
                if self.heard == self.head.len() {
                    self.judge_the_number()?;
                }
            }
            if self.heard >= HEAD && self.left == 0 {
                self.heard = 0;
            }
        }
        Ok(())
    }

    fn begin_message(&mut self) -> Result<(), Deaf> {
        let length = u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]);
        // The length counts itself. The library refuses a shorter one.
        self.left = u64::from(length).saturating_sub(4);
        let max = match self.head[0] {
            b'E' | b'N' => WORDS_BYTES_MAX,
            _ if !self.is_let_in => PREFACE_BYTES_MAX,
            _ => MESSAGE_BYTES_MAX,
        };
        if self.left > max {
            return Err(Deaf::Message { bytes: self.left });
        }
        if !self.is_let_in {
            self.preface_bytes += HEAD as u64 + self.left;
            if self.preface_bytes > PREFACE_BYTES_MAX {
                return Err(Deaf::Preface);
            }
        }
        self.is_let_in |= self.head[0] == b'Z';
        self.count_in_answer()
    }

    /// An answer ends when the server is ready for the next question. Notices and notifications are passed on one
    /// by one and not kept, so they do not count.
    fn count_in_answer(&mut self) -> Result<(), Deaf> {
        match self.head[0] {
            b'Z' => self.answer_bytes = 0,
            b'A' | b'N' => {}
            _ => self.answer_bytes += self.left + MESSAGE_BYTES,
        }
        if self.answer_bytes > ANSWER_BYTES_MAX { Err(Deaf::Answer) } else { Ok(()) }
    }

    /// How many bytes are missing of the number that names the kind of password that the server wants.
    fn wanted_of_the_number(&self) -> usize {
        let is_question = self.head[0] == b'R' && self.is_plain && !self.is_let_in;
        if is_question { (self.head.len() - self.heard).min(self.left as usize) } else { 0 }
    }

    fn judge_the_number(&self) -> Result<(), Deaf> {
        const PASSWORD_IN_CLEAR: [u8; 4] = 3_u32.to_be_bytes();
        if self.head[HEAD..] == PASSWORD_IN_CLEAR { Err(Deaf::PasswordInClear) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: u32, content: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend((length + 4).to_be_bytes());
        message.extend(content);
        message
    }

    fn whole(kind: u8, content: &[u8]) -> Vec<u8> {
        message(kind, content.len() as u32, content)
    }

    /// Checks messages that arrive in one piece, and byte by byte.
    fn check(is_plain: bool, messages: &[Vec<u8>], expected: Result<(), Deaf>) {
        let said = messages.concat();
        assert_eq!(Ear::new(is_plain).hear(&said), expected);
        let mut ear = Ear::new(is_plain);
        let piece_by_piece = said.chunks(1).try_for_each(|byte| ear.hear(byte));
        assert_eq!(piece_by_piece, expected);
    }

    #[test]
    fn no_password_is_sent_in_clear_and_no_server_talks_without_an_end() {
        let asks = |what: u32| whole(b'R', &what.to_be_bytes());
        let (let_in, ready) = (asks(0), whole(b'Z', b"I"));
        check(true, &[asks(10), asks(0), whole(b'S', b"a\0b\0"), ready.clone()], Ok(()));
        check(true, &[asks(3)], Err(Deaf::PasswordInClear));
        check(true, &[whole(b'N', b"hello"), asks(3)], Err(Deaf::PasswordInClear));
        check(false, &[asks(3), let_in.clone(), ready.clone()], Ok(()));
        // Only the real request is refused: not the same bytes in another kind of message, after the login, or cut
        // short.
        check(true, &[whole(b'S', &3_u32.to_be_bytes()), let_in.clone(), ready.clone(), asks(3)], Ok(()));
        check(true, &[whole(b'R', b""), whole(b'R', b"\0\0")], Ok(()));
        let notice = whole(b'N', &[b'x'; 60_000]);
        check(true, &vec![notice.clone(); 5], Err(Deaf::Preface));
        check(true, &[let_in.clone(), ready.clone(), vec![notice; 9].concat()], Ok(()));
        let long = u32::MAX - 4;
        check(true, &[message(b'S', long, b"")], Err(Deaf::Message { bytes: u64::from(long) }));
        check(
            true,
            &[ready.clone(), message(b'D', long, b"")],
            Err(Deaf::Message { bytes: u64::from(long) }),
        );
        check(true, &[ready.clone(), message(b'E', 2 << 20, b"")], Err(Deaf::Message { bytes: 2 << 20 }));
        check(true, &[ready.clone(), message(b'D', 60 << 20, b"some")], Ok(()));
    }

    #[test]
    fn an_answer_has_an_end_however_small_its_rows_are() {
        let [ready, row, notice] = [whole(b'Z', b"I"), whole(b'D', b"\0\0"), whole(b'A', b"")];
        let rows = (ANSWER_BYTES_MAX / MESSAGE_BYTES) as usize;
        let mut ear = Ear::new(true);
        ear.hear(&ready).unwrap();
        for _ in 0..2 {
            // The count begins again with each answer.
            ear.hear(&row.repeat(rows / 2)).unwrap();
            ear.hear(&ready).unwrap();
        }
        ear.hear(&notice.repeat(rows + 1)).unwrap();
        assert_eq!(ear.hear(&row.repeat(rows)), Err(Deaf::Answer));
    }
}
