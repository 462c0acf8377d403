//! The five worlds, and the ways in which a component can fail to fit one.

use std::fmt;

use semver::Version;

/// The kind of element that a component can be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// A task without items.
    Tasklet,
    /// A source of items.
    ItemReader,
    /// A source of items that can be read in parts.
    PartitionedItemReader,
    /// A transformation of items.
    ItemProcessor,
    /// A destination of items.
    ItemWriter,
}

impl World {
    /// All five worlds.
    pub const ALL: [Self; 5] =
        [Self::Tasklet, Self::ItemReader, Self::PartitionedItemReader, Self::ItemProcessor, Self::ItemWriter];

    /// The world's name in `wit/0.1/worlds.wit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tasklet => "tasklet",
            Self::ItemReader => "item-reader",
            Self::PartitionedItemReader => "partitioned-item-reader",
            Self::ItemProcessor => "item-processor",
            Self::ItemWriter => "item-writer",
        }
    }

    /// The interface that makes a component an element of this kind.
    pub(super) fn interface(self) -> &'static str {
        match self {
            Self::Tasklet => "task",
            Self::ItemReader | Self::PartitionedItemReader => "reader",
            Self::ItemProcessor => "processor",
            Self::ItemWriter => "writer",
        }
    }

    /// The other interface that it exports, if there is one.
    pub(super) fn further_interface(self) -> Option<&'static str> {
        (self == Self::PartitionedItemReader).then_some("partitioner")
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One way in which a component does not fit its world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// The component was built against another version of the contract.
    #[error("it was built for `stepbox:step@{found}`; this runtime knows {known}")]
    OtherVersion {
        /// The version that it was built for.
        found: Version,
        /// The version that the runtime knows.
        known: Version,
    },
    /// The component imports an interface that no step gets.
    #[error("it imports `{name}`, which steps do not get")]
    UnknownImport {
        /// The imported interface.
        name: String,
    },
    /// The component imports a function that this runtime does not have.
    #[error("it imports `{function}` of `{interface}`, which this runtime does not have")]
    UnknownFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
    /// The component does not export an interface.
    #[error("it does not export `{name}`")]
    MissingExport {
        /// The interface.
        name: String,
    },
    /// The component does not export a function.
    #[error("its `{interface}` does not export `{function}`")]
    MissingFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
    /// The component has a function of another type.
    #[error("`{function}` of `{interface}` differs: {difference}")]
    DifferentFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// The difference.
        difference: String,
    },
}

impl Finding {
    pub(crate) fn help(&self) -> String {
        match self {
            Self::OtherVersion { known, .. } => {
                format!("build it with the SDK, or the `wit` folder, of version {}.{}", known.major, known.minor)
            }
            Self::UnknownImport { name } if name.starts_with("wasi:sockets/") => {
                "steps have no sockets: send requests through `http`; for a Python step, `componentize-py … -s` \
                 leaves out what it does not use"
                    .to_owned()
            }
            Self::UnknownImport { name } if name.starts_with("wasi:") && name.contains("@0.3") => {
                "build it for WASI 0.2 (`wasm32-wasip2`)".to_owned()
            }
            Self::UnknownImport { .. } => {
                "the page on what a step may import is `wit/README.md`; leave out the library that wants more"
                    .to_owned()
            }
            Self::UnknownFunction { .. } => "it was built for a newer runtime: update this one".to_owned(),
            Self::MissingExport { .. } | Self::MissingFunction { .. } | Self::DifferentFunction { .. } => {
                "build it with the SDK or the `wit` folder of this runtime".to_owned()
            }
        }
    }
}
