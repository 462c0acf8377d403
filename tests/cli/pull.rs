//! `stepbox steps pull`, from a real registry and from one that lies.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stepbox::digest_of;
use stepbox_guest_artifacts::steps;
use stepbox_tests::alone::watched;

use super::registry::Registry;
use super::session::Folder;
use super::twice::play_here;
use crate::signatures::Key;
use crate::support::{PATIENCE, read_request};

fn manifest(layers: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.wasm.config.v0+json" },
        "layers": vec![json!({ "mediaType": "application/wasm" }); layers],
    })
}

#[test]
fn components_are_pulled_by_their_digest() {
    let (Some(open), Some(closed)) = (Registry::start(false), Registry::start(true)) else { return };
    let prepare = || {
        let folder = Folder::new();
        let notify = std::fs::read(steps::NOTIFY).expect("the guest was built");
        let config = br#"{"architecture":"wasm","os":"wasip2","layerDigests":[]}"#;
        let put = |name: &str, registry: &Registry, manifest: Value, layers: &[&[u8]]| {
            let digest = registry.push("acme/notify", name, manifest, config, layers);
            let reference = format!("oci://{}/acme/notify", registry.address);
            folder.write(&format!("{name}.tag"), format!("{reference}:{name}"));
            folder.write(&format!("{name}.ref"), format!("{reference}@{digest}"));
        };
        put("notify", &open, manifest(1), &[&notify]);
        put("closed", &closed, manifest(1), &[&notify]);
        put("two", &open, manifest(2), &[&notify, b"another"]);
        put("text", &open, manifest(1), &[b"no component"]);
        let mut image = manifest(1);
        image["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
        put("image", &open, image, &[&notify]);
        folder.write("missing.ref", format!("oci://{}/acme/notify@sha256:{}", open.address, "0".repeat(64)));
        let auths = json!({ "auths": { closed.address.as_str(): { "auth": "YWNtZTpzZWNyZXQ=" } } });
        folder.write("logged-in/config.json", auths.to_string());

        let key = Key::new();
        folder.write("acme.pub", key.public());
        folder.write("notify.minisig", key.sign(&notify));
        folder
    };
    play_here("pull", &prepare());
}

/// The answer of a lying registry to a path.
#[derive(Clone)]
enum Answer {
    Bytes(Vec<u8>),
    /// Announces more bytes than it sends.
    BreaksOff,
    /// Sends zeros for as long as the client takes them.
    WithoutEnd,
    /// Sends nothing, and does not close the connection.
    Silence,
    /// Sends a byte each second.
    Drips,
}

/// A registry that answers only the given paths, and counts all other requests.
struct Liar {
    address: String,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    others: Arc<AtomicUsize>,
}

impl Liar {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound port").to_string();
        let answers = Arc::new(Mutex::new(BTreeMap::from([("/v2/".to_owned(), Answer::Bytes(Vec::new()))])));
        let others = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (answers.clone(), others.clone());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = read_request(&mut stream);
                let path = request.split(' ').nth(1).unwrap_or_default();
                let answer = told.lock().expect("nobody panics here").get(path).cloned();
                // A client may close the connection at any time.
                let _ = match answer {
                    Some(Answer::Bytes(bytes)) => write!(stream, "{}", head(200, bytes.len() as u64))
                        .and_then(|()| stream.write_all(&bytes)),
                    Some(Answer::BreaksOff) => write!(stream, "{}some", head(200, 1000)),
                    Some(Answer::WithoutEnd) => {
                        let zeros = [0; 1 << 16];
                        let mut sent = write!(stream, "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n");
                        while sent.is_ok() {
                            sent = stream.write_all(&zeros);
                        }
                        sent
                    }
                    Some(Answer::Silence) => {
                        // The connection stays open for longer than the test waits.
                        thread::sleep(PATIENCE);
                        Ok(())
                    }
                    Some(Answer::Drips) => {
                        let mut sent = write!(stream, "{}", head(200, 1000));
                        while sent.is_ok() {
                            thread::sleep(Duration::from_secs(1));
                            sent = stream.write_all(b"x");
                        }
                        sent
                    }
                    None => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        write!(stream, "{}", head(404, 0))
                    }
                };
            }
        });
        Self { address, answers, others }
    }

    fn answer(&self, path: String, answer: Answer) {
        self.answers.lock().expect("nobody panics here").insert(path, answer);
    }
}

fn head(status: u16, length: u64) -> String {
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
}

/// The registry could choose the host for the login, and the password was sent there.
#[test]
fn a_registry_gets_no_credentials_for_others() {
    let folder = Folder::new();
    let (registry, elsewhere) = (Login::start(), Login::start());
    let digest = "3".repeat(64);
    let pull = |more: &str| {
        let line = format!(
            "STEPBOX_REGISTRY_PASSWORD=hunter2 stepbox steps pull oci://{}/a@sha256:{digest} --username me {more}",
            registry.address
        );
        let said = folder.shell(&line).output().expect("`sh` runs").stderr;
        String::from_utf8_lossy(&said).into_owned()
    };
    registry.sends_to(&format!("http://{}/token", elsewhere.address));
    let told = pull("");
    assert!(told.contains("errors#pull-other-auth-host"), "{told}");
    assert!(told.contains(&format!("--auth-host {}", elsewhere.address)), "{told}");
    assert_eq!(elsewhere.seen(), 0);
    let told = pull(&format!("--auth-host {}", elsewhere.address));
    assert!(told.contains("errors#pull-failed") && told.contains("no token that can be read"), "{told}");
    assert_eq!(elsewhere.seen(), 1);
    registry.sends_to("file:///etc/passwd");
    assert!(pull("").contains("errors#pull-failed"));
    assert!(!pull("").contains("hunter2"));
}

/// A registry that requires a login, or the host that it names for the login.
struct Login {
    address: String,
    realm: Arc<Mutex<String>>,
    passwords: Arc<AtomicUsize>,
}

impl Login {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound port").to_string();
        let (realm, passwords) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
        let (sent, counted) = (realm.clone(), passwords.clone());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = read_request(&mut stream).to_lowercase();
                // `me:hunter2`
                if request.contains("authorization: basic bwu6ahvudgvymg==") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                let realm = sent.lock().expect("nobody panics here").clone();
                let _ = match request.starts_with("get /token") {
                    true => write!(stream, "{}{{}}", head(200, 2)),
                    false => write!(
                        stream,
                        "HTTP/1.1 401 X\r\nConnection: close\r\nContent-Length: 0\r\n\
                         WWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\"\r\n\r\n"
                    ),
                };
            }
        });
        Self { address, realm, passwords }
    }

    fn sends_to(&self, realm: &str) {
        realm.clone_into(&mut self.realm.lock().expect("nobody panics here"));
    }

    fn seen(&self) -> usize {
        self.passwords.load(Ordering::Relaxed)
    }
}

#[test]
fn a_registry_that_lies_gets_nothing_in() {
    let folder = Folder::new();
    let (liar, elsewhere) = (Liar::start(), Liar::start());
    let component = std::fs::read(steps::NOTIFY).expect("the guest was built");
    let layer = format!("sha256:{}", digest_of(&component));
    let check = |change: &dyn Fn(&mut Value), sent: Option<Vec<u8>>, blob: Answer, expected: &str| {
        let mut manifest = manifest(1);
        manifest["config"]["digest"] = layer.as_str().into();
        manifest["config"]["size"] = 2.into();
        manifest["layers"][0]["digest"] = layer.as_str().into();
        manifest["layers"][0]["size"] = component.len().into();
        change(&mut manifest);
        let bytes = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", digest_of(&bytes));
        liar.answer(format!("/v2/a/manifests/{digest}"), Answer::Bytes(sent.unwrap_or(bytes)));
        liar.answer(format!("/v2/a/blobs/{layer}"), blob);
        let line = format!("stepbox steps pull oci://{}/a@{digest}", liar.address);
        let output = folder.shell(&line).output().expect("`sh` runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let code = said.lines().find_map(|line| line.trim().strip_prefix("docs: errors#")).unwrap_or("kept");
        assert_eq!(code, expected, "{said}");
    };
    let nothing = |_: &mut Value| {};
    let whole = || Answer::Bytes(component.clone());
    let other = || component.iter().map(|byte| byte ^ 1).collect::<Vec<_>>();

    check(&nothing, Some(b"{}".to_vec()), whole(), "component-other-digest");
    check(&nothing, None, Answer::Bytes(other()), "component-other-digest");
    check(&nothing, None, Answer::Bytes(component[..1000].to_vec()), "component-other-digest");
    check(&nothing, None, Answer::BreaksOff, "pull-failed");
    check(&nothing, None, Answer::WithoutEnd, "component-too-large");
    let large = |manifest: &mut Value| manifest["layers"][0]["size"] = (40 << 20).into();
    check(&large, None, whole(), "component-too-large");
    let negative = |manifest: &mut Value| manifest["layers"][0]["size"] = (-5).into();
    check(&negative, None, whole(), "pull-no-component");
    let manifest_without_end = format!("/v2/a/manifests/sha256:{}", "2".repeat(64));
    liar.answer(manifest_without_end, Answer::WithoutEnd);
    let line = format!("stepbox steps pull oci://{}/a@sha256:{}", liar.address, "2".repeat(64));
    let said = folder.shell(&line).output().expect("`sh` runs").stderr;
    assert!(String::from_utf8_lossy(&said).contains("has more than 4194304 bytes"));
    // Other places that a manifest names are not asked.
    liar.answers.lock().unwrap().remove(&format!("/v2/a/blobs/{layer}"));
    let url = format!("http://{}/a.wasm", elsewhere.address);
    let foreign = |manifest: &mut Value| {
        manifest["layers"][0]["urls"] = json!([url]);
        manifest["layers"][0]["digest"] = format!("sha256:{}", "1".repeat(64)).into();
    };
    check(&foreign, None, whole(), "pull-not-found");
    assert_eq!(elsewhere.others.load(Ordering::Relaxed), 0);
    folder.run("test -z \"$(stepbox steps list --format json | grep digest)\"");
    check(&nothing, None, whole(), "kept");
}

/// The most memory that a lie may take beside the command's usual memory.
const LIES_BYTES_MAX: u64 = 256 << 20;

#[test]
fn no_registry_takes_memory_or_holds_up_an_interrupt() {
    let folder = Folder::new();
    let after = Duration::from_secs(2);
    let idle = watched(&mut folder.shell("exec stepbox steps list"), after).memory_peak;
    for (answer, of_blob) in [
        (Answer::WithoutEnd, false),
        (Answer::WithoutEnd, true),
        (Answer::Silence, false),
        (Answer::Silence, true),
        (Answer::Drips, false),
        (Answer::Drips, true),
    ] {
        let liar = Liar::start();
        let mut manifest = manifest(1);
        let layer = format!("sha256:{}", "1".repeat(64));
        manifest["config"]["digest"] = layer.as_str().into();
        manifest["config"]["size"] = 2.into();
        manifest["layers"][0]["digest"] = layer.as_str().into();
        manifest["layers"][0]["size"] = 1000.into();
        let bytes = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", digest_of(&bytes));
        let (of_manifest, of_layer) = match of_blob {
            true => (Answer::Bytes(bytes), answer),
            false => (answer, Answer::Bytes(Vec::new())),
        };
        liar.answer(format!("/v2/a/manifests/{digest}"), of_manifest);
        liar.answer(format!("/v2/a/blobs/{layer}"), of_layer);
        let line = format!("exec stepbox steps pull oci://{}/a@{digest}", liar.address);
        let pulled = watched(&mut folder.shell(&line), after);
        let said = String::from_utf8_lossy(&pulled.output.stderr);
        assert!(!pulled.output.status.success(), "{said}");
        assert!(pulled.memory_peak < idle + LIES_BYTES_MAX, "{} bytes: {said}", pulled.memory_peak);
        assert!(pulled.took < Duration::from_secs(6), "{:?}: {said}", pulled.took);
    }
}
