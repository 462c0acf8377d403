//! `wasi:filesystem`: the granted folders as `/inbox`, `/work` …
//!
//! wasmtime's own implementation does the work: it resolves beneath a folder's handle, as the contract's
//! `files` does. This file restricts and counts. Links are not created and not moved. A rename stays within
//! its grant. Only regular files and folders open. Bytes, files, handles and memory are limited.

mod folders;
mod listing;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata};
use stepbox_batch::step_context::StepContext;
use tokio::task::spawn_blocking;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

pub(crate) use self::folders::Folders;
use self::folders::Opened;
use self::listing::{LISTING_BYTES, Listing};
use super::metered::{Gap, Holds, MeteredInput, MeteredOutput, STREAM_BYTES};
use crate::budget::{Budget, Handle, Handles, OverLimit};
use crate::grants::Grants;
use crate::lengths::PATH;
use crate::memory::{Account, Charge};
use crate::renames::{self, Unmoved};
use crate::state::StepState;

/// The granted folders, for one call.
pub(crate) struct FolderDoor<'a> {
    wasi: WasiFilesystemCtxView<'a>,
    context: &'a StepContext,
    grants: &'a Grants,
    budget: &'a Budget,
    account: &'a Account,
    handles: &'a Handles,
    folders: &'a mut Folders,
}

/// Gives the linker access to the folders.
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
            account: &self.account,
            handles: &self.handles,
            folders: &mut self.folders,
        }
    }
}

impl preopens::Host for FolderDoor<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = Vec::new();
        for (grant, (folder, name)) in self.folders.preopens(self.grants)?.into_iter().enumerate() {
            let descriptor = self.wasi.table.push(Descriptor::Dir(folder))?;
            self.folders.insert(descriptor.rep(), Opened { grant, handle: None });
            directories.push((descriptor, name));
        }
        Ok(directories)
    }
}

impl FolderDoor<'_> {
    /// Whether a path leads to a file or folder (true) or to nothing (false). An error if it leads to
    /// anything that no step opens.
    async fn is_there(&mut self, folder: u32, follow: PathFlags, path: &str) -> FsResult<bool> {
        match self.wasi.stat_at(Resource::new_borrow(folder), follow, path.to_owned()).await {
            Ok(stat) => match stat.type_ {
                DescriptorType::RegularFile if stat.link_count > 1 => {
                    self.refuse_withheld(folder, follow, path).await?;
                    Ok(true)
                }
                DescriptorType::RegularFile | DescriptorType::Directory => Ok(true),
                // If links are not followed, `open-at` itself refuses a link.
                DescriptorType::SymbolicLink => Ok(true),
                _ => Err(ErrorCode::NotPermitted.into()),
            },
            Err(error) => match error.downcast().map_err(FsError::trap)? {
                ErrorCode::NoEntry => Ok(false),
                code => Err(code.into()),
            },
        }
    }

    /// Refuses a file with more than one name if it is withheld. The check uses a handle that cannot change
    /// the file, because opening it for writing could already cut it off.
    async fn refuse_withheld(&mut self, folder: u32, follow: PathFlags, path: &str) -> FsResult<()> {
        let folder = Resource::new_borrow(folder);
        let (nothing, to_read) = (OpenFlags::empty(), DescriptorFlags::READ);
        let opened = self.wasi.open_at(folder, follow, path.to_owned(), nothing, to_read).await?;
        let file = self.file(&opened)?;
        HostDescriptor::drop(&mut self.wasi, opened).map_err(FsError::trap)?;
        let is_withheld = match file {
            Some(file) => {
                let found = off_thread(move || file.metadata()).await??;
                self.grants.withholds(&Metadata::from_just_metadata(found))
            }
            None => false,
        };
        if is_withheld { Err(ErrorCode::NotPermitted.into()) } else { Ok(()) }
    }

    /// Takes the bytes by which a file grows from the budget. They cost as much as written bytes, because a
    /// sparse file can be filled later.
    async fn fill_up_to(&mut self, fd: &Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let Some(gap) = self.gap(fd, size)? else { return Ok(()) };
        let bytes = gap.await.map_err(FsError::trap)??;
        self.budget.disk_bytes.take(bytes).map_err(over_limit)
    }

    /// The number of bytes that a file lacks to `size`. A separate thread, which may wait for the disk, finds
    /// it. `None` for a folder and for size 0.
    fn gap(&self, fd: &Resource<Descriptor>, size: Filesize) -> FsResult<Option<Gap>> {
        let file = self.file(fd)?.filter(|_| size > 0);
        let lacks = move |file: Arc<File>| Ok(size.saturating_sub(file.metadata()?.len()));
        Ok(file.map(|file| spawn_blocking(move || lacks(file))))
    }

    /// The file behind a descriptor; `None` for a folder.
    fn file(&self, fd: &Resource<Descriptor>) -> FsResult<Option<Arc<File>>> {
        match self.wasi.table.get(fd)? {
            Descriptor::File(file) => Ok(Some(file.file.clone())),
            Descriptor::Dir(_) => Ok(None),
        }
    }

    /// The handle and the memory that a stream of a file holds.
    fn stream_of(&self, fd: u32) -> FsResult<Holds> {
        let file = self.folders.get(fd).and_then(|opened| opened.handle.clone());
        Ok(Holds { _file: file, _buffer: self.charge(STREAM_BYTES)? })
    }

    fn metered(
        &mut self,
        stream: Resource<DynOutputStream>,
        gap: Option<Gap>,
        holds: Holds,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.wasi.table.delete(stream)?;
        let bytes = self.budget.disk_bytes.clone();
        let metered = MeteredOutput::new(inner, bytes, gap, self.context.clone(), holds);
        Ok(self.wasi.table.push(Box::new(metered) as DynOutputStream)?)
    }

    fn charge(&self, bytes: u64) -> FsResult<Charge> {
        self.account.charge(bytes).map_err(|_| ErrorCode::InsufficientMemory.into())
    }

    fn open_handle(&self) -> FsResult<Handle> {
        self.handles.open().map_err(|_| ErrorCode::InsufficientMemory.into())
    }

    /// Whether the grant of a folder lets the step write.
    fn may_be_changed(&self, fd: &Resource<Descriptor>) -> FsResult<bool> {
        match self.wasi.table.get(fd)? {
            Descriptor::Dir(folder) => Ok(!folder.perms.write_not_permitted()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    fn folder(&self, fd: &Resource<Descriptor>) -> FsResult<Dir> {
        match self.wasi.table.get(fd)? {
            Descriptor::Dir(folder) => Ok(Dir::from_std_file(folder.dir.try_clone()?)),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }
}

/// Checks the length of a path before the path is used.
fn checked(path: String) -> FsResult<String> {
    if PATH.takes(&path) { Ok(path) } else { Err(ErrorCode::NameTooLong.into()) }
}

/// Runs work that waits for the disk on another thread, so that it does not hold up other components.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> FsResult<T> {
    spawn_blocking(work).await.map_err(FsError::trap)
}

impl From<Unmoved> for FsError {
    fn from(error: Unmoved) -> Self {
        match error {
            Unmoved::Io(error) => error.into(),
            _ => ErrorCode::NotPermitted.into(),
        }
    }
}

/// Converts an exceeded limit to the nearest of WASI's errors.
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
        let path = checked(path)?;
        let handle = self.open_handle()?;
        let grant = self.folders.get(fd.rep()).ok_or(ErrorCode::BadDescriptor)?.grant;
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
        self.folders.insert(opened.rep(), Opened { grant, handle: Some(Arc::new(handle)) });
        Ok(opened)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.folders.remove(fd.rep());
        HostDescriptor::drop(&mut self.wasi, fd)
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        let _piece = self.charge(bytes.len() as u64)?;
        self.fill_up_to(&fd, offset).await?;
        self.budget.disk_bytes.take(bytes.len() as u64).map_err(over_limit)?;
        self.context.metering().wrote_file(bytes.len() as u64);
        self.wasi.write(fd, bytes, offset).await
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let holds = self.stream_of(fd.rep())?;
        let gap = self.gap(&fd, offset)?;
        let stream = self.wasi.write_via_stream(fd, offset)?;
        self.metered(stream, gap, holds)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let holds = self.stream_of(fd.rep())?;
        let stream = self.wasi.append_via_stream(fd)?;
        self.metered(stream, None, holds)
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        self.fill_up_to(&fd, size).await?;
        self.wasi.set_size(fd, size).await
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let path = checked(path)?;
        self.budget.disk_files.take(1).map_err(over_limit)?;
        let created = self.wasi.create_directory_at(fd, path).await;
        if created.is_err() {
            self.budget.disk_files.give_back(1);
        }
        created
    }

    /// Refuses every hard link: it would carry a file from one grant into another one.
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

    /// Refuses every link: it could lead out of the grant for a program that reads the folder later.
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
        let _piece = self.charge(length.min(STREAM_BYTES))?;
        let read = self.wasi.read(fd, length, offset).await?;
        self.context.metering().read_file(read.0.len() as u64);
        Ok(read)
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let folder = self.folder(&fd)?;
        let (handle, charge) = (self.open_handle()?, self.charge(LISTING_BYTES)?);
        let rest = off_thread(move || folder.entries()).await??;
        let listing = self.wasi.table.push(Listing::new(rest, handle, charge))?;
        Ok(Resource::new_own(listing.rep()))
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
        self.wasi.stat_at(fd, follow, checked(path)?).await
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        follow: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.wasi.set_times_at(fd, follow, checked(path)?, accessed, modified).await
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.wasi.readlink_at(fd, checked(path)?).await
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.wasi.remove_directory_at(fd, checked(path)?).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        from: String,
        to_fd: Resource<Descriptor>,
        to: String,
    ) -> FsResult<()> {
        let (from, to) = (checked(from)?, checked(to)?);
        if !self.folders.are_of_one_grant(fd.rep(), to_fd.rep()) {
            return Err(ErrorCode::NotPermitted.into());
        }
        if !self.may_be_changed(&fd)? || !self.may_be_changed(&to_fd)? {
            return Err(ErrorCode::NotPermitted.into());
        }
        let (folder, to_folder) = (self.folder(&fd)?, self.folder(&to_fd)?);
        let rename = move || renames::carry_out(&folder, Path::new(&from), &to_folder, Path::new(&to));
        Ok(off_thread(rename).await??)
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.wasi.unlink_file_at(fd, checked(path)?).await
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let holds = self.stream_of(fd.rep())?;
        let stream = self.wasi.read_via_stream(fd, offset)?;
        let inner = self.wasi.table.delete(stream)?;
        let metered = MeteredInput::new(inner, self.context.clone(), holds);
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
        self.wasi.metadata_hash_at(fd, follow, checked(path)?).await
    }
}

impl Host for FolderDoor<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        let code = self.wasi.convert_error_code(error)?;
        // The path leads out of the granted folder, its grant allows only reading, or it is not a regular
        // file or folder.
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
        self.wasi.table.get_mut(&listing(&stream))?.next().await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.wasi.table.delete::<Listing>(Resource::new_own(stream.rep()))?;
        Ok(())
    }
}

/// The contents of the stream are our own type, although the bindings use another one.
fn listing(stream: &Resource<DirectoryEntryStream>) -> Resource<Listing> {
    Resource::new_borrow(stream.rep())
}
