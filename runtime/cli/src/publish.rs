//! `stepbox publish`.

use stepbox::batch::visible::Visible;
use stepbox::{PublishOptions, Published, Tenant};

use crate::args::queue::Publish;
use crate::error::CliError;
use crate::output::{Answer, talk};
use crate::parameters;

/// Puts an execution into the queue, and prints its number.
pub(crate) async fn carry_out(tenant: &Tenant, publish: Publish) -> Result<Answer, CliError> {
    let Publish { code, config, priority, at, delay, unique, attempts, format } = publish;
    let options = PublishOptions {
        overrides: config.as_deref().map(parameters::read).transpose()?,
        priority,
        available_at: at.or(delay.map(|ms| tenant.now().plus_ms(ms))),
        is_unique: unique,
        attempts_max: attempts,
    };
    let published = tenant.publish(&code, options).await?;
    if let Published::ThereAlready(id) = published {
        talk(format!("execution {id} of the same instance and parameters has not ended; none was published"));
    }
    let text = || Visible::line(published.id());
    Ok(Answer::new(format.format, text, || stepbox_api::queue::Published::of(published)))
}
