//! `components` in `policy.yaml`: which components may be uploaded and run, and how much compiling a
//! component may cost.

use std::num::NonZeroU64;

use serde::Deserialize;
use stepbox_batch::component_quota::ComponentQuota;
use stepbox_sandbox::CompileProcess;

use super::Problem;
use crate::components_policy::{ComponentsPolicy, ComponentsPolicyError};
use crate::signature::{SigningKey, SigningKeyError};

/// The requirements for components.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Components {
    /// Whether new components may be uploaded. The default is yes.
    upload: Option<bool>,
    count_max: Option<u64>,
    size_bytes_max: Option<u64>,
    total_bytes_max: Option<u64>,
    /// If this is left out, no signature is required.
    signed_by: Option<Vec<Key>>,
    compile: Compile,
}

/// A public key and its name.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: String,
}

/// The limits of compiling one component.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Compile {
    /// In milliseconds of processor time.
    time_ms_max: Option<NonZeroU64>,
    /// In bytes.
    memory_bytes_max: Option<NonZeroU64>,
}

impl Components {
    /// The default policy, changed by the settings of the file.
    pub(super) fn policy(&self, default: ComponentsPolicy) -> Result<ComponentsPolicy, Problem> {
        let signed_by =
            self.signed_by.as_ref().map(|keys| keys.iter().map(Key::parse).collect()).transpose()?;
        let upload = self.upload.unwrap_or(default.upload);
        let policy = ComponentsPolicy { upload, signed_by, quota: self.quota(default.quota)? };
        policy.check()?;
        Ok(policy)
    }

    fn quota(&self, default: ComponentQuota) -> Result<ComponentQuota, Problem> {
        let Self { count_max, size_bytes_max, total_bytes_max, .. } = *self;
        let given = [
            ("count_max", count_max),
            ("size_bytes_max", size_bytes_max),
            ("total_bytes_max", total_bytes_max),
        ];
        if let (Some(false), Some((name, _))) = (self.upload, given.iter().find(|(_, value)| value.is_some()))
        {
            return Err(idle(name, "`upload: false` lets nothing new in"));
        }
        if let (Some(size), Some(total)) = (size_bytes_max, total_bytes_max)
            && size > total
        {
            return Err(idle("size_bytes_max", "it is more than `total_bytes_max`"));
        }
        Ok(ComponentQuota {
            count_max: count_max.unwrap_or(default.count_max),
            size_bytes_max: size_bytes_max.unwrap_or(default.size_bytes_max),
            total_bytes_max: total_bytes_max.unwrap_or(default.total_bytes_max),
        })
    }

    /// Whether the file names a limit of compiling.
    pub(super) fn limits_compiling(&self) -> bool {
        self.compile != Compile::default()
    }

    /// Whether another file has the same settings of compiling.
    pub(super) fn is_same_for_process(&self, other: &Self) -> bool {
        self.compile == other.compile
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

fn idle(name: &str, why: &str) -> Problem {
    Problem {
        message: format!("`components.{name}` has no effect: {why}"),
        help: format!("take `{name}` out"),
    }
}

impl Key {
    fn parse(&self) -> Result<SigningKey, Problem> {
        Ok(SigningKey::new(&self.name, &self.key)?)
    }
}

impl From<SigningKeyError> for Problem {
    fn from(error: SigningKeyError) -> Self {
        Self { message: format!("`components.signed_by`: {error}"), help: error.help() }
    }
}

impl From<ComponentsPolicyError> for Problem {
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
    fn says_how_many_may_come_in() {
        let check = |text: &str, expected: &str| {
            let found = found(text, |_, policy| {
                let ComponentsPolicy { upload, quota, .. } = policy.components;
                let ComponentQuota { count_max, size_bytes_max, total_bytes_max } = quota;
                format!("upload={upload} count={count_max} size={size_bytes_max} total={total_bytes_max}")
            });
            assert_eq!(found, expected, "{text}");
        };
        check("", "upload=true count=10000 size=33554432 total=68719476736");
        check(
            "components: { count_max: 9, size_bytes_max: 8, total_bytes_max: 70 }",
            "upload=true count=9 size=8 total=70",
        );
        check("components: { upload: false }", "upload=false count=10000 size=33554432 total=68719476736");
        check(
            "components: { upload: false, count_max: 9 }",
            "`components.count_max` has no effect: `upload: false` lets nothing new in | take `count_max` out",
        );
        check(
            "components: { size_bytes_max: 8, total_bytes_max: 7 }",
            "`components.size_bytes_max` has no effect: it is more than `total_bytes_max` | take `size_bytes_max` \
             out",
        );
        check(
            "components: { count_max: 0 }",
            "the quota `count_max` of components is 0, so that no component could be kept | write 1 or more, or `upload: \
             false` to let nothing new in",
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
            "`signed_by` is empty, so that no component could be run | list a key, or leave \
             `signed_by` out to ask for no signature",
        );
        check(
            &of(&format!("{acme}, {acme}")),
            "`signed_by` has two keys with the name `acme` | give each key a name of its own, such as \
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
