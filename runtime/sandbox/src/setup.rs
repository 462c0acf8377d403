//! The setup of a component that runs as an element or a tasklet.

use std::path::PathBuf;

use serde_json::Value;
use stepbox_net::NetworkPolicy;

use crate::budget::Usage;
use crate::egress::HttpPolicy;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::secrets::StepSecrets;
use crate::share::Share;

/// What a component gets when it runs: what it may touch, and how much it may use.
#[derive(Debug, Clone)]
pub struct ComponentSetup {
    /// The hosts and folders that it may touch, in addition to its working folder.
    pub grants: Grants,
    /// The addresses that its requests may go to, whichever host name was granted.
    pub network: NetworkPolicy,
    /// The requests that the operator allows at most, whatever was granted.
    pub http: HttpPolicy,
    /// The values that replace placeholders in its requests. Give all components of a step the same ones.
    pub secrets: StepSecrets,
    /// How much it may use.
    pub limits: Limits,
    /// The part of the machine that all components of its tenant share.
    pub share: Share,
    /// What its step has used so far. Give all components of a step the same usage.
    pub usage: Usage,
    /// The options that the job gives it, with their templates expanded. `None` gives it all parameters of
    /// the job.
    pub options: Option<Value>,
    /// The folder that it knows as `work`. It belongs to this execution only, and is writable.
    pub work: PathBuf,
}
