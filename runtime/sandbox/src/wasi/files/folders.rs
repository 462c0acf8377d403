//! The files and folders that a component has opened through `wasi:filesystem`: each with its grant and its
//! handle.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::budget::Handle;
use crate::grants::{Access, FolderGrant, Grants};

/// The files and folders that a component has open, by the number of the descriptor.
#[derive(Default)]
pub(crate) struct Folders {
    /// The granted folders. Each is opened once, even if a component asks for them several times.
    preopens: Vec<(Dir, String)>,
    descriptors: HashMap<u32, Opened>,
}

/// A file or folder that is open.
#[derive(Clone)]
pub(super) struct Opened {
    /// The position of its grant in the list of the step's grants.
    pub(super) grant: usize,
    /// `None` for a granted folder itself: all its descriptors share one open folder.
    pub(super) handle: Option<Arc<Handle>>,
}

impl Folders {
    /// The granted folders with their names, in the order of the grants.
    pub(super) fn preopens(&mut self, grants: &Grants) -> io::Result<Vec<(Dir, String)>> {
        for folder in grants.folders().iter().skip(self.preopens.len()) {
            self.preopens.push((preopen(folder)?, format!("/{}", folder.name())));
        }
        Ok(self.preopens.clone())
    }

    pub(super) fn insert(&mut self, descriptor: u32, opened: Opened) {
        self.descriptors.insert(descriptor, opened);
    }

    pub(super) fn remove(&mut self, descriptor: u32) {
        self.descriptors.remove(&descriptor);
    }

    pub(super) fn get(&self, descriptor: u32) -> Option<&Opened> {
        self.descriptors.get(&descriptor)
    }

    /// Whether two descriptors belong to the same grant.
    pub(super) fn are_of_one_grant(&self, one: u32, other: u32) -> bool {
        let grant = |descriptor| self.get(descriptor).map(|opened| opened.grant);
        grant(one).is_some() && grant(one) == grant(other)
    }
}

fn preopen(folder: &FolderGrant) -> io::Result<Dir> {
    let (perms, mode) = match folder.access() {
        Access::Read => (FsPerms::ReadOnly, OpenMode::READ),
        Access::Write => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
    };
    Ok(Dir::new(folder.dir().try_clone()?.into_std_file(), perms, mode, false))
}
