//! Shared code of the tests: an installation in a folder of its own, connectors made of a few lines, and servers on
//! loopback that behave as badly as a test needs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepbox::batch::execution::{JobExecution, SummaryValue};
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::{Builder, NewInstance, Policy, RunOptions, Running, Stepbox, Tenant};
use tempfile::TempDir;
use tokio::sync::mpsc;

mod run;
pub mod served;

pub use stepbox_tests::guard::{mark, tempdir};

/// How long a test waits for an event that is sure to come, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a condition holds.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began_at = Instant::now();
    while !is_so().await {
        assert!(began_at.elapsed() < PATIENCE, "waited for {PATIENCE:?} in vain: never {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An installation with one tenant, with its files in `folder`.
pub struct Installation {
    /// Removed with everything in it at the end, also when the test is killed.
    pub folder: TempDir,
    pub tenant: Tenant,
}

impl Installation {
    /// An installation whose tenant may also reach this machine.
    pub async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    /// The same with further calls of the builder.
    pub async fn with(more: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempdir().expect("a temporary folder");
        let tenant = open(folder.path(), more).await;
        Self { folder, tenant }
    }

    /// Opens the same data again, like another process.
    pub async fn reopened(&self, more: impl FnOnce(Builder) -> Builder) -> Tenant {
        open(self.folder.path(), more).await
    }

    /// A path below the installation's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file below the installation's folder.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Reads a file below the installation's folder.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file with text")
    }

    /// Installs a connector `test` with these `jobs` and these components.
    pub async fn install(&self, components: &[(&str, &str)], jobs: &str) {
        install(&self.tenant, self.folder.path(), components, jobs).await;
    }

    /// Runs a job to its end with the given parameters.
    pub async fn run(&self, job: &str, parameters: Value) -> JobExecution {
        self.start(job, parameters).await.wait().await.expect("the run ends in the store")
    }

    /// The messages of an execution's log, one in each line.
    pub async fn log(&self, id: JobExecutionId) -> String {
        let log = self.tenant.log(id).await.expect("the execution has a log");
        log.into_iter().map(|line| line.message + "\n").collect()
    }

    /// Starts a job with the given parameters.
    pub async fn start(&self, job: &str, parameters: Value) -> Running {
        start(&self.tenant, job, parameters).await
    }
}

/// Opens the data in a folder as an installation of one tenant.
pub async fn open(folder: &Path, more: impl FnOnce(Builder) -> Builder) -> Tenant {
    let policy = Policy::own_machine(folder).with_loopback();
    let builder = Stepbox::builder(folder.join("data")).tenant(TenantId::default(), policy);
    let stepbox = more(builder).open().await.expect("the installation opens");
    stepbox.tenant(&TenantId::default()).expect("the tenant was built")
}

/// Installs a connector `test` for a tenant.
pub async fn install(tenant: &Tenant, folder: &Path, components: &[(&str, &str)], jobs: &str) {
    let folder = folder.join("connector");
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut text = "connector: test\n".to_owned();
    if !components.is_empty() {
        text.push_str("components:\n");
    }
    for (name, path) in components {
        std::fs::copy(path, folder.join(format!("{name}.wasm"))).expect("the guest was built");
        text.push_str(&format!("  {name}: {name}.wasm\n"));
    }
    text.push_str(jobs);
    std::fs::write(folder.join("connector.yaml"), text).expect("a file");
    tenant.install_connector(&folder).await.unwrap_or_else(|error| panic!("{error} {:?}", error.help()));
}

/// Creates an instance of a job and starts it.
pub async fn start(tenant: &Tenant, job: &str, parameters: Value) -> Running {
    let job = tenant.job(job).await.expect("the job is installed");
    let code = format!("i{}", tenant.instances(None).await.expect("instances").len());
    let new = NewInstance {
        connector: job.connector.to_string(),
        job: job.name.to_string(),
        job_type: job.job_type,
        code: code.clone(),
        label: None,
        parameters,
    };
    tenant.create_instance(new).await.unwrap_or_else(|error| panic!("{error:?}"));
    tenant.run(&code, RunOptions::default()).await.expect("the run starts")
}

/// A storage in the parameters.
pub fn local(path: impl AsRef<Path>) -> Value {
    json!({ "type": "local", "file_path": path.as_ref() })
}

/// The result of an execution: its status, and its failures.
pub fn ending(execution: &JobExecution) -> String {
    let mut text = execution.status.to_string();
    for failure in execution.steps.iter().flat_map(|step| &step.failures).chain(&execution.failures) {
        text.push_str(&format!(" [{}] {failure}", failure.code));
    }
    assert!(execution.ended_at.is_some(), "an ended execution says when");
    text
}

/// The counts of a step: `read=3 written=2 filtered=0 skipped=1`.
pub fn counts(execution: &JobExecution, step: usize) -> String {
    let counts = execution.steps[step].counts;
    assert!(counts.add_up(), "{counts:?}");
    let stepbox::batch::execution::Counts { read, written, filtered, skipped } = counts;
    format!("read={read} written={written} filtered={filtered} skipped={skipped}")
}

/// A text or counter of a step's summary; empty if there is none.
pub fn summary(execution: &JobExecution, step: usize, name: &str) -> String {
    execution.steps[step].summary.get(name).map(SummaryValue::to_string).unwrap_or_default()
}

/// What a server on loopback does with a request.
pub enum Manner {
    /// Answers with a status.
    Answers(u16),
    /// Takes it and never answers.
    Hangs,
    /// Begins an answer, and its body, and never continues.
    Stalls,
}

/// A server on loopback that takes requests one by one.
pub struct Server {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// Starts one. It ends with the test's process.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound port");
        let (sender, requests) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let request = read_request(&mut stream);
                if sender.send(request).is_err() {
                    return;
                }
                match manner {
                    Manner::Answers(status) => {
                        let head =
                            format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                        // The client may be gone by now.
                        let _ = stream.write_all(head.as_bytes());
                    }
                    Manner::Hangs => hanging.push(stream),
                    Manner::Stalls => {
                        let _ = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n1");
                        hanging.push(stream);
                    }
                }
            }
        });
        Self { address, requests }
    }

    /// A URL of this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, head and body; waits for it.
    pub async fn request(&mut self) -> String {
        let limit = Duration::from_secs(60);
        let request = tokio::time::timeout(limit, self.requests.recv()).await;
        request.expect("a request arrives").expect("the server lives")
    }

    /// Whether no request has come.
    pub fn is_untouched(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

/// A URL on loopback where nothing listens.
pub fn nobodys_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    format!("http://{}/", listener.local_addr().expect("a bound port"))
}

/// A request, head and body, or its beginning if the connection ends.
pub fn read_request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let body = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            let is_chunked_end = !text.contains("transfer-encoding: chunked") || text.ends_with("0\r\n\r\n");
            if bytes.len() >= head + 4 + body && is_chunked_end {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

/// The program in the form in which a user has it.
pub fn stepbox_binary() -> PathBuf {
    let binary = std::env::current_exe().unwrap().parent().unwrap().join("../stepbox");
    assert!(binary.exists(), "`cargo xtask test` builds {}", binary.display());
    binary
}
