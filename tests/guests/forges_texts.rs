//! A tasklet whose texts would control a terminal or look like lines of the runtime: its description, its messages,
//! warnings, errors and summary, and its end. The parameter `ends` is `error`, `panic`, `status` or `well`.

use serde::Deserialize;
use stepbox_step::{Description, Exit, StepError, Tasklet, execution, log};

/// Sets a window's title, clears the screen, reverses the direction, rings, and begins a line.
const FORGED: &str = "x\u{1b}]0;PWNED\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\0\u{8}\r\nFORGED: completed\n\nFORGED\tby a guest";

struct ForgesTexts;

#[derive(Deserialize)]
struct Parameters {
    ends: Ends,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ends {
    Error,
    Panic,
    Status,
    Well,
}

impl Tasklet for ForgesTexts {
    type Parameters = Parameters;

    fn describe(about: Description) -> Description {
        // No description may contain this.
        let forged = FORGED.replace('\0', "");
        let parameters = serde_json::json!({ "type": "object", "title": forged });
        Description { summary: forged.clone(), ..about.needs(&forged) }.parameters(parameters)
    }

    fn run(parameters: Parameters) -> Result<Exit, StepError> {
        log::error(FORGED);
        log::info(FORGED);
        println!("{FORGED}");
        eprintln!("{FORGED}");
        execution::add_warning(FORGED, FORGED);
        execution::add_error(FORGED);
        execution::set_summary(FORGED, FORGED);
        match parameters.ends {
            Ends::Error => Err(StepError::new(FORGED, FORGED)),
            Ends::Panic => panic!("{FORGED}"),
            Ends::Status => Ok(Exit::Own(FORGED.chars().take(60).collect())),
            Ends::Well => Ok(Exit::Completed),
        }
    }
}

stepbox_step::export_tasklet!(ForgesTexts);
