//! `wasi:filesystem`: the granted folders as `/inbox`, `/work` …
//!
//! wasmtime's own implementation does the work: it resolves beneath a folder's handle as the contract's
//! `files` does. What stands here takes away and counts: links can be neither made nor moved out of
//! their folder, only regular files and folders open, and bytes, files and handles are limited.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use cap_std::fs::Metadata;
use stepbox_batch::step_context::StepContext;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};
use wasmtime_wasi::{FsPerms, OpenMode};

use super::metered::{MeteredInput, MeteredOutput};
use crate::budget::{Budget, Handle, Handles, OverLimit};
use crate::grants::{Access, FolderGrant, Grants};
use crate::state::StepState;

/// The granted folders, for one call.
pub(crate) struct FolderDoor<'a> {
    wasi: WasiFilesystemCtxView<'a>,
    context: &'a StepContext,
    grants: &'a Grants,
    budget: &'a Budget,
    handles: &'a Handles,
    descriptors: &'a mut HashMap<u32, Handle>,
}

/// How the linker finds them.
pub(crate) struct HasFolders;

impl HasData for HasFolders {
    type Data<'a> = FolderDoor<'a>;
}

impl StepState {
    pub(crate) fn folder_door(&mut self) -> FolderDoor<'_> {
        self.host_calls += 1;
        FolderDoor {
            context: &self.context,
            wasi: WasiFilesystemCtxView { ctx: self.wasi.filesystem(), table: &mut self.table },
            grants: &self.grants,
            budget: &self.budget,
            handles: &self.handles,
            descriptors: &mut self.descriptors,
        }
    }
}

impl preopens::Host for FolderDoor<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut folders = Vec::new();
        for folder in self.grants.folders() {
            let descriptor = self.wasi.table.push(Descriptor::Dir(preopen(folder)?))?;
            folders.push((descriptor, format!("/{}", folder.name())));
        }
        Ok(folders)
    }
}

fn preopen(folder: &FolderGrant) -> wasmtime::Result<Dir> {
    let (perms, mode) = match folder.access() {
        Access::Read => (FsPerms::ReadOnly, OpenMode::READ),
        Access::Write => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
    };
    Ok(Dir::new(folder.dir().try_clone()?.into_std_file(), perms, mode, false))
}

impl FolderDoor<'_> {
    /// Whether a path leads to a file or folder (true), to nothing (false), or to what no step opens.
    async fn is_there(&mut self, folder: u32, follow: PathFlags, path: &str) -> FsResult<bool> {
        match self.wasi.stat_at(Resource::new_borrow(folder), follow, path.to_owned()).await {
            Ok(stat) => match stat.type_ {
                DescriptorType::RegularFile if stat.link_count > 1 => {
                    self.refuse_withheld(folder, follow, path).await?;
                    Ok(true)
                }
                DescriptorType::RegularFile | DescriptorType::Directory => Ok(true),
                // Without following, a link is refused by `open-at` itself.
                DescriptorType::SymbolicLink => Ok(true),
                _ => Err(ErrorCode::NotPermitted.into()),
            },
            Err(error) => match error.downcast().map_err(FsError::trap)? {
                ErrorCode::NoEntry => Ok(false),
                code => Err(code.into()),
            },
        }
    }

    /// Refuses a file that has more names than one if no step opens it. It is looked at by a handle that cannot
    /// change it, since opening alone can cut it off.
    async fn refuse_withheld(&mut self, folder: u32, follow: PathFlags, path: &str) -> FsResult<()> {
        let folder = Resource::new_borrow(folder);
        let (nothing, to_read) = (OpenFlags::empty(), DescriptorFlags::READ);
        let opened = self.wasi.open_at(folder, follow, path.to_owned(), nothing, to_read).await?;
        let is_withheld = match self.wasi.table.get(&opened)? {
            Descriptor::File(file) => {
                self.grants.withholds(&Metadata::from_just_metadata(file.file.metadata()?))
            }
            Descriptor::Dir(_) => false,
        };
        HostDescriptor::drop(&mut self.wasi, opened).map_err(FsError::trap)?;
        if is_withheld { Err(ErrorCode::NotPermitted.into()) } else { Ok(()) }
    }

    /// Growing a file costs as much as writing it: what is sparse today is filled tomorrow.
    fn fill_up_to(&mut self, fd: &Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let Descriptor::File(file) = self.wasi.table.get(fd)? else { return Ok(()) };
        if size == 0 {
            return Ok(());
        }
        let now = file.file.metadata()?.len();
        self.budget.disk_bytes.take(size.saturating_sub(now)).map_err(over_limit)
    }

    fn metered(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.wasi.table.delete(stream)?;
        let metered = MeteredOutput::new(inner, self.budget.disk_bytes.clone(), self.context.clone());
        Ok(self.wasi.table.push(Box::new(metered) as DynOutputStream)?)
    }
}

/// What is refused for want of allowance: the nearest of WASI's errors.
fn over_limit(_: OverLimit) -> FsError {
    ErrorCode::Quota.into()
}

impl HostDescriptor for FolderDoor<'_> {
    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        follow: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let handle = self.handles.open().map_err(|_| FsError::from(ErrorCode::InsufficientMemory))?;
        let is_new = !self.is_there(fd.rep(), follow, &path).await? && how.contains(OpenFlags::CREATE);
        if is_new {
            self.budget.disk_files.take(1).map_err(over_limit)?;
        }
        let opened = self.wasi.open_at(fd, follow, path, how, flags).await;
        if is_new && opened.is_err() {
            self.budget.disk_files.give_back(1);
        }
        let opened = opened?;
        if flags.contains(DescriptorFlags::WRITE) {
            self.context.metering().opened_to_write();
        } else if !how.contains(OpenFlags::DIRECTORY) {
            self.context.metering().opened_to_read();
        }
        self.descriptors.insert(opened.rep(), handle);
        Ok(opened)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.descriptors.remove(&fd.rep());
        HostDescriptor::drop(&mut self.wasi, fd)
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        self.fill_up_to(&fd, offset)?;
        self.budget.disk_bytes.take(bytes.len() as u64).map_err(over_limit)?;
        self.context.metering().wrote_file(bytes.len() as u64);
        self.wasi.write(fd, bytes, offset).await
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.fill_up_to(&fd, offset)?;
        let stream = self.wasi.write_via_stream(fd, offset)?;
        self.metered(stream)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.wasi.append_via_stream(fd)?;
        self.metered(stream)
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        self.fill_up_to(&fd, size)?;
        self.wasi.set_size(fd, size).await
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.budget.disk_files.take(1).map_err(over_limit)?;
        let created = self.wasi.create_directory_at(fd, path).await;
        if created.is_err() {
            self.budget.disk_files.give_back(1);
        }
        created
    }

    /// Never: a hard link would carry a file from one grant into another.
    async fn link_at(
        &mut self,
        _: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        Err(ErrorCode::NotPermitted.into())
    }

    /// Never: a link would be a way out for whoever reads the folder later.
    async fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, _: String) -> FsResult<()> {
        Err(ErrorCode::NotPermitted.into())
    }

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.wasi.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.wasi.set_times(fd, accessed, modified).await
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let read = self.wasi.read(fd, length, offset).await?;
        self.context.metering().read_file(read.0.len() as u64);
        Ok(read)
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        self.wasi.read_directory(fd).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        follow: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        self.wasi.stat_at(fd, follow, path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        follow: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.wasi.set_times_at(fd, follow, path, accessed, modified).await
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.wasi.readlink_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.wasi.remove_directory_at(fd, path).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        from: String,
        to_fd: Resource<Descriptor>,
        to: String,
    ) -> FsResult<()> {
        self.wasi.rename_at(fd, from, to_fd, to).await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.wasi.unlink_file_at(fd, path).await
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let stream = self.wasi.read_via_stream(fd, offset)?;
        let inner = self.wasi.table.delete(stream)?;
        let metered = MeteredInput::new(inner, self.context.clone());
        Ok(self.wasi.table.push(Box::new(metered) as DynInputStream)?)
    }

    async fn is_same_object(
        &mut self,
        a: Resource<Descriptor>,
        b: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(a, b).await
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        follow: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash_at(fd, follow, path).await
    }
}

impl Host for FolderDoor<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        let code = self.wasi.convert_error_code(error)?;
        // Out of the granted folder, to be written though it is granted for reading, or a kind of its own.
        if matches!(code, ErrorCode::NotPermitted | ErrorCode::ReadOnly | ErrorCode::Access) {
            self.context.metering().refused_file();
        }
        Ok(code)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        if self.wasi.table.get(&error)?.is::<OverLimit>() {
            return Ok(Some(ErrorCode::Quota));
        }
        self.wasi.filesystem_error_code(error)
    }
}

impl HostDirectoryEntryStream for FolderDoor<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.wasi.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}
