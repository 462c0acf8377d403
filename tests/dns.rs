//! Names whose answers change: Stepbox connects to exactly the checked addresses.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use async_trait::async_trait;
use serde_json::json;
use stepbox::batch::name::TenantId;
use stepbox::{Policy, Resolver, Stepbox, Tenant};
use tempfile::TempDir;

use crate::egress::{Trap, try_requests};

/// A name server on loopback, whose answers expire at once.
struct NameServer {
    address: SocketAddr,
    /// How often a client asked for addresses.
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    /// A server that gives another answer each time, in turns.
    fn start(answers: Vec<Vec<&'static str>>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        let address = socket.local_addr().expect("a bound port");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let question = &buffer[..length];
                // A client that asks for IPv4 and then for IPv6 asks for one thing.
                let is_new = kind_of(question) == A;
                let round = counted.fetch_add(usize::from(is_new), Ordering::SeqCst) - usize::from(!is_new);
                let answer = answer(question, &answers[round % answers.len()]);
                socket.send_to(&answer, client).expect("the client listens");
            }
        });
        Self { address, asked }
    }
}

/// The types of records for addresses (RFC 1035 and 3596).
const A: u16 = 1;
const AAAA: u16 = 28;
/// How long a message's head is, in bytes, and a record up to its data.
const HEAD_BYTES: usize = 12;
const RECORD_BYTES: usize = 12;

/// A question for a name's records of one type.
fn question(name: &str, kind: u16) -> Vec<u8> {
    // A number, flags (recursion desired), one question, no answers.
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("a label of at most 63 bytes"));
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
    message
}

/// The type that a question, which ends with it and its class, asks for.
fn kind_of(question: &[u8]) -> u16 {
    let at = question.len() - 4;
    u16::from_be_bytes([question[at], question[at + 1]])
}

/// The addresses of the type asked for, which expire at once.
fn answer(question: &[u8], addresses: &[&str]) -> Vec<u8> {
    let mut message = question.to_vec();
    (message[2], message[3]) = (0x81, 0x80);
    for address in addresses {
        let (kind, data) = match address.parse().expect("an address") {
            IpAddr::V4(address) => (A, address.octets().to_vec()),
            IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
        };
        if kind == kind_of(question) {
            message[7] += 1;
            // The name is the question's, which begins after the head; class IN; no time to live.
            let length = u8::try_from(data.len()).expect("4 or 16");
            message.extend([0xc0, 12, 0, u8::try_from(kind).expect("1 or 28"), 0, 1, 0, 0, 0, 0, 0, length]);
            message.extend(data);
        }
    }
    message
}

/// The addresses in an answer to a question.
fn addresses(answer: &[u8], question: &[u8]) -> Vec<IpAddr> {
    assert!(question.len() > HEAD_BYTES && answer.len() >= question.len(), "it repeats the question");
    let mut records = &answer[question.len()..];
    let mut addresses = Vec::new();
    while records.len() > RECORD_BYTES {
        let length = usize::from(records[RECORD_BYTES - 1]);
        let (data, rest) = records[RECORD_BYTES..].split_at(length);
        addresses.push(match <[u8; 4]>::try_from(data) {
            Ok(octets) => IpAddr::from(octets),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(data).expect("an address")),
        });
        records = rest;
    }
    addresses
}

/// A resolver that asks only that name server, each time anew.
#[derive(Debug)]
struct Asking(SocketAddr);

#[async_trait]
impl Resolver for Asking {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        for kind in [A, AAAA] {
            let question = question(name, kind);
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
            socket.send_to(&question, self.0).await?;
            let mut buffer = [0; 512];
            let length = socket.recv(&mut buffer).await?;
            found.extend(addresses(&buffer[..length], &question));
        }
        Ok(found)
    }
}

async fn tenant_with(policy: Policy, names: &NameServer) -> (TempDir, Tenant) {
    let folder = crate::support::tempdir().expect("a temporary folder");
    let builder = Stepbox::builder(folder.path().join("data"));
    let builder = builder.tenant(TenantId::default(), policy).resolver(Arc::new(Asking(names.address)));
    let stepbox = builder.open().await.expect("the installation opens");
    let tenant = stepbox.tenant(&TenantId::default()).expect("the tenant was built");
    (folder, tenant)
}

/// The first answer is public; the next one, a moment later, is this machine.
#[tokio::test]
async fn a_name_that_answers_differently_the_second_time_leads_nowhere() {
    let trap = Trap::set();
    // Of the public range, but assigned to no host.
    let names = NameServer::start(vec![vec!["3ffe::1"], vec!["127.0.0.1"], vec!["127.0.0.1", "::1"]]);
    let (folder, tenant) = tenant_with(Policy::nothing(), &names).await;
    let url = format!("http://rebinds.example:{}", trap.port);
    let requests = vec![json!({ "url": format!("{url}/") }); 6];
    let outcomes = try_requests(&folder, &tenant, &[format!("* {url}")], &requests).await;
    let outcomes: Vec<String> = outcomes.into_iter().flat_map(|(http, wasi)| [http, wasi]).collect();
    for (round, outcome) in outcomes.iter().enumerate() {
        let refusal = "`rebinds.example` is a loopback address (127.0.0.1)";
        let is_public = round % 3 == 0;
        assert_eq!(outcome.contains(refusal), !is_public, "{outcome}");
        assert!(!outcome.contains("answered"), "{outcome}");
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), outcomes.len(), "once for each connection");
    assert_eq!(trap.connections(), 0, "nobody was connected to");
}

/// No answer is cached: the answer for one tenant never reaches another tenant.
#[tokio::test]
async fn an_answer_is_kept_for_nobody_and_for_no_other_tenant() {
    let (first, names) = (Trap::answering("127.0.0.2:0"), ["alice", "bob"]);
    let second = Trap::answering(&format!("127.0.0.3:{}", first.port));
    let server =
        NameServer::start(vec![vec!["127.0.0.2"], vec!["127.0.0.2"], vec!["127.0.0.3"], vec!["127.0.0.3"]]);
    let folder = crate::support::tempdir().expect("a temporary folder");
    let mut builder = Stepbox::builder(folder.path().join("data")).resolver(Arc::new(Asking(server.address)));
    for name in names {
        builder = builder.tenant(TenantId::new(name).unwrap(), Policy::nothing().with_loopback());
    }
    let stepbox = builder.open().await.expect("the installation opens");
    let url = format!("http://moves.example:{}", first.port);
    for (name, connections) in names.into_iter().zip([(2, 0), (2, 2)]) {
        let tenant = stepbox.tenant(&TenantId::new(name).unwrap()).expect("the tenant was built");
        let requests = [json!({ "url": format!("{url}/") })];
        let outcomes = try_requests(&folder, &tenant, &[format!("* {url}")], &requests).await;
        assert_eq!(outcomes, [("answered 200".to_owned(), "answered 200".to_owned())], "{name}");
        assert_eq!((first.connections(), second.connections()), connections, "{name}");
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 4, "once for each connection");
}

/// Of several addresses, Stepbox connects only to the open ones, as they were when they were checked.
#[tokio::test]
async fn of_a_mixed_answer_only_the_open_addresses_are_dialled() {
    let first = Trap::answering("127.0.0.2:0");
    let second = Trap::answering(&format!("127.0.0.3:{}", first.port));
    let names = NameServer::start(vec![
        vec!["10.0.0.1", "127.0.0.2", "169.254.169.254"],
        vec!["fd00:ec2::254", "127.0.0.3", "fc00::1"],
    ]);
    let (folder, tenant) = tenant_with(Policy::nothing().with_loopback(), &names).await;
    let url = format!("http://mixed.example:{}", first.port);
    let requests = vec![json!({ "url": format!("{url}/") }); 3];
    let outcomes = try_requests(&folder, &tenant, &[format!("* {url}")], &requests).await;
    for (http, wasi) in &outcomes {
        assert_eq!((http.as_str(), wasi.as_str()), ("answered 200", "answered 200"));
    }
    assert_eq!((first.connections(), second.connections()), (3, 3), "each the one that was judged");
}
