//! The extent of a storage, so that two storages can be compared.

use std::io;
use std::path::Path;

use crate::folders::Wall;

/// Where a storage keeps files.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent<'a> {
    /// A folder of this machine, or one that all machines have under the same path.
    Folder(&'a Path),
    /// A place on a server.
    Remote(&'a RemoteExtent),
}

/// The place of objects on a server, as far as names show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RemoteExtent {
    /// The protocol of the server: `s3`.
    pub(crate) protocol: &'static str,
    /// One text for all names of the same server.
    pub(crate) server: String,
    /// The bucket, or its equivalent.
    pub(crate) container: String,
    /// The prefix: empty, or with a `/` at its end.
    pub(crate) prefix: String,
}

impl RemoteExtent {
    /// The address of a path. Equal places have equal addresses.
    pub(crate) fn place_of(&self, path: &str) -> String {
        format!("{}:{}/{}/{}{path}", self.protocol, self.server, self.container, self.prefix)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let is_within = |a: &str, b: &str| a.starts_with(b);
        (self.protocol, &self.server, &self.container) == (other.protocol, &other.server, &other.container)
            && (is_within(&self.prefix, &other.prefix) || is_within(&other.prefix, &self.prefix))
    }
}

impl Extent<'_> {
    /// Whether a file can be in both: the extents are equal, or one contains the other.
    pub(crate) fn overlaps(self, other: Extent<'_>) -> io::Result<bool> {
        match (self, other) {
            (Self::Folder(one), Extent::Folder(other)) if one.is_dir() && other.is_dir() => {
                let (wall, other) = (Wall::default().around_folder(one)?, Wall::open(other)?);
                Ok(wall.holds(&other)? || wall.lies_below(&other)?)
            }
            (Self::Folder(one), Extent::Folder(other)) => {
                Ok(one.starts_with(other) || other.starts_with(one))
            }
            (Self::Remote(one), Extent::Remote(other)) => Ok(one.overlaps(other)),
            _ => Ok(false),
        }
    }
}
