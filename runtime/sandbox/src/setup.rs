//! What a component gets when it is run as an element or a tasklet.

use std::path::PathBuf;

use serde_json::Value;
use stepbox_net::NetworkPolicy;

use crate::budget::Usage;
use crate::egress::HttpPolicy;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::secrets::StepSecrets;
use crate::share::Share;

/// What a component gets when it is run: what it may touch, and how much it may use.
#[derive(Debug, Clone)]
pub struct ComponentSetup {
    /// The hosts and folders it may touch, beside its working folder.
    pub grants: Grants,
    /// Which addresses its requests may go to, whatever host name they were granted by.
    pub network: NetworkPolicy,
    /// Which requests the operator allows at most, whatever was granted.
    pub http: HttpPolicy,
    /// What is put into its requests where their placeholders stand: give all components of a step the same
    /// ones.
    pub secrets: StepSecrets,
    /// How much it may use.
    pub limits: Limits,
    /// What it shares with all others of its tenant.
    pub share: Share,
    /// What its step has used so far: give all components of a step the same one.
    pub usage: Usage,
    /// The options which the job gives it, with their templates expanded. None gives it all
    /// parameters of the job.
    pub options: Option<Value>,
    /// The folder that it knows as `work`: of this execution alone, and writable.
    pub work: PathBuf,
}
