//! The messages about secrets that a job names and that do not exist or cannot be used.

use stepbox_batch::nearest::nearest;
use stepbox_batch::remedy::Remedy;

/// The code of a secret that is not in the policy.
pub(crate) const UNKNOWN_CODE: &str = "secret-unknown";

/// The code of a secret whose value cannot be read now.
pub(crate) const UNUSABLE_CODE: &str = "secret-unusable";

pub(crate) fn unknown(name: &str) -> String {
    format!("the policy has no secret `{name}`")
}

/// The name that was probably meant; empty if no name is similar.
pub(crate) fn help_for_unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |nearest| format!("did you mean `{nearest}`?"))
}

pub(crate) fn remedy_for_unknown(name: &str) -> Remedy {
    Remedy::AddSecret { secret: name.to_owned() }
}
