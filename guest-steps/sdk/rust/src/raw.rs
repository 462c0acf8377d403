//! The bindings that wit-bindgen generates from `wit/0.1`, for a step that uses the contract directly.
//!
//! The imports are generated once, in this module, and each exported interface in a module of its own. The
//! `export!` macro of such a module adds its interface to the component. So the component exports only the
//! interfaces that it names, whatever else is in this crate. A component needs the interface of an element or
//! a tasklet, and `describe`:
//!
//! ```ignore
//! use stepbox_step::raw;
//!
//! struct Step;
//! impl raw::describe::Guest for Step { … }
//! impl raw::processor::Guest for Step { … }
//! raw::describe::export!(Step with_types_in raw::describe);
//! raw::processor::export!(Step with_types_in raw::processor);
//! ```
#![allow(missing_docs, unused_qualifications, clippy::all, reason = "generated, from a documented WIT")]

pub use self::stepbox::step::{execution, files, http, log, types};

wit_bindgen::generate!({
    path: "../../../wit/0.1",
    inline: "
        package stepbox:sdk;

        world imports {
            import stepbox:step/types@0.1.0;
            import stepbox:step/execution@0.1.0;
            import stepbox:step/files@0.1.0;
            import stepbox:step/http@0.1.0;
            import stepbox:step/log@0.1.0;
        }
    ",
    world: "stepbox:sdk/imports",
    generate_all,
});

/// Each exported interface gets a world of its own. The contract's worlds all export `describe`, so their
/// macros could not be distinguished.
macro_rules! exported {
    ($(#[doc = $doc:literal])* $interface:ident, $world:literal, $inline:literal) => {
        $(#[doc = $doc])*
        pub mod $interface {
            pub use self::exports::stepbox::step::$interface::*;

            wit_bindgen::generate!({
                path: "../../../wit/0.1",
                inline: $inline,
                world: $world,
                pub_export_macro: true,
                with: { "stepbox:step/types@0.1.0": super::types },
            });
        }
    };
}

exported!(
    /// The interface that every component exports.
    describe, "stepbox:sdk/describe-only",
    "package stepbox:sdk; world describe-only { export stepbox:step/describe@0.1.0; }"
);
exported!(
    /// The exports of an `item-reader`.
    reader, "stepbox:sdk/reader-only",
    "package stepbox:sdk; world reader-only { export stepbox:step/reader@0.1.0; }"
);
exported!(
    /// The interface that a `partitioned-item-reader` exports in addition to `reader`.
    partitioner, "stepbox:sdk/partitioner-only",
    "package stepbox:sdk; world partitioner-only { export stepbox:step/partitioner@0.1.0; }"
);
exported!(
    /// The interface that a component exports in addition if it describes forms.
    form, "stepbox:sdk/form-only",
    "package stepbox:sdk; world form-only { export stepbox:step/form@0.1.0; }"
);
exported!(
    /// The exports of an `item-processor`.
    processor, "stepbox:sdk/processor-only",
    "package stepbox:sdk; world processor-only { export stepbox:step/processor@0.1.0; }"
);
exported!(
    /// The exports of an `item-writer`.
    writer, "stepbox:sdk/writer-only",
    "package stepbox:sdk; world writer-only { export stepbox:step/writer@0.1.0; }"
);
exported!(
    /// The exports of a `tasklet`.
    task, "stepbox:sdk/task-only",
    "package stepbox:sdk; world task-only { export stepbox:step/task@0.1.0; }"
);
