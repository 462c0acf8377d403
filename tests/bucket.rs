//! A server on loopback that speaks S3: `s3s-fs`, which checks signatures and knows ranges, conditions and
//! multipart uploads. What it keeps are files, so a test sees them as they are.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use stepbox::{NamedStorage, S3Settings};
use tempfile::TempDir;
use tokio::net::TcpListener;

const KEY_ID: &str = "AKIATESTKEY";
const SECRET: &str = "a-test-secret-that-nobody-sees";

/// What the server does to requests before it answers them.
#[derive(Default)]
pub struct Trouble {
    /// Each request of so many is answered with 503; 0 for none.
    pub busy_each: AtomicU64,
    /// Each request of so many breaks the connection; 0 for none.
    pub breaks_each: AtomicU64,
    requests: AtomicU64,
    /// Each request, by method and path with query.
    seen: Arc<Mutex<Vec<String>>>,
}

/// A server with the bucket `acme`.
pub struct BucketServer {
    address: SocketAddr,
    root: TempDir,
    pub trouble: Arc<Trouble>,
}

impl BucketServer {
    /// Starts one on a thread of its own. It ends with the test's process.
    pub fn start() -> Self {
        let root = crate::support::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join("acme")).expect("a bucket");
        let mut builder =
            S3ServiceBuilder::new(FileSystem::new(root.path()).expect("a folder that is there"));
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = builder.build();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound port");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let trouble = Arc::<Trouble>::default();
        let shared = trouble.clone();
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let (service, trouble) = (service.clone(), shared.clone());
                let answers = service_fn(move |request| answer(service.clone(), trouble.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answers));
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        std::thread::spawn(move || runtime.block_on(serve));
        Self { address, root, trouble }
    }

    /// Its bucket below a prefix, as an operator names it.
    pub fn storage(&self, name: &str, prefix: &str) -> NamedStorage {
        self.storage_with(name, |settings| settings.prefix = prefix.to_owned())
    }

    /// The same with other settings.
    pub fn storage_with(&self, name: &str, change: impl FnOnce(&mut S3Settings)) -> NamedStorage {
        let mut settings = S3Settings {
            bucket: "acme".to_owned(),
            prefix: String::new(),
            region: "eu-central-1".to_owned(),
            endpoint: Some(self.endpoint()),
            access_key_id: KEY_ID.into(),
            secret_access_key: SECRET.into(),
        };
        change(&mut settings);
        NamedStorage::s3(name, &settings).expect("these settings")
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it lets in.
    pub fn keys() -> (&'static str, &'static str) {
        (KEY_ID, SECRET)
    }

    /// Puts an object there without asking it.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.root.path().join("acme").join(key);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    /// Removes all below a key without asking it.
    pub fn remove(&self, key: &str) {
        std::fs::remove_dir_all(self.root.path().join("acme").join(key)).expect("a folder");
    }

    /// The requests so far, and those to come: `GET /acme/in.csv?…`.
    pub fn listen(&self) -> Arc<Mutex<Vec<String>>> {
        self.trouble.seen.clone()
    }

    /// All objects that the server would show, by their keys.
    pub fn objects(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let root = self.root.path().join("acme");
        collect(&root, &root, &mut found);
        found
    }

    /// What its own folder holds beside the bucket: uploads that were never completed.
    pub fn unfinished_uploads(&self) -> usize {
        let entries = std::fs::read_dir(self.root.path()).expect("its folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        names.filter(|name| name.contains("upload_id") || name.starts_with(".upload-")).count()
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.trouble.requests.load(Ordering::Relaxed)
    }
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let key = path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
            // One that is just being renamed is none.
            if let Ok(bytes) = std::fs::read(&path) {
                found.insert(key, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
}

async fn answer(
    service: S3Service,
    trouble: Arc<Trouble>,
    request: Request<Incoming>,
) -> Result<Response<s3s::Body>, io::Error> {
    let number = trouble.requests.fetch_add(1, Ordering::Relaxed) + 1;
    trouble.seen.lock().expect("nobody panicked").push(format!("{} {}", request.method(), request.uri()));
    let is_due = |each: &AtomicU64| match each.load(Ordering::Relaxed) {
        0 => false,
        each => number.is_multiple_of(each),
    };
    if is_due(&trouble.breaks_each) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    if is_due(&trouble.busy_each) {
        let mut busy = Response::new(s3s::Body::empty());
        *busy.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(busy);
    }
    service.call(request.map(s3s::Body::from)).await.map_err(|error| io::Error::other(format!("{error:?}")))
}
