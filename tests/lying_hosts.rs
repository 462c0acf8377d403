//! Servers that steps call, and that lie or are slow: how much memory they take, and how soon a step can be stopped.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use stepbox::batch::name::TenantId;
use stepbox::{Policy, Quotas};
use stepbox_guest_artifacts::hostile;
use stepbox_tests::alone::{Watch, is_alone};

use crate::support::{Installation, ending, read_request};

/// How long a step is lied to before it is stopped.
const PATIENCE_WITH_LIES: Duration = Duration::from_secs(2);
/// How soon it must have ended then: the grace of a second, and a busy machine.
const STOP_MAX: Duration = Duration::from_secs(6);
/// The most memory that a lie may take beside the step's own.
const LIES_BYTES_MAX: u64 = 256 << 20;

/// The bytes that a server sends: once, and then again and again, with a pause in between.
struct Manner {
    name: &'static str,
    first: &'static [u8],
    again: Vec<u8>,
    pause: Duration,
}

fn manners() -> Vec<Manner> {
    let at_once = Duration::ZERO;
    let manner = |name, first, again: &[u8], pause| Manner { name, first, again: again.to_vec(), pause };
    let (ok, chunked): (&[u8], &[u8]) =
        (b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n");
    let piece = [&b"10000\r\n"[..], &[b'x'; 1 << 16], b"\r\n"].concat();
    vec![
        manner("a head without an end", ok, b"x-more: and more of it\r\n", at_once),
        manner("a header without an end", b"HTTP/1.1 200 X\r\nx: ", &[b'x'; 1 << 16], at_once),
        manner("interim answers without an end", b"", b"HTTP/1.1 103 X\r\nlink: <a>\r\n\r\n", at_once),
        manner("a body without an end", b"HTTP/1.1 200 X\r\n\r\n", &[b'x'; 1 << 16], at_once),
        manner("chunks without an end", chunked, &piece, at_once),
        manner("chunks of a byte", chunked, b"1\r\nx\r\n", at_once),
        manner(
            "an extension of a chunk",
            b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n1;",
            &[b'x'; 1 << 16],
            at_once,
        ),
        manner(
            "trailers without an end",
            b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            b"x-more: and more of it\r\n",
            at_once,
        ),
        manner(
            "a long body, a byte each second",
            b"HTTP/1.1 200 X\r\ncontent-length: 1152921504606846976\r\n\r\n",
            b"x",
            Duration::from_secs(1),
        ),
        manner("a head, a byte each second", ok, b"x", Duration::from_secs(1)),
        manner("nothing", b"", b"", Duration::from_secs(1)),
    ]
}

/// A server of that manner. It ends with the test's process.
fn start(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let url = format!("http://{}/", listener.local_addr().expect("a bound port"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            read_request(&mut stream);
            // The client may close the connection at any time.
            let _ = talk(&mut stream, &manner);
        }
    });
    url
}

fn talk(stream: &mut TcpStream, manner: &Manner) -> std::io::Result<()> {
    stream.write_all(manner.first)?;
    loop {
        stream.write_all(&manner.again)?;
        thread::sleep(manner.pause);
    }
}

/// In a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_host_takes_memory_or_holds_up_a_stop() {
    if !is_alone("lying_hosts::no_host_takes_memory_or_holds_up_a_stop") {
        return;
    }
    for manner in manners() {
        let name = manner.name;
        let url = start(manner);
        let quotas = Quotas { stop_grace_ms: 1_000, ..Quotas::default() };
        let policy = Policy::own_machine(".").with_loopback().with_quotas(quotas);
        let installation = Installation::with(|builder| builder.tenant(TenantId::default(), policy)).await;
        let (options, grants) = (json!({ "url": url }), json!({ "http": [format!("GET {url}")] }));
        let jobs = format!(
            "jobs: {{ wait: {{ type: test, steps: [ {{ name: wait, tasklet: {{ guest: {options} }}, grants: {grants}, \
             limits: {{ memory_bytes_max: 67108864 }} }} ] }} }}\n"
        );
        installation.install(&[("guest", hostile::WAITS_FOR_HTTP)], &jobs).await;
        let watch = Watch::begin();
        let mut running = installation.start("wait", json!({})).await;
        let ended = tokio::time::timeout(PATIENCE_WITH_LIES, running.wait()).await;
        let execution = match ended {
            Ok(execution) => execution.unwrap(),
            Err(_) => {
                let asked_at = Instant::now();
                // It may have ended just now.
                let _ = running.stop().await;
                let execution = running.wait().await.unwrap();
                assert!(asked_at.elapsed() < STOP_MAX, "{name}: {:?}", asked_at.elapsed());
                execution
            }
        };
        // No answer was complete.
        assert_ne!(ending(&execution), "COMPLETED", "{name}");
        let peak = watch.memory_peak();
        assert!(peak < LIES_BYTES_MAX, "{name}: {peak} bytes");
    }
}
