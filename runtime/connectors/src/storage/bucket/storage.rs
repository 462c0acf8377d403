//! A bucket as a storage of the operator.

use stepbox_batch::remedy::Network;
use stepbox_batch::step_context::StepContext;

use super::Bucket;
use super::input::BucketInput;
use super::output::{BucketFiles, remove_left_over};
use crate::error::Result;
use crate::fingerprint::fingerprint;
use crate::folders::Folders;
use crate::storage::extent::{Extent, RemoteExtent};
use crate::storage::output::{OutputFiles, Parts, Unfinished};
use crate::storage::{Files, InputSource, OpenInput, Storage, WholeFiles};

/// A bucket that is set up. The module of its provider makes it from the provider's settings.
#[derive(Debug)]
pub(in crate::storage) struct BucketStorage {
    storage_type: &'static str,
    bucket: Bucket,
    plain_network: Option<Network>,
    extent: RemoteExtent,
}

impl BucketStorage {
    pub(in crate::storage) fn new(
        storage_type: &'static str,
        bucket: Bucket,
        plain_network: Option<Network>,
        extent: RemoteExtent,
    ) -> Self {
        Self { storage_type, bucket, plain_network, extent }
    }
}

impl Storage for BucketStorage {
    fn storage_type(&self) -> &'static str {
        self.storage_type
    }

    fn address(&self) -> String {
        self.bucket.address("")
    }

    fn extent(&self) -> Extent<'_> {
        Extent::Remote(&self.extent)
    }

    fn place_of(&self, path: &str) -> String {
        self.extent.place_of(path)
    }

    fn plain_network(&self) -> Option<Network> {
        self.plain_network
    }

    fn open(&self, _: &Folders) -> Result<Box<dyn Files>> {
        Ok(Box::new(self.bucket.clone()))
    }
}

impl Files for Bucket {
    fn open_input(&self, path: &str, context: &StepContext) -> Result<OpenInput> {
        let object = BucketInput::open(&self.within(context.gate()), path)?;
        let (length, version) = (object.length(), object.version());
        let version = version.map(|version| fingerprint(version.as_bytes()));
        Ok(OpenInput { source: Box::new(object), length, version })
    }

    fn open_written(&self, path: &str) -> Result<OpenInput> {
        let object = BucketInput::open(self, path)?;
        let length = object.length();
        Ok(OpenInput { source: Box::new(object), length, version: None })
    }

    fn begin_output(
        &self,
        path: &str,
        temporary: &dyn Fn(&str) -> String,
        context: &StepContext,
    ) -> Result<(Box<dyn OutputFiles>, String)> {
        let temporary = temporary(path.rsplit('/').next().unwrap_or(path));
        let files = BucketFiles::new(self, path, &temporary, context, Parts::default())?;
        Ok((Box::new(files), temporary))
    }

    fn resume_output(
        &self,
        path: &str,
        Unfinished { temporary, parts, .. }: Unfinished<'_>,
        context: &StepContext,
    ) -> Result<Box<dyn OutputFiles>> {
        let parts = parts.unwrap_or_default();
        Ok(Box::new(BucketFiles::new(self, path, temporary, context, parts)?))
    }

    fn remove_left_over(&self, path: &str, temporary: &str) -> Result<()> {
        remove_left_over(self, path, temporary)
    }
}

/// An input always reads the same version, so no stamps are needed.
impl InputSource for BucketInput {}

impl WholeFiles for BucketStorage {
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.bucket.check_path(path)?;
        let written = self.bucket.begin_write(path, bytes).wait();
        written.map_err(|error| self.bucket.failed("write", path, &error))
    }

    /// If the bucket knows no conditions, the last of several writers at the same moment wins.
    fn put_new(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        self.bucket.check_path(path)?;
        self.bucket.write_new(path, bytes)
    }

    fn get(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        self.bucket.check_path(path)?;
        Ok(self.bucket.read(path, bytes_max)?.map(|bytes| bytes.to_vec()))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.bucket.check_path(folder)?;
        Ok(self.bucket.list(&format!("{folder}/"))?.into_iter().map(|(path, _)| path).collect())
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.bucket.remove(vec![path.to_owned()])
    }

    fn remove_folder(&self, folder: &str) -> Result<()> {
        self.bucket.remove(self.list(folder)?)
    }
}
