//! Buckets that speak S3: their settings, and their operator of OpenDAL. [`super::bucket`] does everything else.

use std::fmt;
use std::sync::Arc;

use opendal_core::{HttpTransport, HttpTransporter, OperationContext, Operator};
use opendal_service_s3::S3;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stepbox_batch::remedy::Network;
use url::{Host, Url};

use super::bucket::{Bucket, BucketStorage, Door, Transport};
use super::extent::RemoteExtent;
use super::{KeySource, Settings, Storage};
use crate::error::{ConnectorError, Result};

/// The largest length of a prefix, in bytes. Most of a key is for the paths below the prefix.
const PREFIX_BYTES_MAX: usize = 512;
/// The name of the type in settings and jobs.
const TYPE: &str = "s3";
/// Takes the place of a key that is not known, so that the other settings can be checked.
const ANY_KEY: &str = "any";

/// A bucket that speaks S3, with the operator's settings.
#[derive(Clone)]
pub struct S3Settings {
    /// The name of the bucket.
    pub bucket: String,
    /// The beginning of all paths in the bucket; no path leads out of it.
    ///
    /// Empty for the whole bucket.
    pub prefix: String,
    /// The region for which requests are signed.
    ///
    /// Servers without regions accept any.
    pub region: String,
    /// The server, such as `https://storage.example.com`; `None` for Amazon's own.
    pub endpoint: Option<String>,
    /// The id of the access key.
    pub access_key_id: SecretString,
    /// The key that signs the requests.
    ///
    /// It is never sent.
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
    pub(super) fn check(&self) -> std::result::Result<(), String> {
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

    /// Sets the bucket up, without a request.
    pub(super) fn open(&self, storage: &str) -> Result<BucketStorage> {
        self.check().map_err(|problem| ConnectorError::bad_storage(storage, &problem))?;
        let url = self.url().ok().flatten();
        let plain = url.as_ref().filter(|url| url.scheme() == "http").map(network_of);
        let prefix = self.prefix.trim_end_matches('/');
        let extent = RemoteExtent {
            protocol: TYPE,
            server: server(url.as_ref()),
            container: self.bucket.clone(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
        };
        let operator = self.operator(storage, Door(Transport::new()))?;
        let bucket = Bucket::new(operator, storage, format!("s3://{}/", self.bucket), prefix);
        Ok(BucketStorage::new(TYPE, bucket, plain, extent))
    }

    /// The operator of OpenDAL that sends its requests through a door.
    pub(super) fn operator(&self, storage: &str, door: Door<impl HttpTransport>) -> Result<Operator> {
        let prefix = self.prefix.trim_end_matches('/');
        let mut builder = S3::default()
            .root(&format!("/{prefix}"))
            .bucket(&self.bucket)
            .region(&self.region)
            .access_key_id(self.access_key_id.expose_secret())
            .secret_access_key(self.secret_access_key.expose_secret())
            // The keys come from the settings only, never from the environment or the machine.
            .disable_config_load()
            .disable_ec2_metadata();
        match &self.endpoint {
            Some(endpoint) => builder = builder.endpoint(endpoint),
            None if !self.bucket.contains('.') => builder = builder.enable_virtual_host_style(),
            None => {}
        }
        let operator =
            Operator::new(builder).map_err(|error| ConnectorError::bad_storage(storage, error.message()))?;
        let context = OperationContext::default();
        Ok(operator.with_context(context.with_http_transport(HttpTransporter::new(door))))
    }
}

/// A bucket that speaks S3, as the operator writes it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Form {
    bucket: String,
    /// The beginning of all paths in the bucket.
    #[serde(default)]
    prefix: String,
    region: String,
    /// The server; `None` for Amazon's own.
    endpoint: Option<String>,
    access_key_id: KeySource,
    secret_access_key: KeySource,
}

impl S3Form {
    fn with_keys(&self, access_key_id: SecretString, secret_access_key: SecretString) -> S3Settings {
        S3Settings {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            access_key_id,
            secret_access_key,
        }
    }
}

impl Settings for S3Form {
    fn keys(&self) -> Vec<(&'static str, &KeySource)> {
        vec![("access_key_id", &self.access_key_id), ("secret_access_key", &self.secret_access_key)]
    }

    fn check(&self, name: &str) -> Result<()> {
        let any = || SecretString::from(ANY_KEY);
        self.with_keys(any(), any()).open(name).map(drop)
    }

    fn open(&self, name: &str, keys: &[SecretString]) -> Result<Arc<dyn Storage>> {
        let [access_key_id, secret_access_key] = keys else {
            return Err(ConnectorError::bad_storage(name, "has no keys"));
        };
        Ok(Arc::new(self.with_keys(access_key_id.clone(), secret_access_key.clone()).open(name)?))
    }
}

/// The network that requests to a server cross.
fn network_of(url: &Url) -> Network {
    match url.host() {
        Some(Host::Ipv4(address)) if address.is_loopback() => Network::Loopback,
        Some(Host::Ipv6(address)) if address.is_loopback() => Network::Loopback,
        Some(Host::Domain("localhost")) => Network::Loopback,
        _ => Network::Private,
    }
}

/// One text for all names of a server. Amazon's regions count as one server, since a bucket's name is unique among
/// them. So do the names of this machine.
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
