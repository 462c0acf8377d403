//! Every command on a terminal, with labels, names, messages, items, components and arguments that try to control it
//! and to look like lines of the program.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use stepbox_guest_artifacts::hostile;

use super::Folder;

/// A hostile text from outside: it sets a window's title, clears the screen, reverses the direction, rings, and
/// begins lines.
const FORGED: &str = "x\u{1b}]0;PWNED\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{8}\r\nFORGED: completed";

/// Jobs and steps with such labels. One of their steps reports such texts.
const CONNECTOR: &str = r#"
connector: forger
label: LABEL
components: { forges: forges.wasm }
jobs:
  forge:
    type: test
    label: LABEL
    parameters:
      properties:
        ends: { type: string, title: LABEL, description: LABEL, default: well }
        text: { type: string, default: LABEL }
    steps:
      - name: forge
        tasklet: { forges: { ends: "${parameters.ends}" } }
  asks:
    type: test
    label: LABEL
    parameters:
      properties: { folder: { type: string, default: LABEL } }
    steps:
      - name: asks
        tasklet: { forges: { ends: well } }
        grants: { files: { in: "read ${parameters.folder}" } }
"#;

/// All commands, in an order in which each finds something to show.
const COMMANDS: [&str; 98] = [
    "stepbox connectors preview forger",
    "stepbox connectors add forger",
    "stepbox connectors add forger --format json",
    "stepbox connectors add \"$FORGED\"",
    "stepbox connectors list",
    "stepbox connectors show forger",
    "stepbox connectors show \"$FORGED\"",
    "stepbox connectors remove \"$FORGED\" --tenant other",
    "stepbox steps upload forges.wasm",
    "stepbox steps upload \"$FORGED.wasm\"",
    "stepbox steps list",
    "stepbox steps inspect forges.wasm",
    "stepbox steps inspect \"$FORGED\"",
    "stepbox steps pull \"oci://$FORGED\"",
    "stepbox steps pull oci://127.0.0.1:9/a:b --username \"$FORGED\"",
    "stepbox steps remove \"$FORGED\"",
    "stepbox jobs list",
    "stepbox jobs show forge",
    "stepbox jobs show \"$FORGED\"",
    "stepbox instances create forger forge test forge '{}' \"$FORGED\"",
    "stepbox instances create forger forge test other \"{\\\"$FORGED\\\": 1}\"",
    "stepbox instances create \"$FORGED\" forge test other",
    "stepbox instances edit forge --label \"$FORGED\"",
    "stepbox instances edit forge --unset \"$FORGED\"",
    "stepbox instances duplicate forge twin --label \"$FORGED\"",
    "stepbox instances duplicate forge \"$FORGED\"",
    "stepbox instances list",
    "stepbox instances list -t \"$FORGED\"",
    "stepbox instances show forge",
    "stepbox instances show \"$FORGED\"",
    "stepbox instances delete twin",
    "stepbox instances delete \"$FORGED\"",
    "stepbox run forge",
    "stepbox run forge -v",
    "stepbox run forge -c '{\"ends\":\"error\"}'",
    "stepbox run forge -c '{\"ends\":\"panic\"}' -v",
    "stepbox run forge -c '{\"ends\":\"status\"}' --format json",
    "stepbox instances create forger asks test asks",
    "stepbox run asks",
    "stepbox run \"$FORGED\"",
    "stepbox run forge -c \"$FORGED\"",
    "stepbox publish forge -c '{\"ends\":\"error\"}'",
    "stepbox publish \"$FORGED\"",
    "stepbox worker --grace \"$FORGED\"",
    "run-until 'FAILED' stepbox worker",
    "stepbox workers list --all",
    "stepbox executions list",
    "stepbox executions list --instance \"$FORGED\"",
    "stepbox executions show 1",
    "stepbox executions show 3",
    "stepbox executions show 4 --format json",
    "stepbox executions log 3",
    "stepbox executions warnings 3",
    "stepbox executions files 3",
    "stepbox executions parts \"$FORGED\"",
    "stepbox files list",
    "stepbox files upload \"$FORGED\"",
    "stepbox files remove \"$FORGED\"",
    "stepbox instances history forge",
    "stepbox instances rights \"$FORGED\"",
    "stepbox queue show",
    "stepbox executions pause 1",
    "stepbox serve --listen \"$FORGED\"",
    "stepbox executions stop \"$FORGED\"",
    "stepbox executions restart 3",
    "stepbox executions resume 3",
    "stepbox executions rejected 3 --step \"$FORGED\"",
    "stepbox executions reimport 3 --file \"$FORGED\" --step \"$FORGED\"",
    "stepbox executions abandon 3",
    "printf 'n\\n' | stepbox executions purge --instance \"$FORGED\"",
    "stepbox users add rita --operator --label \"$FORGED\"",
    "stepbox users add \"$FORGED\"",
    "stepbox users change rita --label \"a$FORGED\"",
    "stepbox users list",
    "stepbox users link rita",
    "stepbox users link \"$FORGED\"",
    "stepbox members set rita author",
    "stepbox members set rita \"$FORGED\"",
    "stepbox members list",
    "stepbox tokens create ci --owner rita --scopes executions:read",
    "stepbox tokens create \"$FORGED\" --owner rita --scopes executions:read",
    "stepbox tokens list",
    "stepbox tokens revoke \"$FORGED\"",
    "stepbox members remove rita",
    "stepbox users remove rita",
    "stepbox audit list --installation",
    "stepbox audit list --by \"$FORGED\"",
    "stepbox audit purge --older-than-days \"$FORGED\"",
    "stepbox policy check",
    "stepbox policy show --format json",
    "stepbox policy show --tenant other",
    "stepbox store check",
    "stepbox steps list --user \"$FORGED\"",
    "stepbox steps list --user=\"$FORGED\"",
    "STEPBOX_TENANT=\"$FORGED\" STEPBOX_USER=\"$FORGED\" stepbox steps list",
    "echo \"$FORGED\" | stepbox login --server \"http://127.0.0.1:9/$FORGED\"",
    "stepbox logout --server \"http://127.0.0.1:9/$FORGED\"",
    "stepbox \"$FORGED\"",
];

/// The other commands, which show no text from outside, or only texts of the commands above.
const OTHERS: [&str; 2] = ["store migrate", "completions"];

#[test]
fn no_text_from_outside_steers_a_terminal() {
    let folder = Folder::new();
    let escaped = |character: char| match character {
        ' '..='~' => character.to_string(),
        _ => format!("\\u{:04x}", u32::from(character)),
    };
    let in_yaml = format!("\"{}\"", FORGED.chars().map(escaped).collect::<String>());
    folder.write("forger/connector.yaml", CONNECTOR.replace("LABEL", &in_yaml));
    let forges = std::fs::read(hostile::FORGES_TEXTS).expect("the guest was built");
    folder.write("forger/forges.wasm", &forges);
    folder.write("forges.wasm", forges);
    let mut shown = 0;
    for command in COMMANDS {
        let Output { stdout, status, .. } = on_terminal(&folder, command).output().expect("`script` runs");
        let text = String::from_utf8_lossy(&stdout);
        // The later commands show the results of these, or wait for them.
        let is_needed = ["add forger", "create forger forge test forge", "publish forge"];
        assert!(status.success() || !is_needed.iter().any(|needed| command.contains(needed)), "{text}");
        assert!(!text.is_empty() || command.contains("connectors remove"), "`{command}` says nothing");
        for steering in ["\u{1b}]", "\u{1b}[2J", "\u{9b}", "\u{202e}", "\u{2066}", "\u{7}", "\0", "\u{8}"] {
            assert!(!text.contains(steering), "`{command}` shows {steering:?}: {text:?}");
        }
        for line in text.split(['\n', '\r']) {
            assert!(!beginning(line).starts_with("FORGED"), "`{command}` has a line of another: {text:?}");
        }
        shown += usize::from(text.contains("PWNED"));
    }
    assert!(shown > 30, "only {shown} commands showed a text that could have steered");
}

/// A line without the program's own control characters.
fn beginning(line: &str) -> String {
    regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a pattern").replace_all(line, "").into_owned()
}

fn on_terminal(folder: &Folder, command: &str) -> Command {
    let mut terminal = folder.shell("script --quiet --echo never --return --command \"$COMMAND\" /dev/null");
    terminal.env("COMMAND", command).env("FORGED", FORGED).env("TERM", "xterm").env("STEPBOX_USER", "julia");
    terminal
}

#[test]
fn every_command_is_tried_on_a_terminal() {
    let folder = Folder::new();
    let mut untried = BTreeSet::new();
    for noun in commands(&folder, "stepbox") {
        let verbs = commands(&folder, &format!("stepbox {noun}"));
        let all = verbs.iter().map(|verb| format!("{noun} {verb}"));
        let all: Vec<_> = if verbs.is_empty() { vec![noun.clone()] } else { all.collect() };
        for command in all {
            // Followed by its arguments, or by nothing: `worker` is not tried by `workers list`.
            let tried_as = format!("stepbox {command} ");
            let is_tried = |tried: &&str| format!("{tried} ").contains(&tried_as);
            if !COMMANDS.iter().any(|tried| is_tried(tried)) && !OTHERS.contains(&command.as_str()) {
                untried.insert(command);
            }
        }
    }
    assert!(untried.is_empty(), "no row of COMMANDS has {untried:?}");
}

/// The names below `Commands:` in a help page.
fn commands(folder: &Folder, command: &str) -> Vec<String> {
    let help = folder.shell(&format!("{command} --help")).output().expect("`sh` runs");
    let help = String::from_utf8(help.stdout).expect("help is text");
    let Some((_, below)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = below.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}
