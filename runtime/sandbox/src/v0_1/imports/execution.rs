//! `stepbox:step/execution`: the step's parameters, progress, findings and stop request.
//!
//! `is-stopping` and `increment-processed-items` may be called for every item: they only use an atomic.

use std::borrow::Cow;

use stepbox_batch::cut::cut;

use crate::lengths::{
    Bound, CONTEXT_GET_KEY, CONTEXT_KEY, CONTEXT_VALUE, COUNTER_NAME, ERROR_MESSAGE, PARAMETER_NAME,
    SUMMARY_NAME, SUMMARY_TEXT, WARNING_ITEM, WARNING_REASON,
};
use crate::state::StepState;
use crate::text::storable;
use crate::v0_1::bindings::stepbox::step::execution::Host;

/// The code of warnings that a step reports.
const WARNING_CODE: &str = "reported-by-step";

impl Host for StepState {
    fn parameters(&mut self) -> String {
        self.context.run().parameters_text.clone()
    }

    fn parameter(&mut self, name: String) -> Option<String> {
        if !PARAMETER_NAME.takes(&name) {
            return None;
        }
        self.context.run().parameters.get(&name).map(ToString::to_string)
    }

    fn context_get(&mut self, key: String) -> Option<String> {
        if CONTEXT_GET_KEY.takes(&key) { self.context.get_text(&key) } else { None }
    }

    /// The length of a value is checked before it is parsed: as a tree it takes up to fifty times its length.
    fn context_put(&mut self, key: String, value: String) -> Result<(), String> {
        CONTEXT_KEY.check(key.len()).map_err(|error| error.to_string())?;
        CONTEXT_VALUE
            .check(value.len())
            .map_err(|error| format!("the execution context takes no more: {error}"))?;
        let value =
            serde_json::from_str(&value).map_err(|error| format!("the value is not JSON: {error}"))?;
        self.context.put(&key, value)
    }

    async fn save(&mut self) -> Result<(), String> {
        self.context.save().await.map_err(|error| storable(&error.to_string()).into_owned())
    }

    fn set_total_items(&mut self, total: u32) {
        self.context.set_total_items(total);
    }

    fn increment_processed_items(&mut self, by: u32) {
        self.context.increment_processed_items(by);
    }

    fn increment_summary(&mut self, name: String, by: u32) {
        self.context.increment_summary(&name_of(&COUNTER_NAME, &name), u64::from(by));
    }

    fn set_summary(&mut self, name: String, value: String) {
        self.context.set_summary(&name_of(&SUMMARY_NAME, &name), &storable(SUMMARY_TEXT.cut(&value)));
    }

    fn add_warning(&mut self, reason: String, item: String) {
        let (reason, item) = (WARNING_REASON.cut(&reason), WARNING_ITEM.cut(&item));
        self.context.add_warning(WARNING_CODE, &storable(reason), "", &storable(item));
    }

    fn add_error(&mut self, message: String) {
        self.context.add_error(&storable(ERROR_MESSAGE.cut(&message)));
    }

    fn is_stopping(&mut self) -> bool {
        self.context.observe_stop()
    }
}

/// The beginning of a name. A name that is too long is refused later, by its length; this much of it is
/// enough for that.
fn name_of<'a>(bound: &Bound, name: &'a str) -> Cow<'a, str> {
    storable(cut(name, bound.max + char::MAX_LEN_UTF8))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepbox_batch::log::NoLog;

    use super::*;
    use crate::testing::{state, step_context};

    #[test]
    fn gives_parameters_as_json_text() {
        let mut state = state(&step_context(Arc::new(NoLog)));
        assert_eq!(state.parameters(), r#"{"greeting":"hello"}"#);
        assert_eq!(state.parameter("greeting".to_owned()).as_deref(), Some(r#""hello""#));
        assert_eq!(state.parameter("missing".to_owned()), None);
    }

    #[test]
    fn keeps_json_in_the_context_and_refuses_anything_else() {
        let mut state = state(&step_context(Arc::new(NoLog)));
        assert_eq!(state.context_put("k".to_owned(), r#"{"a":[1]}"#.to_owned()), Ok(()));
        assert_eq!(state.context_get("k".to_owned()).as_deref(), Some(r#"{"a":[1]}"#));
        let refusal = state.context_put("k".to_owned(), "{".to_owned()).unwrap_err();
        assert!(refusal.starts_with("the value is not JSON: "), "{refusal}");
        // Regression: a value of 127 levels was stored inside others, and then no part of the execution could
        // be read.
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        let refusal = state.context_put("k".to_owned(), deep).unwrap_err();
        assert_eq!(refusal, "a value nests at most 64 levels deep, this one deeper");
        // Regression: a value was parsed before its length was checked, which took gigabytes.
        let long = "[".repeat(64 << 10) + "]";
        let refusal = state.context_put("k".to_owned(), long).unwrap_err();
        let words = "the execution context takes no more: value has 65537 bytes; at most 65536 are taken";
        assert_eq!(refusal, words);
        let refusal = state.context_put("k".repeat(129), "1".to_owned()).unwrap_err();
        assert_eq!(refusal, "key has 129 bytes; at most 128 are taken");
    }

    #[test]
    fn whoever_asks_whether_to_stop_is_remembered() {
        let context = step_context(Arc::new(NoLog));
        let mut state = state(&context);
        assert!(!state.is_stopping());
        context.run().request_stop();
        assert!(!context.has_observed_stop());
        assert!(state.is_stopping());
        assert!(context.has_observed_stop());
    }

    #[test]
    fn findings_can_be_stored() {
        let context = step_context(Arc::new(NoLog));
        let mut state = state(&context);
        state.add_warning("bad\0 cell".to_owned(), "{}".to_owned());
        state.set_summary("note".to_owned(), "\0".to_owned());
        let findings = context.findings();
        assert_eq!(findings.unsaved_warnings[0].reason, "bad\u{fffd} cell");
        assert_eq!(findings.summary["note"].to_string(), "\u{fffd}");
    }
}
