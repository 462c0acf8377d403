//! The text in which people say which executions they want: `status:FAILED -user:schedule created:7d`.
//!
//! A term is a qualifier with values, a number, or a word. All terms hold together; values with commas between them are
//! any of these, and a `-` before a qualifier takes out what matches.

mod error;
mod term;
mod terms;
mod values;

use jiff::tz::TimeZone;

pub use error::{FilterTextError, Wrong};

use super::filter::{Choice, ExecutionFilter, Took};
use super::status::BatchStatus;
use crate::clock::Timestamp;
use crate::name::{ConnectorCode, InstanceCode, JobExecutionId, JobName, NameError, StepName};
use crate::nearest::nearest;
use term::Term;

/// The longest text, in bytes.
pub const FILTER_BYTES_MAX: usize = 2_000;
/// How many values a qualifier may have.
const VALUES_MAX: usize = 100;
/// The longest value that is no name, in characters.
const VALUE_CHARACTERS_MAX: usize = 255;

/// A qualifier, for hints and for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qualifier {
    /// The word before the colon.
    pub name: &'static str,
    /// The right form.
    pub form: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn qualifier(name: &'static str, form: &'static str, meaning: &'static str) -> Qualifier {
    Qualifier { name, form, meaning }
}

/// All qualifiers.
pub const QUALIFIERS: [Qualifier; 13] = [
    qualifier("status", "status:FAILED,STOPPED", "in one of these statuses"),
    qualifier("instance", "instance:nightly", "of the instance with this code"),
    qualifier("profile", "profile:nightly", "the same as `instance:`"),
    qualifier("type", "type:export", "the type of the job"),
    qualifier("connector", "connector:acme", "the connector of the job"),
    qualifier("job", "job:csv_export", "the name of the job"),
    qualifier("step", "step:normalise", "the job has a step of this name"),
    qualifier("user", "user:julia", "the user who asked for it"),
    qualifier(
        "created",
        "created:7d, created:>2026-11-01 or created:2026-11-01..2026-11-30",
        "when it was accepted",
    ),
    qualifier("took", "took:>1m, took:<10s or took:1m..5m", "how long it took"),
    qualifier("warning", "warning:yes or warning:no", "whether it has warnings"),
    qualifier("warnings", "warnings:>10, warnings:0 or warnings:1..10", "how many warnings it has"),
    qualifier("restarted", "restarted:no or restarted:yes", "`no`: failed, and nothing continues it"),
];

/// Reads a text. Days are those of the zone.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<ExecutionFilter, FilterTextError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(FilterTextError::whole(Wrong::TooLong { max: FILTER_BYTES_MAX }));
    }
    let mut reading =
        Reading { filter: ExecutionFilter::default(), seen: Vec::new(), words: Vec::new(), now, zone };
    for term in terms::split(text)? {
        let read = match &term.qualifier {
            Some(name) => reading.qualified(name, &term),
            None => reading.bare(&term),
        };
        read.map_err(|wrong| FilterTextError::at(&term, wrong))?;
    }
    Ok(reading.finish())
}

struct Reading<'a> {
    filter: ExecutionFilter,
    /// The qualifiers that were read without `-`. A second one of a kind would leave nothing over.
    seen: Vec<&'static str>,
    words: Vec<String>,
    now: Timestamp,
    zone: &'a TimeZone,
}

impl Reading<'_> {
    fn qualified(&mut self, name: &str, term: &Term) -> Result<(), Wrong> {
        let lower = name.to_ascii_lowercase();
        let Some(known) = QUALIFIERS.into_iter().find(|known| known.name == lower) else {
            let nearest = nearest(name, QUALIFIERS.iter().map(|known| known.name));
            return Err(Wrong::UnknownQualifier { name: name.to_owned(), nearest });
        };
        if term.values.iter().any(String::is_empty) {
            return Err(Wrong::NoValue { form: known.form });
        }
        if term.values.len() > VALUES_MAX {
            return Err(Wrong::TooManyValues { max: VALUES_MAX });
        }
        let kind = match known.name {
            "profile" => "instance",
            "warnings" => "warning",
            name => name,
        };
        if !term.is_excluded {
            if self.seen.contains(&kind) {
                return Err(Wrong::Twice { form: known.form });
            }
            self.seen.push(kind);
        }
        self.take(kind, known, term)
    }

    fn take(&mut self, kind: &str, known: Qualifier, term: &Term) -> Result<(), Wrong> {
        let Term { values, is_excluded, .. } = term;
        let (narrowing, is_excluded) = (&mut self.filter.narrowing, *is_excluded);
        match kind {
            "status" => {
                let statuses = all(values, |value| status(value, known))?;
                let place = if is_excluded { &mut narrowing.not_statuses } else { &mut self.filter.statuses };
                place.extend(statuses);
                Ok(())
            }
            "instance" => put(&mut narrowing.instances, values, is_excluded, name(InstanceCode::new, known)),
            "job" => put(&mut narrowing.jobs, values, is_excluded, name(JobName::new, known)),
            "step" => put(&mut narrowing.steps, values, is_excluded, name(StepName::new, known)),
            "connector" => {
                put(&mut narrowing.connectors, values, is_excluded, name(ConnectorCode::new, known))
            }
            "type" => put(&mut narrowing.types, values, is_excluded, |value| plain(value, known)),
            "user" => put(&mut narrowing.users, values, is_excluded, |value| plain(value, known)),
            _ => self.take_one(kind, known, term),
        }
    }

    /// The qualifiers that take one value.
    fn take_one(&mut self, kind: &str, known: Qualifier, term: &Term) -> Result<(), Wrong> {
        let bad = |value: &String| Wrong::BadValue { value: value.clone(), form: known.form, why: None };
        let [value] = &term.values[..] else { return Err(bad(&term.values.join(","))) };
        if term.is_excluded {
            return Err(Wrong::NotExcludable { form: known.form });
        }
        match kind {
            "created" => {
                let span = values::created(value, self.now, self.zone).ok_or_else(|| bad(value))?;
                (self.filter.created_since, self.filter.created_before) = span;
            }
            "took" => {
                let ms = values::range(value, values::span_ms, false).ok_or_else(|| bad(value))?;
                self.filter.narrowing.took = Some(Took { ms, now: self.now });
            }
            "warning" => {
                let range = match values::yes(value) {
                    Some(true) => Some(super::filter::Range { min: Some(1), max: None }),
                    Some(false) => Some(super::filter::Range { min: None, max: Some(0) }),
                    None => values::range(value, values::count, true),
                };
                self.filter.narrowing.warnings = range.ok_or_else(|| bad(value))?;
            }
            _ => self.filter.narrowing.is_restarted = Some(values::yes(value).ok_or_else(|| bad(value))?),
        }
        Ok(())
    }

    fn bare(&mut self, term: &Term) -> Result<(), Wrong> {
        let text = term.values.join(",");
        if term.is_excluded {
            return Err(Wrong::ExcludedWord);
        }
        match text.parse::<u64>() {
            Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) && !term.is_quoted => {
                self.filter.narrowing.ids.push(JobExecutionId(id));
            }
            _ if text.is_empty() => return Err(Wrong::EmptyWord),
            _ => self.words.push(text),
        }
        Ok(())
    }

    fn finish(self) -> ExecutionFilter {
        let Self { mut filter, seen, words, .. } = self;
        // What the program lists most has an index of its own.
        if let [_] = filter.narrowing.instances.any_of[..] {
            filter.instance = filter.narrowing.instances.any_of.pop();
        }
        if let [_] = filter.narrowing.jobs.any_of[..] {
            filter.job = filter.narrowing.jobs.any_of.pop();
        }
        if filter.narrowing.is_restarted == Some(false) && !seen.contains(&"status") {
            filter.statuses = vec![BatchStatus::Failed];
        }
        filter.narrowing.text = (!words.is_empty()).then(|| words.join(" "));
        filter
    }
}

fn all<T>(values: &[String], read: impl Fn(&str) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    values.iter().map(|value| read(value)).collect()
}

fn put<T>(
    choice: &mut Choice<T>,
    values: &[String],
    is_excluded: bool,
    read: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<(), Wrong> {
    let place = if is_excluded { &mut choice.none_of } else { &mut choice.any_of };
    place.extend(all(values, read)?);
    Ok(())
}

fn name<T>(
    new: impl Fn(String) -> Result<T, NameError>,
    known: Qualifier,
) -> impl Fn(&str) -> Result<T, Wrong> {
    move |value| {
        let bad = |error: NameError| Wrong::BadValue {
            value: value.to_owned(),
            form: known.form,
            why: Some(error.to_string()),
        };
        new(value.to_owned()).map_err(bad)
    }
}

fn plain(value: &str, known: Qualifier) -> Result<String, Wrong> {
    if value.chars().count() > VALUE_CHARACTERS_MAX {
        let value = value.chars().take(VALUE_CHARACTERS_MAX).collect();
        let why = Some(format!("at most {VALUE_CHARACTERS_MAX} characters are allowed"));
        return Err(Wrong::BadValue { value, form: known.form, why });
    }
    Ok(value.to_owned())
}

/// A status by its word. QUEUED is the word for STARTING while no worker has the execution, so both are the same here.
fn status(value: &str, known: Qualifier) -> Result<BatchStatus, Wrong> {
    let upper = value.to_ascii_uppercase();
    if upper == BatchStatus::QUEUED {
        return Ok(BatchStatus::Starting);
    }
    BatchStatus::ALL.into_iter().find(|status| status.as_str() == upper).ok_or_else(|| {
        let words = BatchStatus::ALL.iter().map(|status| status.as_str()).chain([BatchStatus::QUEUED]);
        match nearest(value, words.clone()) {
            Some(nearest) => {
                let why = Some(format!("did you mean `{nearest}`?"));
                Wrong::BadValue { value: value.to_owned(), form: known.form, why }
            }
            None => {
                let why = Some(format!("the statuses are {}", words.collect::<Vec<_>>().join(", ")));
                Wrong::BadValue { value: value.to_owned(), form: known.form, why }
            }
        }
    })
}

#[cfg(test)]
mod tests;
