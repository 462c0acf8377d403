//! How far a storage extends, so that two of them can be compared.

use std::io;
use std::path::Path;

use crate::folders::Wall;

/// Where a storage keeps files.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent<'a> {
    /// In a folder of this machine, or one that all machines have under the same path.
    Folder(&'a Path),
    /// On a server.
    Remote(&'a RemoteExtent),
}

/// Where objects lie, as far as names tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RemoteExtent {
    /// How the server is spoken to: `s3`.
    pub(crate) protocol: &'static str,
    /// One text for all names that a server goes by.
    pub(crate) server: String,
    /// The bucket, or what stands for it.
    pub(crate) container: String,
    /// Empty, or with a `/` at its end.
    pub(crate) prefix: String,
}

impl RemoteExtent {
    /// Where a path lies, as one text for each place.
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
    /// Whether something can lie in both: whether one is the other, or lies in it.
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
