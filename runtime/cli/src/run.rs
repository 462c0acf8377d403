//! `stepbox run`.

use stepbox::{RunOptions, Tenant};

use crate::args::Run;
use crate::error::CliError;
use crate::follow::follow;
use crate::output::Answer;
use crate::output::progress::ProgressDisplay;
use crate::parameters;

/// Runs an instance now, in this process.
pub(crate) async fn carry_out(
    tenant: &Tenant,
    Run { code, config, manner }: Run,
) -> Result<Answer, CliError> {
    let overrides = config.as_deref().map(parameters::read).transpose()?;
    let display = ProgressDisplay::new(manner.verbose);
    let options = RunOptions { overrides, log: display.log_listener() };
    let running = tenant.run(&code, options).await?;
    follow(tenant, running, display, &manner).await
}
