//! `components` in `policy.yaml`: which of them may come in and be run, and how much compiling one may
//! cost.

use std::num::NonZeroU64;

use serde::Deserialize;
use stepbox::{CompileProcess, ComponentsPolicy, ComponentsPolicyError, SigningKey, SigningKeyError};

use super::Mistake;

/// What is asked of components.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Components {
    /// Left out, nobody needs to sign.
    signed_by: Option<Vec<Key>>,
    compile: Compile,
}

/// A public key, and what people call it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: String,
}

/// How much compiling one component may take.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Compile {
    /// In milliseconds of computing.
    time_ms_max: Option<NonZeroU64>,
    /// In bytes.
    memory_bytes_max: Option<NonZeroU64>,
}

impl Components {
    /// What the file says.
    pub(super) fn policy(&self) -> Result<ComponentsPolicy, Mistake> {
        let signed_by =
            self.signed_by.as_ref().map(|keys| keys.iter().map(Key::parse).collect()).transpose()?;
        let policy = ComponentsPolicy { signed_by };
        policy.check()?;
        Ok(policy)
    }

    /// Sets the limits that the file names.
    pub(super) fn limit(&self, process: CompileProcess) -> CompileProcess {
        let Compile { time_ms_max, memory_bytes_max } = self.compile;
        CompileProcess {
            time_ms_max: time_ms_max.map_or(process.time_ms_max, NonZeroU64::get),
            memory_bytes_max: memory_bytes_max.map_or(process.memory_bytes_max, NonZeroU64::get),
            ..process
        }
    }
}

impl Key {
    fn parse(&self) -> Result<SigningKey, Mistake> {
        Ok(SigningKey::new(&self.name, &self.key)?)
    }
}

impl From<SigningKeyError> for Mistake {
    fn from(error: SigningKeyError) -> Self {
        Self { message: format!("`components.signed_by`: {error}"), help: error.help() }
    }
}

impl From<ComponentsPolicyError> for Mistake {
    fn from(error: ComponentsPolicyError) -> Self {
        Self { message: error.to_string(), help: error.help() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = found(text, |file, policy| {
            let CompileProcess { time_ms_max, memory_bytes_max, .. } =
                file.limit(CompileProcess::new("stepbox", []));
            let keys = policy.components.signed_by.unwrap_or_default();
            let keys = keys.iter().map(SigningKey::name).collect::<Vec<_>>().join(",");
            format!("time={time_ms_max} memory={memory_bytes_max} keys={keys}")
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn says_what_compiling_may_cost() {
        check("", "time=20000 memory=1073741824 keys=");
        check("components: { compile: { time_ms_max: 5000 } }", "time=5000 memory=1073741824 keys=");
        check(
            "components: { compile: { memory_bytes_max: 536870912 } }",
            "time=20000 memory=536870912 keys=",
        );
        check(
            "components: { compile: { time_ms_max: 0 } }",
            "policy.yaml, line 1, column 26: invalid value: integer `0`, expected 1 or more | limits cannot be \
             switched off; leave it out for the default",
        );
        check(
            "components: { compile: { seconds: 5 } }",
            "policy.yaml, line 1, column 26: the key `seconds` is not known here | known are `time_ms_max`, \
             `memory_bytes_max`",
        );
    }

    #[test]
    fn says_whose_signatures_are_accepted() {
        const ACME: &str = "RWSRZx0VI4kuZ4lciSqZLxjyd8ncJbbFhw3VRYESz3bRSF76K60A1M/U";
        let of = |keys: &str| format!("components: {{ signed_by: [{keys}] }}");
        let acme = format!("{{ name: acme, key: {ACME} }}");
        check(&of(&acme), "time=20000 memory=1073741824 keys=acme");
        check(
            &of(""),
            "`components.signed_by` is empty, so that no component could be run | list a key, or leave \
             `signed_by` out to ask for no signature",
        );
        check(
            &of(&format!("{acme}, {acme}")),
            "`components.signed_by` has two keys with the name `acme` | give each key a name of its own, such as \
             `acme-2`",
        );
        check(
            &of("{ name: acme, key: RWQ }"),
            "`components.signed_by`: the key of `acme` is no public key of minisign | write the second line of \
             `minisign.pub`, which begins with `RW`",
        );
        check(
            &of(&format!("{{ nam: acme, key: {ACME} }}")),
            "policy.yaml, line 1, column 29: the key `nam` is not known here | did you mean `name`?",
        );
        check(
            "components: { signd_by: [] }",
            "policy.yaml, line 1, column 15: the key `signd_by` is not known here | did you mean `signed_by`?",
        );
    }
}
