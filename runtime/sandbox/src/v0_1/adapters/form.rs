//! A component that answers questions about the form of a job.

use stepbox_batch::error::ElementError;
use stepbox_batch::form_answer::{ANSWER_BYTES_MAX, FormFailure, FormQuestion};
use wasmtime::component::InstancePre;

use crate::describing::{self, failure_of};
use crate::failure;
use crate::limits::Limits;
use crate::machine::Loaded;
use crate::share::Share;
use crate::state::StepState;
use crate::v0_1::bindings::exports::stepbox::step::form::{GuestIndices, Question};

/// Whether a component has the interface.
pub(crate) fn describes_forms(component: &InstancePre<StepState>) -> bool {
    GuestIndices::new(component).is_ok()
}

/// Asks a component, in a store of its own, without grants, and without imports that could do any work. Returns the text of
/// its answer, which may be any text so far.
pub(crate) async fn describe_form(
    loaded: &Loaded,
    share: Share,
    question: &FormQuestion,
) -> Result<String, FormFailure> {
    let indices = GuestIndices::new(loaded.pre()).map_err(|_| FormFailure::Unfit)?;
    let limits = Limits::for_form();
    let (call_ms_max, cpu_ms_max) = (limits.call_ms_max, limits.cpu_ms_max);
    let ended = |failure: ElementError| FormFailure::ended(&in_own_words(failure, cpu_ms_max));
    let linked = describing::linked(loaded).map_err(|error| {
        FormFailure::ended(&ElementError::failed("step-trapped", format!("does not link: {error:#}")))
    })?;
    let (mut instance, wasm) = describing::start(loaded, &linked, limits, share).await.map_err(ended)?;
    let exports = indices.load(&mut instance.store, &wasm);
    let exports = instance.settle(exports).map_err(|halt| ended(failure_of(halt)))?;
    let parameters = serde_json::to_string(&question.parameters).unwrap_or_default();
    let header: Vec<&str> = question.header.iter().map(String::as_str).collect();
    let asked = Question {
        what: &question.what,
        parameters: &parameters,
        header: &header,
        language: &question.language,
    };
    let call = exports.call_describe(&mut instance.store, asked);
    let answered = instance.watch.guard(call_ms_max, call).await;
    let answer = instance.settle(answered).map_err(|halt| ended(failure_of(halt)))?;
    let answer = answer.map_err(|error| FormFailure::refused(&failure::of_step_error(error)))?;
    match answer.len() {
        bytes if bytes > ANSWER_BYTES_MAX => Err(FormFailure::TooLong { bytes }),
        _ => Ok(answer),
    }
}

/// The failure of a call that belongs to no step.
fn in_own_words(failure: ElementError, cpu_ms_max: u64) -> ElementError {
    match &*failure.code {
        "step-cpu-limit" => {
            ElementError { message: format!("computed longer than {cpu_ms_max} ms"), ..failure }
        }
        _ => failure,
    }
}
