//! What is said of secrets that a job names and nobody has.

use stepbox_batch::nearest::nearest;

/// The code of a secret that the policy does not have.
pub(crate) const UNKNOWN_CODE: &str = "secret-unknown";

/// The code of a secret whose value cannot be had now.
pub(crate) const UNUSABLE_CODE: &str = "secret-unusable";

pub(crate) fn unknown(name: &str) -> String {
    format!("the policy has no secret `{name}`")
}

/// The line that would add it, or the one that was meant.
pub(crate) fn help_for_unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let line = format!("secrets: {{ {name}: {{ file: PATH, hosts: [HOST] }} }}");
    match nearest(name, known) {
        Some(nearest) => {
            format!("did you mean `{nearest}`? If not, the operator adds `{line}` to the policy")
        }
        None => format!("the operator adds `{line}` to the policy, with the hosts that may get it"),
    }
}
