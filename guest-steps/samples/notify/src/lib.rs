//! Sends the folder of an export to a URL.
//!
//! Sends `POST urlToNotify` with the form `directory=<folder of the exported file>`. The step `export` has
//! put the path of the exported file into the execution context, as `export.file_path`. If there is no such
//! value, the path is the parameter `storage.file_path`.
//!
//! - Any status of 200 to 299: the summary says `notified: yes`.
//! - Any other status, or no answer: the summary says `notified: no`, an error says what happened and what to
//!   do, and the step fails with `notification-failed`. It does not fail if `notifyFailureIsError` is false.

mod form;

use serde::Deserialize;
use stepbox_step::{Description, Exit, StepError, Tasklet, execution, http, json};

/// The key under which the step `export` puts the path of its file.
const EXPORTED_FILE: &str = "export.file_path";

/// The tasklet.
pub struct Notify;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    url_to_notify: String,
    #[serde(default = "yes")]
    notify_failure_is_error: bool,
    storage: Option<Storage>,
}

#[derive(Debug, Deserialize)]
struct Storage {
    file_path: Option<String>,
}

impl Tasklet for Notify {
    type Parameters = Parameters;

    fn describe(about: Description) -> Description {
        let schema = json!({
            "type": "object",
            "properties": {
                "urlToNotify": { "type": "string", "format": "uri" },
                "notifyFailureIsError": { "type": "boolean", "default": true },
            },
            "required": ["urlToNotify"],
        });
        about.parameters(schema).needs("http: POST ${parameters.urlToNotify}")
    }

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        let directory = exported_directory(parameters.storage)?;
        match notify(&parameters.url_to_notify, &directory) {
            Ok(()) => {
                execution::set_summary("notified", "yes");
                Ok(Exit::Completed)
            }
            Err(failure) => {
                execution::set_summary("notified", "no");
                execution::add_error(&failure);
                if parameters.notify_failure_is_error {
                    return Err(StepError::new("notification-failed", failure).retryable());
                }
                Ok(Exit::Completed)
            }
        }
    }
}

stepbox_step::export_tasklet!(Notify);

fn exported_directory(storage: Option<Storage>) -> Result<String, StepError> {
    let exported: Option<String> = execution::get(EXPORTED_FILE)?;
    let file = exported.or_else(|| storage?.file_path).ok_or_else(|| {
        let problem = format_args!(
            "no exported file to tell of: no earlier step put `{EXPORTED_FILE}` into the execution context, \
             and there is no parameter `storage.file_path`; name the step that writes the file `export`"
        );
        StepError::new("no-exported-file", problem)
    })?;
    Ok(directory_of(&file).to_owned())
}

/// Sends the notification. The error is a sentence: why it did not arrive, and what to do.
fn notify(url: &str, directory: &str) -> Result<(), String> {
    let host = host_of(url);
    let answer = http::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form::field("directory", directory))
        .send()
        .map_err(|error| format!("`{host}` was not notified of `{directory}`: {error}; {NEXT}"))?;
    if answer.is_success() {
        return Ok(());
    }
    let status = answer.status();
    Err(format!("`{host}` answered the notification of `{directory}` with status {status}; {NEXT}"))
}

const NEXT: &str = "check the parameter `urlToNotify` and the service behind it, then restart the job";

/// The folder of a path or of a storage's address, as `dirname` returns it.
fn directory_of(file: &str) -> &str {
    match file.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    }
}

/// The host of a URL, for messages. Messages must not contain the URL's user name and password.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
