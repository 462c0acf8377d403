//! A database that lies or is slow: how much memory a command takes, and how soon it can be interrupted.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use stepbox_tests::alone::watched;

use super::session::Folder;

/// The most memory that a lie may take beside the command's usual memory.
const LIES_BYTES_MAX: u64 = 256 << 20;

/// What the database does, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    /// Notices without an end, before the login is complete.
    Notices,
    /// A message of 2 GiB in place of an answer.
    LongMessage,
    /// Messages of 60 MiB in place of an answer.
    LongRows,
    /// Rows of the right form without an end.
    Rows,
    /// The same with rows of almost no length.
    EmptyRows,
    /// An error of many megabytes.
    Words,
    /// No answer, before or after the login.
    Silence { is_let_in: bool },
    /// A byte each second.
    Drips,
    /// The end of the connection in place of an answer.
    HangsUp,
}

#[test]
fn no_database_takes_memory_or_holds_up_an_interrupt() {
    let folder = Folder::new();
    let after = Duration::from_secs(3);
    let idle = watched(&mut folder.shell("exec stepbox executions list"), after).memory_peak;
    // After the login, the library reports only that the connection was closed.
    let hung_up = "it hung up before it had answered to `SELECT` (connection closed)";
    for (lie, words) in [
        (Lie::Notices, "before it lets anybody in"),
        (Lie::LongMessage, hung_up),
        (Lie::LongRows, hung_up),
        (Lie::Rows, hung_up),
        (Lie::EmptyRows, hung_up),
        (Lie::HangsUp, hung_up),
        (Lie::Words, "xxx"),
        (Lie::Silence { is_let_in: false }, ""),
        (Lie::Silence { is_let_in: true }, ""),
        (Lie::Drips, ""),
    ] {
        let address = start(lie);
        let url = format!("postgres://u@{address}/d?sslmode=disable");
        let mut command = folder.shell("exec stepbox executions list");
        // An answer without an end ends by itself. A silent database is interrupted.
        let patience = match lie {
            Lie::Silence { .. } | Lie::Drips => after,
            _ => Duration::from_secs(60),
        };
        let listed = watched(command.env("STEPBOX_DATABASE_URL", url), patience);
        let said = String::from_utf8_lossy(&listed.output.stderr);
        assert!(!listed.output.status.success() && said.contains(words), "{lie:?}: {said}");
        if words == hung_up {
            let culprit = format!("the store PostgreSQL at {address}/d failed");
            assert!(said.contains(&culprit) && said.contains("help: check the URL"), "{lie:?}: {said}");
        }
        assert!(said.len() < 10_000, "{lie:?}: {} bytes of words", said.len());
        assert!(listed.memory_peak < idle + LIES_BYTES_MAX, "{lie:?}, {} bytes: {said}", listed.memory_peak);
        if patience == after {
            assert!(listed.took < Duration::from_secs(6), "{lie:?}, {:?}: {said}", listed.took);
        }
    }
}

/// Starts a database that does this, and returns its URL. It ends with the test's process.
fn start(lie: Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = listener.local_addr().expect("a bound port").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The client may close the connection at any time.
            thread::spawn(move || talk(stream, lie));
        }
    });
    address
}

fn talk(mut stream: TcpStream, lie: Lie) -> io::Result<()> {
    let greeting = read_message(&mut stream, false)?;
    debug_assert!(!greeting.1.is_empty());
    match lie {
        Lie::Silence { is_let_in: false } => return keep_still(stream),
        Lie::Drips => return repeat(stream, b"R", Duration::from_secs(1)),
        Lie::Notices => {
            stream.write_all(&message(b'R', &[0; 4]))?;
            return repeat(
                stream,
                &message(b'N', b"SNOTICE\0Mmore to come\0\0").repeat(1_000),
                Duration::ZERO,
            );
        }
        _ => {}
    }
    stream.write_all(&[message(b'R', &[0; 4]), ready()].concat())?;
    if lie == (Lie::Silence { is_let_in: true }) {
        return keep_still(stream);
    }
    let mut is_executing = false;
    loop {
        match read_message(&mut stream, true)?.0 {
            // A question without parameters.
            b'Q' => stream.write_all(&[message(b'C', b"SET\0"), ready()].concat())?,
            b'P' => is_executing = false,
            b'B' | b'E' => is_executing = true,
            b'S' if !is_executing => {
                let parts = [message(b'1', b""), message(b't', &[0, 0]), message(b'T', &columns()), ready()];
                stream.write_all(&parts.concat())?;
            }
            b'S' => {
                stream.write_all(&message(b'2', b""))?;
                return answer(stream, lie);
            }
            _ => {}
        }
    }
}

/// The answer to a statement that is executed.
fn answer(mut stream: TcpStream, lie: Lie) -> io::Result<()> {
    let row = |bytes: usize| {
        let mut row = vec![0, 1];
        row.extend((bytes as u32).to_be_bytes());
        row.resize(row.len() + bytes, b'1');
        message(b'D', &row)
    };
    match lie {
        Lie::LongMessage => {
            stream.write_all(&[&b"D"[..], &(2_u32 << 30).to_be_bytes()].concat())?;
            repeat(stream, &[0; 1 << 16], Duration::ZERO)
        }
        Lie::LongRows => repeat(stream, &row(60 << 20), Duration::ZERO),
        Lie::Rows => repeat(stream, &row(1_000), Duration::ZERO),
        Lie::HangsUp => Ok(()),
        Lie::Words => {
            stream.write_all(&message(
                b'E',
                &[&b"SERROR\0C42000\0M"[..], &[b'x'; 900_000], b"\0\0"].concat(),
            ))?;
            repeat(stream, &message(b'N', &[b'x'; 60_000]), Duration::ZERO)
        }
        // A null column takes no room.
        _ => repeat(stream, &message(b'D', &[0, 1, 0xff, 0xff, 0xff, 0xff]).repeat(10_000), Duration::ZERO),
    }
}

fn repeat(mut stream: TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    loop {
        stream.write_all(bytes)?;
        thread::sleep(pause);
    }
}

/// Sends nothing until the other side closes the connection.
fn keep_still(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// The kind of a message and its content. The first message has no kind.
fn read_message(stream: &mut TcpStream, has_kind: bool) -> io::Result<(u8, Vec<u8>)> {
    let (mut kind, mut length) = ([0], [0; 4]);
    if has_kind {
        stream.read_exact(&mut kind)?;
    }
    stream.read_exact(&mut length)?;
    let mut content = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    stream.read_exact(&mut content)?;
    Ok((kind[0], content))
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &(content.len() as u32 + 4).to_be_bytes(), content].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// One column of text, for every statement.
fn columns() -> Vec<u8> {
    let text = 25_u32.to_be_bytes();
    [&[0, 1][..], b"name\0", &[0; 6], &text, &[0xff, 0xff], &[0xff; 4], &[0, 0]].concat()
}
