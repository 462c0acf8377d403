//! Which writers a step in parts may have. An embedder's own writer is checked when the step begins.

use super::{CheckedElement, Mistake};

pub(super) fn check(writer: &CheckedElement) -> Result<(), Mistake> {
    let refused = |element: &CheckedElement, code, message: String, help: &str| {
        Err(Mistake::new(code, element.pointer.clone(), message).help(help))
    };
    if writer.is_component {
        let message =
            format!("the component `{}` cannot put together what several workers have written", writer.name);
        return refused(
            writer,
            "cannot-absorb",
            message,
            "leave out `partitions`, or write with `csv` or `jsonl`",
        );
    }
    let lines = writer.options.as_ref().and_then(|options| options.get("lines_per_file"));
    if lines.is_some_and(serde_json::Value::is_number) {
        let message = "an output of several files is not written in parts".to_owned();
        return refused(writer, "cannot-absorb", message, "leave out `partitions` or `lines_per_file`");
    }
    Ok(())
}
