//! A server on loopback that speaks S3: `s3s-fs`, which checks signatures and supports ranges, conditions and
//! multipart uploads. It stores files, so a test sees the objects as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use hyper::body::{Bytes, Frame, Incoming};
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
    /// One request in this many is answered with 503; 0 for none.
    pub busy_each: AtomicU64,
    /// One request in this many breaks the connection; 0 for none.
    pub breaks_each: AtomicU64,
    requests: AtomicU64,
    /// Each request, by method and path with query.
    seen: Arc<Mutex<Vec<String>>>,
    /// Lies in place of the true answer, and the requests that get them.
    lies: Mutex<Vec<(String, Lie)>>,
}

/// An answer that is not true.
#[derive(Clone)]
pub enum Lie {
    /// No answer.
    Silence,
    /// The true answer, a byte each second.
    Drips,
    /// A status, and then a body without an end.
    WithoutEnd(u16),
    /// A status and a body, in place of the true ones. The request is not carried out.
    Says(u16, String),
    /// The same with a header.
    SaysWith(u16, &'static str, String, Vec<u8>),
    /// The true answer with another header.
    With(&'static str, String),
    /// The true answer, in which one text of the body is replaced by another.
    Replaces(&'static str, String),
}

/// A server with the bucket `acme`.
pub struct BucketServer {
    address: SocketAddr,
    root: TempDir,
    pub trouble: Arc<Trouble>,
}

impl BucketServer {
    /// Starts a server on a thread of its own. It ends with the test's process.
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

    /// Its bucket below a prefix, as an operator's storage.
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

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The keys that it accepts.
    pub fn keys() -> (&'static str, &'static str) {
        (KEY_ID, SECRET)
    }

    /// Stores an object without a request.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.root.path().join("acme").join(key);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    /// Removes all objects below a key without a request.
    pub fn remove(&self, key: &str) {
        std::fs::remove_dir_all(self.root.path().join("acme").join(key)).expect("a folder");
    }

    /// The earlier and the later requests: `GET /acme/in.csv?…`.
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

    /// How many multipart uploads were never completed. Each has files for its pieces beside the bucket.
    pub fn unfinished_uploads(&self) -> usize {
        let entries = std::fs::read_dir(self.root.path()).expect("its folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        let id = |name: String| {
            Some(name.split_once("upload")?.1.split_once('-')?.1.split_once('.')?.0.to_owned())
        };
        names.filter_map(id).collect::<BTreeSet<_>>().len()
    }

    /// From now on answers requests with a lie if their line contains the text, such as `GET /acme/shop/in.csv`.
    pub fn lie(&self, to: &str, lie: Lie) {
        self.trouble.lies.lock().expect("nobody panicked").push((to.to_owned(), lie));
    }

    /// From now on answers all requests with the truth.
    pub fn be_honest(&self) {
        self.trouble.lies.lock().expect("nobody panicked").clear();
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
            // A file that is just being renamed is skipped.
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
    let line = format!("{} {}", request.method(), request.uri());
    trouble.seen.lock().expect("nobody panicked").push(line.clone());
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
    let lies = trouble.lies.lock().expect("nobody panicked").clone();
    let lie = lies.into_iter().find(|(to, _)| line.contains(to.as_str())).map(|(_, lie)| lie);
    let truth = async {
        let answer = service.call(request.map(s3s::Body::from)).await;
        answer.map_err(|error| io::Error::other(format!("{error:?}")))
    };
    match lie {
        Some(lie) => tell(lie, truth).await,
        None => truth.await,
    }
}

async fn tell(
    lie: Lie,
    truth: impl Future<Output = Result<Response<s3s::Body>, io::Error>>,
) -> Result<Response<s3s::Body>, io::Error> {
    let says = |status: u16, body: s3s::Body| {
        Response::builder().status(status).body(body).map_err(io::Error::other)
    };
    match lie {
        Lie::Silence => std::future::pending().await,
        Lie::Says(status, text) => says(status, text.into()),
        Lie::SaysWith(status, name, value, bytes) => {
            let mut answer = says(status, bytes.into())?;
            answer.headers_mut().insert(name, value.parse().map_err(io::Error::other)?);
            Ok(answer)
        }
        Lie::WithoutEnd(status) => {
            let zeros = Bytes::from(vec![b'0'; 1 << 16]);
            let endless = futures_util::stream::repeat_with(move || Ok::<_, io::Error>(zeros.clone()));
            says(status, streamed(endless))
        }
        Lie::Drips => {
            let (head, body) = truth.await?.into_parts();
            let bytes = collected(body).await?;
            let drips = futures_util::stream::iter(bytes).then(|byte| async move {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Ok::<_, io::Error>(Bytes::from(vec![byte]))
            });
            Ok(Response::from_parts(head, streamed(drips)))
        }
        Lie::With(name, value) => {
            let mut answer = truth.await?;
            answer.headers_mut().insert(name, value.parse().map_err(io::Error::other)?);
            Ok(answer)
        }
        Lie::Replaces(text, with) => {
            let (mut head, body) = truth.await?.into_parts();
            let bytes = collected(body).await?;
            let changed = String::from_utf8_lossy(&bytes).replace(text, &with);
            head.headers.remove("content-length");
            Ok(Response::from_parts(head, changed.into()))
        }
    }
}

fn streamed(pieces: impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static) -> s3s::Body {
    s3s::Body::http_body_unsync(http_body_util::StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
}

async fn collected(body: s3s::Body) -> io::Result<Bytes> {
    let collected = http_body_util::BodyExt::collect(body).await;
    Ok(collected.map_err(|error| io::Error::other(error.to_string()))?.to_bytes())
}
