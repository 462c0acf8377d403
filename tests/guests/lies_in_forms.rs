//! A tasklet that answers questions about forms badly. The name of what asks selects how.
//!
//! `truth` shows that a test can pass, `header` tells which columns it was told, and `random` answers otherwise each time.

#![cfg(target_family = "wasm")] // the raw contract is there for components alone

use std::fs;
use std::hint::black_box;

use stepbox_step::raw::form::{self, Question};
use stepbox_step::raw::types;
use stepbox_step::{Exit, NoParameters, StepError, Tasklet, files, http, json};
use wasi::random::random::get_random_u64;

struct LiesInForms;

impl Tasklet for LiesInForms {
    type Parameters = NoParameters;

    fn run(_: NoParameters) -> Result<Exit, StepError> {
        Ok(Exit::Completed)
    }
}

stepbox_step::export_tasklet!(LiesInForms);

form::export!(LiesInForms with_types_in form);

impl form::Guest for LiesInForms {
    fn describe(question: Question) -> Result<String, types::StepError> {
        let note = |text: &str| json!({ "blocks": [{ "note": text }] }).to_string();
        Ok(match question.what.as_str() {
            "truth" => note("all is well"),
            "header" => note(&format!(
                "{} of {}: {}",
                question.header.len(),
                question.parameters,
                question.header.join("|")
            )),
            "random" => note(&get_random_u64().to_string()),
            "spins" => loop {
                black_box(());
            },
            "eats" => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(black_box(vec![1u8; 1 << 20]));
                }
            }
            "panics" => panic!("\u{1b}[2Jerror: \u{202e}all is lost\nerror: twice"),
            "refuses" => {
                let message = "<b>no</b>\u{1b}[31m\u{202e}\nerror: paper".to_owned();
                return Err(types::StepError { code: "no-paper".to_owned(), message, retryable: true });
            }
            "long" => format!("{{\"blocks\":[{}]}}", " ".repeat(1 << 20)),
            "deep" => format!("{{\"blocks\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
            "html" => note("<script>alert(1)</script><img src=x onerror=alert(2)>"),
            "steers" => note("\u{1b}]8;;javascript:alert(1)\u{7}click\u{1b}]8;;\u{7}\u{202e}\r\nevent: end"),
            "unknown-key" => json!({ "blocks": [{ "html": "<b>bold</b>" }] }).to_string(),
            "no-json" => "<form><input name=password></form>".to_owned(),
            "files" => note(&format!("{:?}", files::open("work/a").map(|_| ()))),
            "files-by-wasi" => {
                note(&format!("{:?}", fs::read_dir("/work").map(|_| ()).map_err(|error| error.kind())))
            }
            "http" => note(&format!("{:?}", http::get("http://127.0.0.1:1/").send().map(|_| ()))),
            other => note(&format!("there is no lie `{other}`")),
        })
    }
}
