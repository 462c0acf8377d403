//! What a component has open through `wasi:filesystem`: which grant it belongs to, and its handle.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::budget::Handle;
use crate::grants::{Access, FolderGrant, Grants};

/// What a component has open, by the number of the descriptor.
#[derive(Default)]
pub(crate) struct Folders {
    /// The granted folders, each opened once, however often a component asks for them.
    preopens: Vec<(Dir, String)>,
    descriptors: HashMap<u32, Opened>,
}

/// A file or folder that is open.
#[derive(Clone)]
pub(super) struct Opened {
    /// The place of its grant among all of the step.
    pub(super) grant: usize,
    /// None for a granted folder itself, whose descriptors are all one.
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

    /// Whether two descriptors are of one grant.
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
