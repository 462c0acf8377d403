//! The variants of one export.

/// One variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// (a)
    ByHand,
    /// (b)
    Usual,
    /// (c) and (d): a job of Stepbox.
    Job(&'static Variant),
}

/// A job and the settings in which it differs from the others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// The job, and its instance.
    pub(crate) name: &'static str,
    title: &'static str,
    pub(crate) processor: &'static str,
    /// More keys of the step; empty for the defaults.
    pub(crate) settings: &'static str,
}

const fn variant(
    name: &'static str,
    title: &'static str,
    processor: &'static str,
    settings: &'static str,
) -> Variant {
    Variant { name, title, processor, settings }
}

const NATIVE: &str = "native_normalise";
const COMPONENT: &str = "normalise";
const SMALL: &str = "chunk: 100";
/// The default of 256 KiB would end a chunk earlier.
const LARGE: &str = "chunk: { rows: 10000, bytes: 8388608 }";
/// Only the last checkpoint.
const NO_CHECKPOINTS: &str = "checkpoint: { seconds: 3600 }";

pub(crate) const NATIVE_1: Variant = variant("native_1", "(c) stepbox, native processor", NATIVE, "");
pub(crate) const NATIVE_2: Variant =
    variant("native_2", "(c) native processor, 2 workers", NATIVE, "workers: 2");
pub(crate) const COMPONENT_1: Variant =
    variant("component_1", "(d) stepbox, the same as a component", COMPONENT, "");
pub(crate) const COMPONENT_2: Variant =
    variant("component_2", "(d) component, 2 workers", COMPONENT, "workers: 2");
pub(crate) const COMPONENT_UNSAVED: Variant =
    variant("component_unsaved", "(d) component, one checkpoint", COMPONENT, NO_CHECKPOINTS);

/// All jobs that export.
pub(crate) const ALL: [&Variant; 9] = [
    &NATIVE_1,
    &NATIVE_2,
    &COMPONENT_1,
    &COMPONENT_2,
    &variant("native_100", "(c) native processor, chunks of 100", NATIVE, SMALL),
    &variant("native_10000", "(c) native processor, chunks of 10,000", NATIVE, LARGE),
    &variant("component_100", "(d) component, chunks of 100", COMPONENT, SMALL),
    &variant("component_10000", "(d) component, chunks of 10,000", COMPONENT, LARGE),
    &COMPONENT_UNSAVED,
];

impl Way {
    /// Every variant, the baselines first, without the one that serves only as a comparison for checkpoints.
    pub(crate) fn all() -> Vec<Self> {
        let jobs = ALL.into_iter().filter(|variant| **variant != COMPONENT_UNSAVED).map(Self::Job);
        [Self::ByHand, Self::Usual].into_iter().chain(jobs).collect()
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let jobs = ALL.into_iter().map(Self::Job);
        [Self::ByHand, Self::Usual].into_iter().chain(jobs).find(|way| way.name() == name)
    }

    /// The name for files and machines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Usual => "usual",
            Self::Job(variant) => variant.name,
        }
    }

    /// The name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ByHand => "(a) hand-written loop over csv::ByteRecord",
            Self::Usual => "(b) usual loop, a String for every cell",
            Self::Job(variant) => variant.title,
        }
    }
}
