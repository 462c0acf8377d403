//! Secrets: a step that has one does everything with it, and then the test looks for the value everywhere.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use serde_json::json;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::name::TenantId;
use stepbox::batch::remedy::Remedy;
use stepbox::{Policy, Secret, Stepbox, Tenant};
use stepbox_guest_artifacts::hostile;

use crate::support::{self, Installation, ending, local, summary};

/// Has only characters that are valid in a header's name, so that a server can answer with it there.
pub(crate) const VALUE: &str = "S3cr3t-Value_4711~x";
/// Sent in odd pieces; the server must receive exactly this. It ends with a text that only looks like a placeholder.
const ODD: &str = "aVALUEbVALUEVALUEc stepbox-secret-stepboxd";

/// A server that answers with what it received, in its headers, body and trailers, in odd pieces.
pub(crate) struct Echo {
    pub(crate) url: String,
    requests: mpsc::Receiver<String>,
}

impl Echo {
    pub(crate) fn start(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port on loopback");
        let url = format!("http://{}", listener.local_addr().expect("a bound port"));
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = support::read_request(&mut stream);
                // The client may be gone by now.
                let _ = echo(&mut stream, &request);
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { url, requests }
    }

    /// The requests that it has received so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn echo(stream: &mut TcpStream, request: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let authorization = header(request, "authorization").unwrap_or_default();
    // A value that is not a valid name makes an invalid header; the client must not fail because of it.
    let name = authorization.trim_start_matches("Bearer ");
    let name = if name.is_empty() || name.contains(' ') { "x-none" } else { name };
    let head =
        format!("HTTP/1.1 200 OK\r\nx-echo: {authorization}\r\n{name}: 1\r\ntransfer-encoding: chunked\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    let body = body(request);
    for piece in body.as_bytes().chunks(3) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
        stream.write_all(piece)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(format!("0\r\nx-trailer: {authorization}\r\n\r\n").as_bytes())
}

/// The value of a header; names come in lower case.
fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix(&format!("{name}: ")))
}

/// A request's body, its chunks put together.
fn body(request: &str) -> String {
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if header(request, "transfer-encoding") != Some("chunked") {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((length, chunk)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        // A request that breaks off can end anywhere.
        let Some((piece, after)) = chunk.split_at_checked(length) else { break };
        whole.push_str(piece);
        rest = after.trim_start_matches("\r\n");
    }
    whole
}

/// The files below a folder that hold a text.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let with = |path: PathBuf| match path.is_dir() {
        true => files_with(&path, text),
        false => {
            let bytes = std::fs::read(&path).expect("a file");
            let has = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            Vec::from_iter(has.then_some(path))
        }
    };
    entries.flat_map(with).collect()
}

async fn installation(hosts: &[&str]) -> Installation {
    let secret = Secret::new("token", VALUE, hosts.iter().copied()).expect("a secret");
    Installation::with(|builder| {
        let policy = Policy::own_machine(".").with_loopback().with_secret(secret);
        builder.tenant(TenantId::default(), policy)
    })
    .await
}

/// No stored, logged or shown data of an execution has the value.
async fn assert_kept(installation: &Installation, execution: &JobExecution) {
    let log = installation.tenant.log(execution.id).await.expect("the log can be read");
    let shown = format!("{execution:?} {log:?} {:?} {}", installation.tenant, ending(execution));
    for form in [VALUE.to_owned(), VALUE.to_lowercase()] {
        assert!(!shown.contains(&form), "{shown}");
        assert_eq!(files_with(installation.folder.path(), &form), Vec::<PathBuf>::new());
    }
}

pub(crate) fn jobs(echo: &str, other: &str, end: &str, out: &Path) -> String {
    let options = json!({ "token": "${secrets.token}", "echo": echo, "other": other, "end": end });
    format!(
        "jobs:
  hostile:
    type: test
    steps:
      - name: attack
        tasklet: {{ guest: {options} }}
        grants: {{ http: [\"* {echo}\", \"* {other}\"], files: {{ out: write {} }} }}
",
        out.display()
    )
}

pub(crate) async fn nothing_that_a_step_does_lets_a_secret_out() {
    for (end, expected) in [
        ("exit", "COMPLETED"),
        ("fail", "FAILED [fails-with-all-it-saw]"),
        ("panic", "FAILED [step-panicked]"),
    ] {
        let (echo, other) = (Echo::start("127.0.0.1"), Echo::start("127.0.0.2"));
        let installation = installation(&["127.0.0.1"]).await;
        let out = installation.path("out");
        std::fs::create_dir(&out).expect("a folder");
        let jobs = jobs(&echo.url, &other.url, end, &out);
        installation.install(&[("guest", hostile::ECHOES_SECRETS)], &jobs).await;
        let execution = installation.run("hostile", json!({})).await;

        assert!(ending(&execution).starts_with(expected), "{}", ending(&execution));
        assert_outcomes(&installation, &execution).await;
        assert_server_got_it(&echo.requests());
        for request in other.requests() {
            assert!(!request.contains(VALUE) && !request.contains("stepbox-secret-"), "{request}");
            assert!(
                header(&request, "authorization").is_none() && !request.ends_with("0\r\n\r\n"),
                "{request}"
            );
        }
        assert!(!files_with(&out, "stepbox-secret-").is_empty(), "the step wrote what it saw");
        assert!(format!("{execution:?}").contains("stepbox-secret-"), "it was stored");
        assert_kept(&installation, &execution).await;
    }
}

/// The result of each request, through each interface.
async fn assert_outcomes(installation: &Installation, execution: &JobExecution) {
    let log = installation.tenant.log(execution.id).await.expect("the log can be read");
    let placeholder = summary(execution, 0, "seen").split_whitespace().nth(3).expect("the option").to_owned();
    assert_eq!(placeholder.len(), "stepbox-secret-".len() + 32, "{placeholder}");
    let echoed = |text: &str| format!("answered {}", text.replace("VALUE", &placeholder));
    let odd =
        echoed(&ODD.replace("stepbox-secret-stepbox", &format!("stepbox-secret-{}", &placeholder[..7])));
    let not_for = "secret-refused: the secret `token` is not sent: `127.0.0.2` is not among its hosts";
    let not_there = |place: &str| {
        format!(
            "secret-refused: the secret `token` is not sent: it stands in {place}, and is put only into values of \
             headers and into bodies"
        )
    };
    let rows = [
        ("whole", Ok(echoed("one VALUE two VALUE"))),
        ("odd", Ok(odd.clone())),
        ("length", Ok(odd)),
        ("other header", Err(not_for.to_owned())),
        ("other body", Err(not_for.to_owned())),
        ("other odd body", Err(not_for.to_owned())),
        ("path", Err(not_there("a URL"))),
        ("query", Err(not_there("a URL"))),
        ("header name", Err(not_there("the name of a header"))),
    ];
    for (name, expected) in rows {
        let (by_http, by_wasi) = (format!("http {name}"), format!("wasi {name}"));
        // WASI's refusals are codes; their texts are in the log.
        let said = log.iter().skip_while(|line| line.message != by_wasi).nth(1).expect("another line");
        let (found_http, found_wasi) = (summary(execution, 0, &by_http), summary(execution, 0, &by_wasi));
        match expected {
            Ok(answer) => assert_eq!((found_http, found_wasi), (answer.clone(), answer), "{name}"),
            Err(text) => {
                assert_eq!(found_http, format!("refused: {text}"), "{name}");
                assert_eq!(found_wasi, "ErrorCode::HttpRequestDenied", "{name}");
                assert_eq!(said.message, text, "{name}");
            }
        }
    }
}

/// The secret's server received it, in each place, and bodies have the length that they declare.
pub(crate) fn assert_server_got_it(requests: &[String]) {
    let bodies = ["one VALUE two VALUE", "one VALUE two VALUE", ODD, ODD, ODD, ODD];
    assert_eq!(requests.len(), bodies.len(), "{requests:#?}");
    for (request, expected) in requests.iter().zip(bodies) {
        assert_eq!(header(request, "authorization"), Some(format!("Bearer {VALUE}").as_str()), "{request}");
        assert_eq!(body(request), expected.replace("VALUE", VALUE), "{request}");
        if let Some(length) = header(request, "content-length") {
            assert_eq!(length, body(request).len().to_string(), "{request}");
        }
    }
    assert!(header(&requests[0], "content-length").is_some(), "{}", requests[0]);
}

pub(crate) async fn items_hold_placeholders() {
    let echo = Echo::start("127.0.0.1");
    let installation = installation(&["127.0.0.1"]).await;
    let options = json!({ "token": "${secrets.token}", "echo": echo.url });
    let jobs = format!(
        "jobs:
  hostile:
    type: test
    parameters: {{ extends: csv_export }}
    steps:
      - name: attack
        reader: {{ csv: {{ from: \"${{parameters.source}}\" }} }}
        processor: {{ guest: {options} }}
        writer: {{ csv: {{ to: \"${{parameters.storage}}\" }} }}
        checkpoint: {{ items: 1 }}
        grants: {{ http: [\"POST {}\"] }}
",
        echo.url
    );
    installation.install(&[("guest", hostile::LEAKS_SECRETS_IN_ITEMS)], &jobs).await;
    let (source, storage) =
        (installation.write("in.csv", "sku,seen\n1,\nskip,\n3,\n"), installation.path("out.csv"));
    let parameters = json!({ "source": local(source), "storage": local(&storage) });
    let execution = installation.run("hostile", parameters).await;
    assert_eq!(ending(&execution), "COMPLETED");
    let requests = echo.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| body(request) == VALUE), "{requests:?}");
    assert!(!files_with(&storage.with_file_name("data"), "stepbox-secret-").is_empty(), "in rejected items");
    let written = std::fs::read_to_string(&storage).expect("the output");
    assert_eq!(written.matches("stepbox-secret-").count(), 2 * 3, "option, header, body: {written}");
    assert_kept(&installation, &execution).await;
}

/// An installed job, and a secret that was removed since.
#[tokio::test]
async fn a_secret_that_was_removed_fails_the_step_that_asks_for_it() {
    let echo = Echo::start("127.0.0.1");
    let installation = installation(&["127.0.0.1"]).await;
    let jobs = jobs(&echo.url, "http://127.0.0.2:9", "exit", installation.folder.path());
    installation.install(&[("guest", hostile::ECHOES_SECRETS)], &jobs).await;
    let tenant: Tenant = installation.reopened(|builder| builder).await;
    let execution = support::start(&tenant, "hostile", json!({})).await.wait().await.expect("it ends");
    assert_eq!(ending(&execution), "FAILED [secret-unknown] step `attack`: the policy has no secret `token`");
    let remedies = &execution.steps[0].failures[0].remedies;
    assert_eq!(*remedies, [Remedy::AddSecret { secret: "token".to_owned() }]);
    assert_eq!(echo.requests(), Vec::<String>::new());
}

/// `${…}` inside a parameter's value is not expanded.
#[tokio::test]
async fn a_parameter_names_no_secret() {
    let echo = Echo::start("127.0.0.1");
    let installation = installation(&["127.0.0.1"]).await;
    let options = json!({ "token": "Bearer ${secrets.token}", "echo": echo.url, "other": "${parameters.sly}", "end": "exit" });
    let jobs = format!(
        "jobs:
  hostile:
    type: test
    parameters: {{ properties: {{ sly: {{ type: string }} }} }}
    steps: [ {{ name: attack, tasklet: {{ guest: {options} }} , grants: {{ http: [\"* {}\"] }} }} ]
",
        echo.url
    );
    installation.install(&[("guest", hostile::ECHOES_SECRETS)], &jobs).await;
    let execution =
        installation.run("hostile", json!({ "sly": "http://127.0.0.1:9/${secrets.token}" })).await;
    let outcome = summary(&execution, 0, "http other header");
    assert!(outcome.contains("127.0.0.1:9/$%7Bsecrets.token%7D`"), "it stays the text that it is: {outcome}");
}

/// Two tenants: one cannot name the secrets of the other.
#[tokio::test]
async fn a_secret_belongs_to_a_tenant() {
    let folder = support::tempdir().expect("a temporary folder");
    let [acme, other] = ["acme", "other"].map(|name| TenantId::new(name).expect("a name"));
    let secret = Secret::new("token", VALUE, ["a.example"]).expect("a secret");
    let stepbox = Stepbox::builder(folder.path().join("data"))
        .tenant(acme.clone(), Policy::nothing().with_secret(secret))
        .tenant(other.clone(), Policy::nothing());
    let stepbox = stepbox.open().await.expect("the installation opens");
    let connector = folder.path().join("connector");
    std::fs::create_dir(&connector).expect("a folder");
    std::fs::copy(hostile::ECHOES_SECRETS, connector.join("guest.wasm")).expect("the guest was built");
    let jobs = jobs("http://127.0.0.1:9", "http://127.0.0.2:9", "exit", folder.path());
    let text = format!("connector: test\ncomponents: {{ guest: guest.wasm }}\n{jobs}");
    std::fs::write(connector.join("connector.yaml"), text).expect("a file");
    stepbox.tenant(&acme).unwrap().install_connector(&connector).await.expect("its own secret");
    let error = stepbox.tenant(&other).unwrap().install_connector(&connector).await.unwrap_err();
    assert_eq!(error.code(), "secret-unknown", "{error}");
}

/// Secrets without effect prevent the start.
#[tokio::test]
async fn a_secret_without_effect_is_refused_at_the_start() {
    let folder = support::tempdir().expect("a temporary folder");
    let secret = Secret::new("token", VALUE, ["10.0.0.1"]).expect("a secret");
    let policy = Policy::nothing().with_secret(secret);
    let error = Stepbox::builder(folder.path()).tenant(TenantId::default(), policy).open().await.unwrap_err();
    assert_eq!(error.code(), "policy-secret-malformed");
    assert!(error.to_string().contains("the host `10.0.0.1` of the secret `token` has no effect"), "{error}");
    assert!(!format!("{error:?}").contains(VALUE));
}
