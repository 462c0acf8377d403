//! `stepbox publish`.

use stepbox::PublishOptions;
use stepbox::batch::visible::Visible;

use crate::args::queue::Publish;
use crate::error::CliError;
use crate::output::{Answer, talk};
use crate::parameters;
use crate::site::Site;

/// Puts an execution into the queue, and prints its number.
pub(crate) async fn carry_out(site: &Site, publish: Publish) -> Result<Answer, CliError> {
    let Publish { code, config, priority, at, delay, unique, attempts, format } = publish;
    let options = PublishOptions {
        overrides: config.as_deref().map(parameters::read).transpose()?,
        priority,
        available_at: at,
        is_unique: unique,
        attempts_max: attempts,
        idempotency: None,
    };
    let published = site.publish(&code, options, delay).await?;
    if published.was_there {
        let id = published.id;
        talk(format!("execution {id} of the same instance and parameters has not ended; none was published"));
    }
    Ok(Answer::new(format.format, || Visible::line(published.id), || &published))
}
