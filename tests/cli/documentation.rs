//! `docs/cli.md` describes the program: each command, each option and each field of the JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use super::runs::RunningCommand;
use super::session::Folder;
use super::with_connector;

const PAGE: &str = include_str!("../../docs/cli.md");

/// The standard output of a command line that succeeds.
fn answer(folder: &Folder, line: &str) -> String {
    let output = folder.shell(line).output().expect("`sh` runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn every_command_and_option_is_described() {
    check(&Folder::new(), "stepbox");

    fn check(folder: &Folder, command: &str) {
        let help = answer(folder, &format!("{command} --help"));
        let verbs: Vec<_> =
            part(&help, "Commands:").filter_map(|line| line.split_whitespace().next()).collect();
        for verb in verbs.iter().filter(|verb| **verb != "help") {
            check(folder, &format!("{command} {verb}"));
        }
        assert!(!verbs.is_empty() || PAGE.contains(&format!("`{command}")), "`{command}` is not described");
        for option in part(&help, "Options:").filter(|line| line.starts_with('-')) {
            let name =
                option.split_whitespace().find(|word| word.starts_with("--")).expect("it has a long name");
            let is_told = PAGE.contains(name) || ["--help", "--version"].contains(&name);
            assert!(is_told, "`{name}` of `{command}` is not described");
        }
    }
}

/// The lines of a help page below a title.
fn part<'a>(help: &'a str, title: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = help.lines().skip_while(move |line| *line != title).skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with(' ')).map(str::trim)
}

#[test]
fn every_field_of_the_json_is_described() {
    let folder = with_connector();
    let create = "stepbox instances create";
    let commands = [
        "stepbox connectors preview csv-notify",
        "stepbox connectors add csv-notify",
        "stepbox connectors list",
        "stepbox connectors show acme_csv_notify",
        "stepbox jobs list",
        "stepbox jobs show csv_product_export_notify",
        "stepbox steps list",
        "stepbox steps inspect normalise",
        &format!("{create} stepbox csv_export export a @parameters.json"),
        "stepbox instances list",
        "stepbox instances show a",
        "stepbox run a",
        "stepbox executions list",
        "stepbox executions log 1",
        "stepbox executions warnings 1",
        "stepbox executions purge --yes",
        "stepbox audit list --limit 0",
        "stepbox publish a --delay 1h",
        "stepbox executions show 2",
        "stepbox workers list",
        "stepbox users add julia --operator",
        "stepbox users change julia --label Julia",
        "stepbox users link julia",
        "stepbox users list",
        "stepbox members set julia author",
        "stepbox members list",
        "stepbox tokens create ci --owner julia --scopes executions:read",
        "stepbox tokens list",
        "stepbox audit list --installation",
        "stepbox store check",
        "stepbox store migrate",
    ];
    let mut worker = RunningCommand::start(&folder, "stepbox worker --jobs csv_import");
    worker.wait_for("takes executions from the queue");
    let mut fields = BTreeSet::new();
    for command in commands {
        let json = answer(&folder, &format!("{command} --format json"));
        collect(&serde_json::from_str(&json).expect("it is JSON"), &mut fields);
    }
    worker.terminate();
    assert_eq!(worker.end().0, Some(0));
    assert!(fields.contains("seen_at") && fields.contains("losses"), "{fields:?}");
    assert!(fields.contains("carried_from") && fields.contains("is_estimate"), "{fields:?}");
    let missing: Vec<_> = fields.iter().filter(|field| !PAGE.contains(&format!("`{field}`"))).collect();
    assert!(missing.is_empty(), "fields that docs/cli.md does not describe: {missing:?}");
}

/// The names of all fields of ours. The keys inside parameters, options and summaries are not.
fn collect(value: &Value, fields: &mut BTreeSet<String>) {
    const OTHERS: [&str; 7] =
        ["parameters", "raw_parameters", "effective_parameters", "options", "default", "summary", "files"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, fields)),
        Value::Object(entries) => {
            for (name, value) in entries {
                fields.insert(name.clone());
                if !OTHERS.contains(&name.as_str()) {
                    collect(value, fields);
                }
            }
        }
        _ => {}
    }
}
