//! A registry for tests: Docker's (`distribution`), from Debian's package, on loopback.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use stepbox::digest_of;
use tempfile::TempDir;

/// The package, and the program in it.
const PACKAGE: &str = "docker-registry";

/// `acme` with the password `secret`, as bcrypt has it.
const USERS: &str = "acme:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

/// A running registry, empty at first.
pub(crate) struct Registry {
    process: Child,
    /// `127.0.0.1:38857`.
    pub(crate) address: String,
    needs_login: bool,
    _folder: TempDir,
}

impl Registry {
    /// Starts a registry; with a login, only `acme` has access. Returns `None`, with a message on standard error, on
    /// a machine without Debian's packages.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    pub(crate) fn start(needs_login: bool) -> Option<Self> {
        static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
        let Some(program) = PROGRAM.get_or_init(program) else {
            eprintln!(
                "SKIPPED: there is no `{PACKAGE}` and no apt-get here, so nothing is pulled from a registry"
            );
            return None;
        };
        let folder = crate::support::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{ accesslog: {{ disabled: true }} }}\nhttp: {{ addr: \"127.0.0.1:0\" }}\n\
             storage: {{ filesystem: {{ rootdirectory: \"{}\" }} }}\n",
            path("data")
        );
        if needs_login {
            fs::write(path("users"), USERS).expect("a file");
            config
                .push_str(&format!("auth: {{ htpasswd: {{ realm: test, path: \"{}\" }} }}\n", path("users")));
        }
        fs::write(path("config.yml"), config).expect("a file");
        let mut command = Command::new(program);
        command.arg("serve").arg(path("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
        let spawned = crate::support::mark(&mut command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = spawned.expect("the registry starts");
        let address = address(&mut process);
        Some(Self { process, address, needs_login, _folder: folder })
    }

    /// Pushes an artifact under a tag, and returns the digest of its manifest. `content` has the bytes of the
    /// configuration and of each layer; their digests and sizes are filled in.
    pub(crate) fn push(
        &self,
        name: &str,
        tag: &str,
        mut manifest: Value,
        config: &[u8],
        layers: &[&[u8]],
    ) -> String {
        let describe = |descriptor: &mut Value, bytes: &[u8]| {
            descriptor["digest"] = self.push_blob(name, bytes).into();
            descriptor["size"] = bytes.len().into();
        };
        describe(&mut manifest["config"], config);
        let descriptors = manifest["layers"].as_array_mut().expect("a manifest has layers");
        descriptors.iter_mut().zip(layers).for_each(|(descriptor, bytes)| describe(descriptor, bytes));
        let bytes = manifest.to_string().into_bytes();
        let kind = manifest["mediaType"].as_str().expect("it says what it is");
        let (status, head) = self.request("PUT", &format!("/v2/{name}/manifests/{tag}"), kind, &bytes);
        assert_eq!(status, 201, "{head}");
        format!("sha256:{}", digest_of(&bytes))
    }

    fn push_blob(&self, name: &str, bytes: &[u8]) -> String {
        let digest = format!("sha256:{}", digest_of(bytes));
        let kind = "application/octet-stream";
        let (status, head) = self.request("POST", &format!("/v2/{name}/blobs/uploads/"), kind, &[]);
        assert_eq!(status, 202, "{head}");
        let location =
            head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place to go on");
        let path = location.trim().trim_start_matches(&format!("http://{}", self.address)).to_owned();
        let (status, head) = self.request("PUT", &format!("{path}&digest={digest}"), kind, bytes);
        assert_eq!(status, 201, "{head}");
        digest
    }

    /// Sends a request as `acme`, and returns the status and the head of the answer.
    fn request(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let login = if self.needs_login { "Authorization: Basic YWNtZTpzZWNyZXQ=\r\n" } else { "" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n{login}\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).expect("the registry listens");
        stream.write_all(&[head.as_bytes(), body].concat()).expect("it takes a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().expect("it can be ended");
        self.process.wait().expect("it ends");
    }
}

/// Waits until the registry prints its address, and keeps reading its output.
fn address(process: &mut Child) -> String {
    let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    let mut said = String::new();
    for line in &mut lines {
        let line = line.expect("text");
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address = rest.split(['"', ' ', ',']).next().expect("an address").to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return address;
        }
        said.push_str(&line);
    }
    panic!("the registry ended: {said}");
}

/// The installed program, or one that is fetched and unpacked below `target`, once.
fn program() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&folders).map(|folder| folder.join(PACKAGE));
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE);
    let program = |folder: &Path| folder.join("usr/bin").join(PACKAGE);
    if let Some(found) = installed.chain([program(&kept)]).find(|path| path.is_file()) {
        return Some(found);
    }
    if !Path::new("/usr/bin/apt-get").is_file() {
        return None;
    }
    let making = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder below `target`");
    fetch(making.path());
    // Another process may have been faster.
    if fs::rename(making.path().join("unpacked"), &kept).is_err() {
        assert!(program(&kept).is_file(), "`{}` cannot be made", kept.display());
    }
    Some(program(&kept))
}

/// Downloads the package, with lists of packages of its own if the system has none. Nothing is installed, and root is
/// not needed.
fn fetch(folder: &Path) {
    for path in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(path)).expect("a folder");
    }
    let own = |name: &str, option: &str| format!("-oDir::{option}={}", folder.join(name).display());
    let own = [own("lists", "State::Lists"), own("cache", "Cache"), "-oDebug::NoLocking=1".to_owned()];
    let apt_get = |options: &[String], arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-oAcquire::http::Timeout=30"])
            .args(options)
            .args(arguments)
            .current_dir(folder);
        command.output().expect("apt-get runs")
    };
    if !apt_get(&[], &["download", PACKAGE]).status.success() {
        apt_get(&own, &["update"]);
        let output = apt_get(&own, &["download", PACKAGE]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the package `{PACKAGE}` cannot be downloaded: {said}");
    }
    let files = fs::read_dir(folder).expect("a folder").flatten().map(|file| file.path());
    let package = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(package.expect("a package came")).arg(folder.join("unpacked"));
    assert!(unpack.status().expect("dpkg-deb runs").success());
}
