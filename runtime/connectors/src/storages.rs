//! The storages that an operator names, so that jobs can use them without knowing their keys.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use stepbox_batch::nearest::nearest;
use stepbox_batch::remedy::Network;
use url::{Host, Url};

use crate::bucket::Bucket;
use crate::error::{ConnectorError, Result};
use crate::folders::Wall;

/// How long a name may be, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// How long a prefix may be, in bytes: most of a key is for the paths below it.
const PREFIX_BYTES_MAX: usize = 512;

/// A bucket that speaks S3, as the operator describes it.
#[derive(Clone)]
pub struct S3Settings {
    /// Its name.
    pub bucket: String,
    /// Where in the bucket all paths begin; no path leads out. Empty for the whole bucket.
    pub prefix: String,
    /// The region that requests are signed for. Servers that have none take any.
    pub region: String,
    /// `https://storage.example.com`; none for Amazon's own.
    pub endpoint: Option<String>,
    /// Who we are.
    pub access_key_id: SecretString,
    /// What requests are signed with. It is never sent.
    pub secret_access_key: SecretString,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("S3Settings");
        shown.field("bucket", &self.bucket).field("prefix", &self.prefix).field("region", &self.region);
        shown.field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl S3Settings {
    fn check(&self) -> std::result::Result<(), String> {
        let is_name = |text: &str, others: &[u8]| {
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b))
        };
        if !(3..=63).contains(&self.bucket.len()) || !is_name(&self.bucket, b"-.") {
            return Err(
                "has a `bucket` that is not 3 to 63 lower-case letters, digits, `-` and `.`".to_owned()
            );
        }
        let prefix = self.prefix.strip_suffix('/').unwrap_or(&self.prefix);
        let is_bad = |part: &str| matches!(part, "" | "." | "..") || part.trim() != part;
        if prefix.len() > PREFIX_BYTES_MAX
            || prefix.chars().any(char::is_control)
            || (!self.prefix.is_empty() && prefix.split('/').any(is_bad))
        {
            return Err("has a `prefix` that is not written like `exchange/` or `exchange/shop`".to_owned());
        }
        if self.region.is_empty() || self.region.len() > 63 || !is_name(&self.region, b"-") {
            return Err("has a `region` that is not written like `eu-central-1`".to_owned());
        }
        for (name, value) in
            [("access_key_id", &self.access_key_id), ("secret_access_key", &self.secret_access_key)]
        {
            let value = value.expose_secret();
            if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(format!("has an `{name}` that is empty, or holds other characters than keys do"));
            }
        }
        self.url().map(drop)
    }

    fn url(&self) -> std::result::Result<Option<Url>, String> {
        let Some(endpoint) = &self.endpoint else { return Ok(None) };
        let bad = || "has an `endpoint` that is not written like `https://storage.example.com`".to_owned();
        let url = Url::parse(endpoint).map_err(|_| bad())?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.path() == "/";
        if !is_bare || !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(bad());
        }
        Ok(Some(url))
    }
}

/// A storage with the name that jobs know it by. Cheap to clone; printing it shows no key.
#[derive(Debug, Clone)]
pub struct NamedStorage {
    name: String,
    place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A folder of this machine, or one that all machines have under the same path.
    Local(PathBuf),
    Bucket {
        bucket: Bucket,
        plain_host: Option<PlainHost>,
        address: Address,
    },
}

/// Where objects lie, as far as names tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    server: String,
    bucket: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
}

impl Address {
    fn new(settings: &S3Settings, url: Option<&Url>) -> Self {
        let prefix = settings.prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { server: server(url), bucket: settings.bucket.clone(), prefix }
    }

    /// Where a path lies, as one text for each place.
    pub(crate) fn of(&self, path: &str) -> String {
        format!("s3:{}/{}/{}{path}", self.server, self.bucket, self.prefix)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let is_within = |a: &str, b: &str| a.starts_with(b);
        (&self.server, &self.bucket) == (&other.server, &other.bucket)
            && (is_within(&self.prefix, &other.prefix) || is_within(&other.prefix, &self.prefix))
    }
}

/// One text for the names that one server goes by: Amazon's own in all regions, since a bucket's name is unique among
/// them, and this machine.
fn server(url: Option<&Url>) -> String {
    let Some(url) = url else { return "amazon".to_owned() };
    let port = url.port_or_known_default().unwrap_or_default();
    match url.host() {
        Some(Host::Ipv4(address)) if address.is_loopback() => format!("this machine:{port}"),
        Some(Host::Ipv6(address)) if address.is_loopback() => format!("this machine:{port}"),
        Some(Host::Domain(name)) => match name.trim_end_matches('.') {
            "localhost" => format!("this machine:{port}"),
            name if name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn") => {
                "amazon".to_owned()
            }
            name => format!("{name}:{port}"),
        },
        other => format!("{}:{port}", other.map(|host| host.to_string()).unwrap_or_default()),
    }
}

/// Where a bucket's requests go without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlainHost {
    ThisMachine,
    Elsewhere,
}

impl NamedStorage {
    /// A folder. It is opened when it is used.
    pub fn local(name: &str, path: impl Into<PathBuf>) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        let path = path.into();
        if !path.is_absolute() {
            return Err(bad(name, "has a `path` that does not begin at the root"));
        }
        Ok(Self { name: name.to_owned(), place: Place::Local(path) })
    }

    /// A bucket. No request is sent before it is used.
    pub fn s3(name: &str, settings: &S3Settings) -> std::result::Result<Self, ConnectorError> {
        check_name(name)?;
        settings.check().map_err(|problem| bad(name, &problem))?;
        let url = settings.url().ok().flatten();
        let address = Address::new(settings, url.as_ref());
        let plain_host = url.filter(|url| url.scheme() == "http").map(|url| match url.host() {
            Some(Host::Ipv4(address)) if address.is_loopback() => PlainHost::ThisMachine,
            Some(Host::Ipv6(address)) if address.is_loopback() => PlainHost::ThisMachine,
            Some(Host::Domain("localhost")) => PlainHost::ThisMachine,
            _ => PlainHost::Elsewhere,
        });
        let bucket = Bucket::new(name, settings)?;
        Ok(Self { name: name.to_owned(), place: Place::Bucket { bucket, plain_host, address } })
    }

    /// One without a network.
    #[cfg(test)]
    pub(crate) fn of_bucket(name: &str, bucket: Bucket) -> Self {
        Self {
            name: name.to_owned(),
            place: Place::Bucket { bucket, plain_host: None, address: Address::default() },
        }
    }

    /// Where it keeps files: a folder, or `s3://bucket/prefix/`.
    pub fn address(&self) -> String {
        match &self.place {
            Place::Local(path) => path.display().to_string(),
            Place::Bucket { bucket, .. } => bucket.address(""),
        }
    }

    /// The name that jobs know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `local` or `s3`.
    pub fn storage_type(&self) -> &'static str {
        match self.place {
            Place::Local(_) => "local",
            Place::Bucket { .. } => "s3",
        }
    }

    /// Whether it may be used where plain `http` may go to this machine, and to others: keys are not sent,
    /// but files are, and anybody on the way may change them.
    pub fn check_network(&self, loopback: bool, private: bool) -> std::result::Result<(), ConnectorError> {
        let network = match &self.place {
            Place::Bucket { plain_host: Some(PlainHost::ThisMachine), .. } if !loopback => Network::Loopback,
            Place::Bucket { plain_host: Some(PlainHost::Elsewhere), .. } if !private => Network::Private,
            _ => return Ok(()),
        };
        Err(ConnectorError::ClosedEndpoint { storage: self.name.clone(), network })
    }

    /// Whether something can lie in both: whether one is the other, or lies in it.
    pub fn overlaps(&self, other: &Self) -> io::Result<bool> {
        match (&self.place, &other.place) {
            (Place::Local(one), Place::Local(other)) if one.is_dir() && other.is_dir() => {
                let (wall, other) = (Wall::default().around_folder(one)?, Wall::open(other)?);
                Ok(wall.holds(&other)? || wall.lies_below(&other)?)
            }
            (Place::Local(one), Place::Local(other)) => Ok(one.starts_with(other) || other.starts_with(one)),
            (Place::Bucket { address: one, .. }, Place::Bucket { address: other, .. }) => {
                Ok(one.overlaps(other))
            }
            _ => Ok(false),
        }
    }

    /// Its folder; none for a bucket.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(path) => Some(path),
            Place::Bucket { .. } => None,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

/// The storages that jobs may name. By default none.
#[derive(Debug, Clone, Default)]
pub struct Storages {
    usable: Vec<NamedStorage>,
    unusable: Vec<UnusableStorage>,
}

/// A storage that jobs may name, and that cannot be used now: its folder is not there, or a key of it cannot be read.
/// The steps that name it fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableStorage {
    /// The name that jobs know it by.
    pub name: String,
    /// What is wrong, without anything of its keys.
    pub problem: String,
    /// What to do about it.
    pub help: String,
}

impl Storages {
    /// Adds one more. Of two with one name the first counts; `check` says so.
    pub fn add(&mut self, storage: NamedStorage) {
        self.usable.push(storage);
    }

    /// Adds one that cannot be used now.
    pub fn add_unusable(&mut self, storage: UnusableStorage) {
        self.unusable.push(storage);
    }

    /// The one of that name; `None` if there is none, or if it is unusable.
    pub fn get(&self, name: &str) -> Option<&NamedStorage> {
        self.usable.iter().find(|storage| storage.name == name)
    }

    /// The names of all, those of unusable ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let unusable = self.unusable.iter().map(|storage| storage.name.as_str());
        self.usable.iter().map(NamedStorage::name).chain(unusable)
    }

    /// Those that can be used.
    pub fn usable(&self) -> impl Iterator<Item = &NamedStorage> {
        self.usable.iter()
    }

    /// Those that cannot be used now.
    pub fn all_unusable(&self) -> impl Iterator<Item = &UnusableStorage> {
        self.unusable.iter()
    }

    /// Refuses one in which something of another storage can lie, or the other way round, that no job is to see: what
    /// machines share.
    pub fn check_apart(&self, shared: &NamedStorage) -> std::result::Result<(), ConnectorError> {
        for storage in &self.usable {
            let overlaps = storage.overlaps(shared);
            if overlaps.map_err(|source| ConnectorError::file("open", storage.name(), source))? {
                return Err(ConnectorError::StorageOverlaps { storage: storage.name.clone() });
            }
        }
        Ok(())
    }

    /// The folders of those that are no buckets.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.usable.iter().filter_map(NamedStorage::folder)
    }

    /// The name that comes nearest to one that is not there.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names())
    }

    /// Whether each has a name of its own, and may be used on this network.
    pub fn check(&self, loopback: bool, private: bool) -> std::result::Result<(), ConnectorError> {
        for (position, storage) in self.usable.iter().enumerate() {
            if self.usable[..position].iter().any(|other| other.name == storage.name) {
                return Err(bad(&storage.name, "is named twice"));
            }
            storage.check_network(loopback, private)?;
        }
        Ok(())
    }

    /// The place that a job names by an option.
    pub(crate) fn find(
        &self,
        option: &'static str,
        name: &str,
        given: &'static str,
    ) -> Result<&NamedStorage> {
        if let Some(UnusableStorage { problem, help, .. }) =
            self.unusable.iter().find(|storage| storage.name == name)
        {
            let (problem, help) = (problem.clone(), help.clone());
            return Err(ConnectorError::UnusableStorage { storage: name.to_owned(), problem, help });
        }
        let Some(storage) = self.get(name) else {
            let available = self.names().map(str::to_owned).collect();
            return Err(ConnectorError::NoStorage { option, given: name.to_owned(), available });
        };
        let found = storage.storage_type();
        if found != given {
            let storage = name.to_owned();
            return Err(ConnectorError::OtherStorage { option, storage, given, found });
        }
        Ok(storage)
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_character = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_character) {
        return Err(bad(name, "has a name that is not up to 100 letters, digits, `_` and `-`"));
    }
    Ok(())
}

fn bad(storage: &str, problem: &str) -> ConnectorError {
    ConnectorError::BadStorage { storage: storage.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
