//! How the program reports events: as messages to a person, or as the log of a service.

use std::borrow::Cow;

use serde::Serialize;
use stepbox::SystemClock;
use stepbox::batch::clock::Clock as _;
use stepbox::batch::log::LogLevel;
use stepbox::batch::name::{JobExecutionId, TenantId};
use stepbox::batch::visible::Visible;

use super::format::Format;
use super::talk_lines;

/// The reader of standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// A person who waits for the answer.
    Talk,
    /// The log of a service, read now or later.
    Log(Format),
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its level.
    pub(crate) level: LogLevel,
    /// Its name. Names never change.
    pub(crate) event: &'static str,
    /// The tenant, if the event is about one.
    pub(crate) tenant: Option<TenantId>,
    /// The execution, if the event is about one.
    pub(crate) execution: Option<JobExecutionId>,
    /// The code of an error.
    pub(crate) code: Option<Cow<'static, str>>,
    /// The message for people.
    pub(crate) message: String,
}

impl Entry {
    /// An event that is about no execution.
    pub(crate) fn new(level: LogLevel, event: &'static str, message: impl Into<String>) -> Self {
        Self { level, event, tenant: None, execution: None, code: None, message: message.into() }
    }

    /// The same about an execution.
    #[must_use]
    pub(crate) fn about(self, tenant: &TenantId, execution: JobExecutionId) -> Self {
        Self { tenant: Some(tenant.clone()), execution: Some(execution), ..self }
    }

    /// The same about a tenant.
    #[must_use]
    pub(crate) fn of(self, tenant: &TenantId) -> Self {
        Self { tenant: Some(tenant.clone()), ..self }
    }

    /// The same with the code of its error.
    #[must_use]
    pub(crate) fn coded(self, code: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code.into()), ..self }
    }
}

/// An entry for programs.
#[derive(Serialize)]
struct EntryView<'a> {
    at: String,
    level: LogLevel,
    event: &'static str,
    tenant: Option<&'a TenantId>,
    execution: Option<JobExecutionId>,
    code: Option<&'a str>,
    message: &'a str,
}

impl Voice {
    /// Writes events, each on one line.
    pub(crate) fn say(self, entry: &Entry) {
        talk_lines(&self.line(entry, SystemClock.now().to_string()));
    }

    fn line(self, entry: &Entry, at: String) -> Visible {
        let Entry { level, event, tenant, execution, code, message } = entry;
        match self {
            Self::Talk => Visible::line(message),
            Self::Log(Format::Text) => Visible::line(format_args!("{at} {level:<7} {message}")),
            Self::Log(Format::Json) => {
                let (tenant, execution, code) = (tenant.as_ref(), *execution, code.as_deref());
                let view = EntryView { at, level: *level, event, tenant, execution, code, message };
                Visible::json_line(&view)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_of_its_kind() {
        let about_all = Entry::new(LogLevel::Info, "worker-began", "worker a \"quoted\"\nb");
        let about_one = Entry::new(LogLevel::Warning, "execution-lost", "gone")
            .about(&TenantId::default(), JobExecutionId(7))
            .coded("lease-lost");
        let rows = [
            (Voice::Talk, &about_one, "gone"),
            (Voice::Log(Format::Text), &about_one, "NOW warning gone"),
            (
                Voice::Log(Format::Json),
                &about_one,
                r#"{"at":"NOW","level":"warning","event":"execution-lost","tenant":"default","execution":7,"code":"lease-lost","message":"gone"}"#,
            ),
            (
                Voice::Log(Format::Json),
                &about_all,
                r#"{"at":"NOW","level":"info","event":"worker-began","tenant":null,"execution":null,"code":null,"message":"worker a \"quoted\"\nb"}"#,
            ),
        ];
        for (voice, entry, expected) in rows {
            assert_eq!(voice.line(entry, "NOW".to_owned()).as_str(), format!("{expected}\n"));
        }
    }
}
