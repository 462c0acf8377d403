//! Who asks, and what they may do.
//!
//! [`Doors`] holds the handles of the installation and of its tenants, and gives none away. A route gets a handle only
//! out of a [`May`], which stands for one right at one thing, after the credentials of the request were checked and the
//! thing was looked up. So no route can reach a thing on the strength of something else: the beginning of a path, an id
//! in a body, the absence of a check.

mod authenticate;
mod doors;
mod may;
mod opened;
mod own;
mod own_tokens;
mod public;
mod things;

pub use authenticate::{Authenticate, NotAuthenticated};
pub(crate) use doors::{Doors, Standing, Whose};
pub(crate) use may::{Administer, Edit, Entry, History, Launch, May, Operate, RightOf, View};
pub(crate) use opened::Opened;
pub use own::OwnUsers;
pub(crate) use own::cookie;
pub(crate) use own_tokens::OfSelf;
pub(crate) use public::{Anybody, Signed};
pub(crate) use things::{
    Connectors, Executions, FileChanges, Files, Installation, InstallationTrail, Instances, Members,
    OneExecution, OneInstance, OneOutput, Steps, TheTenant, ToLaunch, Trail,
};
