//! Converts a component's errors and traps to failures of its step.

use std::borrow::Cow;

use stepbox_batch::cut::cut;
use stepbox_batch::element::TIME_LIMIT_CODE;
use stepbox_batch::error::{ElementError, Halt, LyingBatch};
use stepbox_batch::findings::NAME_BYTES_MAX;
use stepbox_batch::remedy::{Listed, Remedy};
use stepbox_batch::rows::BadRows;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::engine::FRAMES_MAX;
use crate::memory::OutOfMemory;
use crate::text::storable;
use crate::upload::World;
use crate::v0_1::bindings::stepbox::step::types::StepError;
use crate::watch::Cut;

/// The maximum length of a failure's message, in bytes; the rest is cut off.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The codes of failures that the sandbox itself detects. Each is a heading in `docs/errors.md`.
pub const FAILURE_CODES: &[&str] = &[
    TIME_LIMIT_CODE,
    "step-cpu-limit",
    "step-memory-limit",
    "step-stack-overflow",
    "step-panicked",
    "step-trapped",
    "step-exited",
    "step-answer-too-large",
    "step-wrong-world",
    "step-not-open",
    "step-bad-code",
    "work-folder-unavailable",
    "lying-batch",
];

/// The failure that a component reports, in its own words.
pub(crate) fn of_step_error(error: StepError) -> ElementError {
    let message = storable(cut(&error.message, MESSAGE_BYTES_MAX)).into_owned();
    let failure = if is_code(&error.code) {
        ElementError::failed(error.code, message)
    } else {
        let given = storable(cut(&error.code, NAME_BYTES_MAX));
        ElementError::failed("step-bad-code", format!("{message} (code `{given}`)"))
            .with_help("a code is lower-case words joined by hyphens, at most 100 bytes; tell the author")
    };
    if error.retryable { failure.retryable() } else { failure }
}

/// Whether a text is lower-case words joined by hyphens.
pub(crate) fn is_code(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= NAME_BYTES_MAX && text.split('-').all(is_word)
}

/// The reason why a call ended with a trap: a stop request, or a failure.
pub(crate) fn of_trap(error: &wasmtime::Error, refusal: Option<OutOfMemory>, last_words: &str) -> Halt {
    if refusal.is_none() && matches!(error.downcast_ref(), Some(Cut::Stopped)) {
        return Halt::Stopped;
    }
    failure_of_trap(error, refusal, last_words).into()
}

fn failure_of_trap(error: &wasmtime::Error, refusal: Option<OutOfMemory>, last_words: &str) -> ElementError {
    if let Some(refusal) = refusal {
        return out_of_memory(&refusal, last_words);
    }
    match error.downcast_ref::<Cut>() {
        Some(cut @ Cut::TimeLimit { .. }) => {
            return ElementError::failed(TIME_LIMIT_CODE, with_last_words(cut.to_string(), last_words))
                .with_help("raise `limits.time_ms_max` of this step, or give it smaller chunks");
        }
        Some(cut @ Cut::CpuLimit { .. }) => {
            return ElementError::failed("step-cpu-limit", with_last_words(cut.to_string(), last_words))
                .with_help("raise `limits.cpu_ms_max` of this step, or give it less to do");
        }
        Some(Cut::Stopped) | None => {}
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        let message = format!("ended its process with status {status} instead of returning");
        return ElementError::failed("step-exited", with_last_words(message, last_words));
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) if is_stack_overflow(*trap, error) => {
            ElementError::failed("step-stack-overflow", "the stack overflowed")
                .with_help("the component recurses too deeply; tell its author")
        }
        // Compilers of most languages compile a panic or an abort to this instruction.
        Some(Trap::UnreachableCodeReached) if !last_words.is_empty() => {
            ElementError::failed("step-panicked", format!("panicked: {last_words}"))
        }
        Some(Trap::UnreachableCodeReached) => {
            ElementError::failed("step-panicked", "panicked, and printed nothing about it".to_owned())
        }
        Some(trap) => {
            ElementError::failed("step-trapped", with_last_words(format!("trapped: {trap}"), last_words))
        }
        // A host function returned an error, or a returned value is malformed.
        None => ElementError::failed("step-trapped", with_last_words(innermost(error), last_words)),
    }
}

/// The component asked for more memory than it may have, for itself or for a value that it returned.
pub(crate) fn out_of_memory(refusal: &OutOfMemory, last_words: &str) -> ElementError {
    ElementError::failed("step-memory-limit", with_last_words(refusal.to_string(), last_words))
        .with_help(refusal.help())
}

/// Whether a trap is a stack overflow. There are two stacks. The first is the engine's. Compilers keep the
/// second one in the component's own memory; its overflow appears as an access out of bounds, deep in a
/// recursion.
fn is_stack_overflow(trap: Trap, error: &wasmtime::Error) -> bool {
    let is_deep =
        || error.downcast_ref::<WasmBacktrace>().is_some_and(|trace| trace.frames().len() >= FRAMES_MAX);
    trap == Trap::StackOverflow || (trap == Trap::MemoryOutOfBounds && is_deep())
}

fn innermost(error: &wasmtime::Error) -> String {
    let text = error.chain().last().map(ToString::to_string).unwrap_or_default();
    format!("was ended: {text}")
}

fn with_last_words(message: String, last_words: &str) -> String {
    if last_words.is_empty() { message } else { format!("{message}; its last words: {last_words}") }
}

/// The component returned a batch that breaks the contract.
pub(crate) fn of_bad_rows(error: BadRows) -> ElementError {
    LyingBatch::from(error).into()
}

/// The component has another world than its place in the job needs.
pub(crate) fn wrong_world(wanted: World) -> ElementError {
    let message = format!("the component is not of the world `{wanted}` of this version of the contract");
    ElementError::failed("step-wrong-world", message)
        .with_help("name a component of that world")
        .with_remedies([Remedy::List { what: Listed::Components }])
}

/// The component returned more items than were asked for.
pub(crate) fn too_many_items(items: usize, max: u32) -> ElementError {
    let message = format!("returned an impossible batch: {items} items where at most {max} were asked for");
    ElementError::failed("lying-batch", message)
        .with_help("the component breaks the contract in `wit/0.1/worlds.wit`; tell its author")
}

/// The component returned more parts than were asked for.
pub(crate) fn too_many_parts(parts: usize, max: u32) -> ElementError {
    let message = format!("returned {parts} parts where at most {max} were asked for");
    ElementError::failed("step-answer-too-large", message)
        .with_help("the component breaks the contract in `wit/0.1/worlds.wit`; tell its author")
}

/// The component returned an answer that is longer than the contract allows.
pub(crate) fn too_large(what: &str, bytes: usize, max: usize) -> ElementError {
    let message = format!("returned {what} of {bytes} bytes; at most {max} are allowed");
    ElementError::failed("step-answer-too-large", message)
        .with_help("the component breaks the contract in `wit/0.1/worlds.wit`; tell its author")
}

/// An element was called before it was opened, or after it failed.
pub(crate) fn not_open() -> ElementError {
    ElementError::failed("step-not-open", "was called before it was opened, or after it failed")
}

/// A component's code, in a form that stores can keep.
pub(crate) fn code_of(given: String) -> String {
    if is_code(&given) { given } else { Cow::into_owned(storable(cut(&given, NAME_BYTES_MAX))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(halt: impl Into<Halt>) -> String {
        match halt.into() {
            Halt::Stopped => "stopped".to_owned(),
            Halt::Failed(ElementError { code, message, is_retryable, .. }) => {
                format!("{code}: {message}{}", if is_retryable { " (retryable)" } else { "" })
            }
        }
    }

    #[test]
    fn a_trap_says_what_happened_and_quotes_the_last_words() {
        let check = |error: wasmtime::Error, refusal, last_words, expected: &str| {
            assert_eq!(failure(of_trap(&error, refusal, last_words)), expected);
        };
        check(
            Trap::UnreachableCodeReached.into(),
            None,
            "panicked at a.rs: boom",
            "step-panicked: panicked: panicked at a.rs: boom",
        );
        check(
            Trap::UnreachableCodeReached.into(),
            None,
            "",
            "step-panicked: panicked, and printed nothing about it",
        );
        let refusal = OutOfMemory::Component { asked: 9, max: 8 };
        check(
            Trap::UnreachableCodeReached.into(),
            Some(refusal),
            "memory allocation of 1 bytes failed",
            "step-memory-limit: out of memory: asked for 9 of 8 bytes; \
             its last words: memory allocation of 1 bytes failed",
        );
        check(Trap::StackOverflow.into(), None, "", "step-stack-overflow: the stack overflowed");
        check(
            Trap::IntegerDivisionByZero.into(),
            None,
            "",
            "step-trapped: trapped: wasm trap: integer divide by zero",
        );
        check(Cut::Stopped.into(), None, "", "stopped");
        check(Cut::TimeLimit { ms: 5 }.into(), None, "", "step-time-limit: ran longer than 5 ms");
        check(
            Cut::CpuLimit { ms: 5 }.into(),
            None,
            "",
            "step-cpu-limit: its step's components computed longer than 5 ms, all together",
        );
        check(
            I32Exit(3).into(),
            None,
            "",
            "step-exited: ended its process with status 3 instead of returning",
        );
        check(wasmtime::format_err!("why").context("where"), None, "", "step-trapped: was ended: why");
    }

    #[test]
    fn an_error_keeps_its_words_and_needs_a_proper_code() {
        let check = |code: &str, retryable, expected: &str| {
            let error = StepError { code: code.to_owned(), message: "no\0 paper".to_owned(), retryable };
            assert_eq!(failure(of_step_error(error)), expected);
        };
        check("out-of-paper", true, "out-of-paper: no\u{fffd} paper (retryable)");
        check("Out of paper", false, "step-bad-code: no\u{fffd} paper (code `Out of paper`)");
        check("", false, "step-bad-code: no\u{fffd} paper (code ``)");
        check("a--b", false, "step-bad-code: no\u{fffd} paper (code `a--b`)");
    }
}
