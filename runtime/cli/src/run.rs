//! `stepbox run`.

use crate::args::Run;
use crate::error::CliError;
use crate::follow::follow;
use crate::output::Answer;
use crate::output::progress::ProgressDisplay;
use crate::parameters;
use crate::site::Site;

/// Runs an instance now, and follows it to its end.
pub(crate) async fn carry_out(site: &Site, Run { code, config, manner }: Run) -> Result<Answer, CliError> {
    let overrides = config.as_deref().map(parameters::read).transpose()?;
    let display = ProgressDisplay::new(manner.verbose);
    let run = site.run(&code, overrides, display.log()).await?;
    follow(site, run, display, &manner).await
}
