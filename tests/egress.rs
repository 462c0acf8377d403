//! Requests that a hostile step may try, as tables: the spelling of the host, and the error.
//!
//! Each request goes through both interfaces. If `http` refuses a request with a text, `wasi:http` refuses it with a
//! code, and the text is in the log.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::log::LogLevel;
use stepbox::batch::name::TenantId;
use stepbox::{HttpPolicy, Policy, Stepbox, Tenant};
use stepbox_guest_artifacts::hostile;
use tempfile::TempDir;

use crate::support::{self, ending, summary};

/// How many requests one run tries: a summary has at most 100 names, and each request takes two.
const REQUESTS_MAX: usize = 40;

/// Accepts connections, and counts them.
pub(crate) struct Trap {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Trap {
    /// On every address of this machine; sends nothing.
    pub(crate) fn set() -> Self {
        // `[::]` takes IPv4 as well, if there is IPv6.
        let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0"));
        Self::at(listener.expect("a port on every address"), drop)
    }

    /// On one address; answers each connection's request and closes it.
    pub(crate) fn answering(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("a port on loopback");
        Self::at(listener, |mut stream| {
            support::read_request(&mut stream);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            // The client may be gone by now.
            let _ = stream.write_all(answer);
        })
    }

    fn at(listener: TcpListener, serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let port = listener.local_addr().expect("a bound port").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                serve(stream);
            }
        });
        Self { port, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A tenant with a policy, and its folder.
pub(crate) async fn tenant_with(policy: Policy) -> (TempDir, Tenant) {
    let folder = support::tempdir().expect("a temporary folder");
    let builder = Stepbox::builder(folder.path().join("data")).tenant(TenantId::default(), policy);
    let stepbox = builder.open().await.expect("the installation opens");
    let tenant = stepbox.tenant(&TenantId::default()).expect("the tenant was built");
    (folder, tenant)
}

/// Lets the guest `spells_hosts` try requests with grants. Returns the result of each, through `http` and `wasi`.
pub(crate) async fn try_requests(
    folder: &TempDir,
    tenant: &Tenant,
    grants: &[String],
    requests: &[Value],
) -> Vec<(String, String)> {
    let mut outcomes = Vec::new();
    for requests in requests.chunks(REQUESTS_MAX) {
        let (options, grants) = (json!({ "requests": requests }), json!({ "http": grants }));
        let jobs = format!(
            "jobs:
  hostile:
    type: test
    steps:
      - name: attack
        tasklet: {{ guest: {options} }}
        grants: {grants}
"
        );
        support::install(tenant, folder.path(), &[("guest", hostile::SPELLS_HOSTS)], &jobs).await;
        let execution = support::start(tenant, "hostile", json!({})).await.wait().await.expect("it ends");
        assert_eq!(ending(&execution), "COMPLETED");
        outcomes.extend(outcomes_of(tenant, &execution, requests.len()).await);
    }
    outcomes
}

async fn outcomes_of(tenant: &Tenant, execution: &JobExecution, requests: usize) -> Vec<(String, String)> {
    let log = tenant.log(execution.id).await.expect("the log can be read");
    let outcome = |number: usize| {
        let begin = format!("wasi {number}");
        let said = log.iter().skip_while(|line| line.message != begin).nth(1);
        let said = said.filter(|line| line.level == LogLevel::Warning);
        let said = said.map_or("", |line| line.message.as_str());
        let by_wasi = summary(execution, 0, &begin);
        (summary(execution, 0, &format!("http {number}")), format!("{by_wasi} {said}").trim_end().to_owned())
    };
    (0..requests).map(outcome).collect()
}

const LOOPBACK: &str = "loopback addresses are not open";
const PRIVATE: &str = "private addresses are not open";
const NEVER: &str = "such addresses are never opened";

/// A spelling, the host that it means, the kind of host, and the setting that would open it. `PORT` is the trap's.
///
/// Through WASI the refusal is the same, unless WASI does not accept the authority: `WASI_TAKES_NOT`.
const REFUSED_ADDRESSES: &[(&str, &str, &str, &str)] = &[
    // Loopback in every notation of IPv4.
    ("http://127.0.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://2130706433:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://0x7f000001:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://017700000001:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://0177.0.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://0177.0.0.0x1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://0x7f.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.0.0.1.:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.0.0.1%2e:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://%31%32%37.0.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://①②⑦.⓪.⓪.①:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://１２７.０.０.１:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127。0。0。1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.0.0.1:0PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.1.2.3:PORT/", "127.1.2.3", "a loopback address", LOOPBACK),
    // URLs that lenient parsers accept.
    ("HTTP://127.0.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http:127.0.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http:///127.0.0.1:PORT/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http:\\\\127.0.0.1:PORT\\", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.0.0.1:PORT#@granted.example/", "127.0.0.1", "a loopback address", LOOPBACK),
    ("http://127.0.0.1:PORT\\@granted.example/", "127.0.0.1", "a loopback address", LOOPBACK),
    // Names.
    ("http://localhost:PORT/", "localhost", "a loopback address", LOOPBACK),
    ("http://LOCALHOST:PORT/", "localhost", "a loopback address", LOOPBACK),
    ("http://ⓛocalhost:PORT/", "localhost", "a loopback address", LOOPBACK),
    ("http://local%68ost:PORT/", "localhost", "a loopback address", LOOPBACK),
    // Addresses that the kernel treats as this machine.
    ("http://0:PORT/", "0.0.0.0", "a reserved address", NEVER),
    ("http://0.0.0.0:PORT/", "0.0.0.0", "a reserved address", NEVER),
    ("http://[::]:PORT/", "[::]", "a reserved address", NEVER),
    // IPv6, and IPv4 in its wrappings.
    ("http://[::1]:PORT/", "[::1]", "a loopback address", LOOPBACK),
    ("http://[0:0:0:0:0:0:0:1]:PORT/", "[::1]", "a loopback address", LOOPBACK),
    ("http://[::ffff:127.0.0.1]:PORT/", "[::ffff:7f00:1]", "a loopback address", LOOPBACK),
    ("http://[::FFFF:7F00:1]:PORT/", "[::ffff:7f00:1]", "a loopback address", LOOPBACK),
    ("http://[::127.0.0.1]:PORT/", "[::7f00:1]", "a reserved address", NEVER),
    ("http://[::ffff:0:127.0.0.1]:PORT/", "[::ffff:0:7f00:1]", "a reserved address", NEVER),
    ("http://[64:ff9b::127.0.0.1]:PORT/", "[64:ff9b::7f00:1]", "a loopback address", LOOPBACK),
    ("http://[64:ff9b:1::127.0.0.1]:PORT/", "[64:ff9b:1::7f00:1]", "a tunnel address", NEVER),
    ("http://[2002:7f00:1::]:PORT/", "[2002:7f00:1::]", "a tunnel address", NEVER),
    ("http://[2001:0:7f00:1::]:PORT/", "[2001:0:7f00:1::]", "a tunnel address", NEVER),
    ("http://[fec0::1]:PORT/", "[fec0::1]", "a reserved address", NEVER),
    ("http://[fe80::1]:PORT/", "[fe80::1]", "a link-local address", NEVER),
    ("http://[fc00::1]:PORT/", "[fc00::1]", "a private address", PRIVATE),
    // Private networks.
    ("http://10.0.0.1:PORT/", "10.0.0.1", "a private address", PRIVATE),
    ("http://0xa.1:PORT/", "10.0.0.1", "a private address", PRIVATE),
    ("http://172.16.0.1:PORT/", "172.16.0.1", "a private address", PRIVATE),
    ("http://192.168.1.1:PORT/", "192.168.1.1", "a private address", PRIVATE),
    ("http://100.64.0.1:PORT/", "100.64.0.1", "a private address", PRIVATE),
    ("http://[64:ff9b::10.0.0.1]:PORT/", "[64:ff9b::a00:1]", "a private address", PRIVATE),
    // Addresses where clouds give out credentials.
    ("http://169.254.169.254:PORT/", "169.254.169.254", "a cloud metadata address", NEVER),
    ("http://0xa9fea9fe:PORT/", "169.254.169.254", "a cloud metadata address", NEVER),
    ("http://2852039166:PORT/", "169.254.169.254", "a cloud metadata address", NEVER),
    ("http://[::ffff:a9fe:a9fe]:PORT/", "[::ffff:a9fe:a9fe]", "a cloud metadata address", NEVER),
    ("http://[fd00:ec2::254]:PORT/", "[fd00:ec2::254]", "a cloud metadata address", NEVER),
    ("http://169.254.1.1:PORT/", "169.254.1.1", "a link-local address", NEVER),
    ("http://224.0.0.1:PORT/", "224.0.0.1", "a multicast address", NEVER),
    ("http://255.255.255.255:PORT/", "255.255.255.255", "a reserved address", NEVER),
    ("http://192.0.2.1:PORT/", "192.0.2.1", "an address for documentation", NEVER),
];

/// Schemes, authorities and paths that WASI itself refuses, or splits into another request.
const WASI_TAKES_NOT: &[&str] =
    &["①", "１", "。", "ⓛ", "\\\\", "HTTP:", "http:127", "http:///", "%2e", "%31", "%68", "#", "\\@"];

/// URLs without an address that grants or the policy could check, and the error.
const REFUSED_URLS: &[(&str, &str)] = &[
    ("http://granted.example@127.0.0.1:PORT/", "credentials in a URL are not sent"),
    ("http://127.0.0.1:PORT@granted.example/", "credentials in a URL are not sent"),
    ("http://a:b@127.0.0.1:PORT/", "credentials in a URL are not sent"),
    ("http://127.0.0.1:0/", "port 0 is no port"),
    ("http://127.0.0.1:65536/", "is no URL"),
    ("http://127.0.0.1:/PORT", "no grant covers"),
    ("http://[::1%25lo]:PORT/", "is no URL"),
    ("http://[fe80::1%lo]:PORT/", "is no URL"),
    ("http://256.0.0.1:PORT/", "is no URL"),
    ("http://127.0.0.1.1:PORT/", "is no URL"),
    ("http://0x100000000:PORT/", "is no URL"),
    ("http://127.0.0.1%00:PORT/", "is no URL"),
    ("http://127.0.0.1 :PORT/", "is no URL"),
    ("ht\ttp://127.0.0.1:PORT/", "holds a blank or a control character"),
    ("http://127.0\n.0.1:PORT/", "holds a blank or a control character"),
    (" http://127.0.0.1:PORT/ ", "holds a blank or a control character"),
    ("http://granted.example/feed/\nHost: evil\r\n", "holds a blank or a control character"),
    ("http://:PORT/", "is no URL"),
    ("http://", "is no URL"),
    ("//127.0.0.1:PORT/", "is no URL"),
    ("ftp://127.0.0.1:PORT/", "is neither http nor https"),
    ("file:///etc/passwd", "is neither http nor https"),
    ("unix:///run/docker.sock", "is neither http nor https"),
    ("http://127.0.0.1.granted.example:PORT/", "would: `GET http://127.0.0.1.granted.example:PORT`"),
    ("http://granted.example.evil.example/", "would: `GET http://granted.example.evil.example`"),
    ("http://evil-granted.example/", "would: `GET http://evil-granted.example`"),
    ("http://localhost.:PORT/", "`localhost.` "), // not every resolver knows it
    ("http://lоcalhost:PORT/", "would: `GET http://xn--lcalhost-nbh:PORT`"), // a Cyrillic о
];

/// A closed address stays closed in every spelling, however much a job was granted.
pub(crate) async fn every_spelling_is_refused() {
    let trap = Trap::set();
    let with_port = |text: &str| text.replace("PORT", &trap.port.to_string());
    let hosts = REFUSED_ADDRESSES.iter().map(|row| row.1);
    let grants: Vec<String> = hosts
        .chain(["granted.example"])
        .map(|host| format!("* http://{}:{}", host.trim_end_matches('.'), trap.port))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let urls = REFUSED_ADDRESSES.iter().map(|row| row.0).chain(REFUSED_URLS.iter().map(|row| row.0));
    let requests: Vec<Value> = urls.map(|url| json!({ "url": with_port(url) })).collect();
    let (folder, tenant) = tenant_with(Policy::nothing()).await;
    let outcomes = try_requests(&folder, &tenant, &grants, &requests).await;

    let (addresses, urls) = outcomes.split_at(REFUSED_ADDRESSES.len());
    let mut wrong = Vec::new();
    for ((url, host, kind, opened_by), (by_http, by_wasi)) in REFUSED_ADDRESSES.iter().zip(addresses) {
        let (begin, end) = (format!("`{host}` is {kind} ("), format!("), and {opened_by}"));
        let names_all = |text: &str| text.contains(&begin) && text.ends_with(&end);
        let is_told_by_wasi = by_wasi.starts_with("ErrorCode::DestinationIpProhibited") && names_all(by_wasi);
        let is_not_taken =
            WASI_TAKES_NOT.iter().any(|part| url.contains(part)) && !by_wasi.contains("answered");
        if !by_http.starts_with("refused: ") || !names_all(by_http) || !(is_told_by_wasi || is_not_taken) {
            wrong.push(format!("{url:?}\n  http: {by_http}\n  wasi: {by_wasi}"));
        }
    }
    for ((url, expected), (by_http, by_wasi)) in REFUSED_URLS.iter().zip(urls) {
        if !by_http.contains(&with_port(expected)) || by_wasi.is_empty() || by_wasi.contains("answered") {
            wrong.push(format!("{url:?}\n  http: {by_http}\n  wasi: {by_wasi}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(trap.connections(), 0, "nobody was connected to");
}

/// Method, path, headers, and the result through each interface.
type Forged =
    (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

/// Requests that would be other ones on the wire, all to a server that is granted and open.
const FORGED: &[Forged] = &[
    ("GET", "/", &[("x", "a\r\nhost: evil")], "has no possible value", "no such header"),
    ("GET", "/", &[("x", "a\nb")], "has no possible value", "no such header"),
    ("GET", "/", &[("x", "a\0b")], "has no possible value", "no such header"),
    ("GET", "/", &[("x\r\ny", "1")], "has no possible name", "no such header"),
    ("GET", "/", &[("x y", "1")], "has no possible name", "no such header"),
    ("GET", "/", &[("x:y", "1")], "has no possible name", "no such header"),
    ("GET", "/", &[("", "1")], "has no possible name", "no such header"),
    ("GET", "/", &[("Host", "evil.example")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("connection", "x")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("keep-alive", "x")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("proxy-authorization", "x")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("proxy-connection", "x")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("transfer-encoding", "chunked")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("upgrade", "h2c")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("http2-settings", "x")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("expect", "100-continue")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("te", "trailers")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("trailer", "x")], "is set by the runtime alone", "no such header"),
    ("GET", "/", &[("content-length", "5")], "is set by the runtime alone", "HttpRequestBodySize"),
    (
        "GET",
        "/",
        &[("content-length", "0"), ("content-length", "5")],
        "is set by the runtime alone",
        "no such header",
    ),
    ("GET / HTTP/1.1\r\nx: y", "/", &[], "is no method in upper case", "no such method"),
    ("G T", "/", &[], "is no method in upper case", "no such method"),
    ("", "/", &[], "is no method in upper case", "no such method"),
    ("get", "/", &[], "is no method in upper case", "`get` is no method in upper case"),
    ("CONNECT", "/", &[], "is never sent", "is never sent"),
    ("TRACE", "/", &[], "is never sent", "is never sent"),
    ("GET", "http://other.example/", &[], "is no URL", "no such path"),
    ("GET", "other.example", &[], "is no URL", "no such path"),
    ("GET", "@other.example/", &[], "credentials in a URL are not sent", "no such path"),
    ("GET", ".other.example/", &[], "is no URL", "no such path"),
    ("GET", "*", &[], "is no URL", "no such path"),
];

/// No part of a request can make another request of it.
#[tokio::test]
async fn a_request_cannot_carry_another_one() {
    let trap = Trap::set();
    let url = format!("http://127.0.0.1:{}", trap.port);
    let request = |(method, path, headers, ..): &(&str, &str, &[(&str, &str)], &str, &str)| json!({ "url": url, "method": method, "path": path, "headers": headers });
    let requests: Vec<Value> = FORGED.iter().map(request).collect();
    let (folder, tenant) = tenant_with(Policy::nothing().with_loopback()).await;
    let outcomes = try_requests(&folder, &tenant, &[format!("* {url}")], &requests).await;
    let mut wrong = Vec::new();
    for (row, (by_http, by_wasi)) in FORGED.iter().zip(&outcomes) {
        if !by_http.contains(row.3) || !by_wasi.contains(row.4) {
            wrong.push(format!("{row:?}\n  http: {by_http}\n  wasi: {by_wasi}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(trap.connections(), 0, "nothing was sent");
}

/// A granted request is sent only if the operator's policy allows it. The refusal names the list.
#[tokio::test]
async fn a_granted_request_is_cut_down_to_the_policy() {
    let trap = Trap::answering("127.0.0.1:0");
    let closed = Trap::set();
    let http = HttpPolicy::default().with_hosts(["127.0.0.1", "*.example.com"]).unwrap();
    let http = http.with_schemes(["http"]).unwrap().with_methods(["GET"]).unwrap();
    let policy = Policy::nothing().with_loopback().with_http(http.with_ports([trap.port]).unwrap());
    let (port, other_port) = (trap.port, closed.port);
    let grants = [
        format!("* http://127.0.0.1:{port}"),
        format!("* https://127.0.0.1:{port}"),
        format!("* http://localhost:{port}"),
        format!("* http://127.0.0.1:{other_port}"),
    ];
    let rows = [
        ("GET", format!("http://127.0.0.1:{port}"), "answered 200".to_owned()),
        ("GET", format!("https://127.0.0.1:{port}"), lacks("schemes", "https")),
        ("GET", format!("http://localhost:{port}"), lacks("hosts", "localhost")),
        ("GET", format!("http://127.0.0.1:{other_port}"), lacks("ports", &other_port.to_string())),
        ("POST", format!("http://127.0.0.1:{port}"), lacks("methods", "POST")),
    ];
    let requests: Vec<Value> =
        rows.iter().map(|(method, url, _)| json!({ "method": method, "url": url })).collect();
    let (folder, tenant) = tenant_with(policy).await;
    let outcomes = try_requests(&folder, &tenant, &grants, &requests).await;
    for ((method, url, expected), (by_http, by_wasi)) in rows.iter().zip(&outcomes) {
        assert!(by_http.contains(expected), "{method} {url}: {by_http}");
        assert!(by_wasi.contains(expected), "{method} {url}: {by_wasi}");
        assert!(
            expected.starts_with("answered") || by_http.contains(&format!("`{method} {url}` is granted"))
        );
    }
    assert_eq!((trap.connections(), closed.connections()), (2, 0), "one request, through each door");
}

fn lacks(list: &str, value: &str) -> String {
    format!("but `{value}` is not among the {list} that the policy allows")
}

/// A policy with a setting without effect prevents the start.
#[tokio::test]
async fn a_policy_without_effect_is_refused_at_the_start() {
    let folder = support::tempdir().expect("a temporary folder");
    let policy = Policy::nothing().with_http(HttpPolicy::default().with_hosts(["10.0.0.1"]).unwrap());
    let builder = Stepbox::builder(folder.path().join("data")).tenant(TenantId::default(), policy);
    let error = builder.open().await.unwrap_err();
    assert_eq!(error.code(), "policy-http-malformed");
    assert!(
        error.to_string().contains("`10.0.0.1` among the hosts that the policy allows has no effect"),
        "{error}"
    );
}
