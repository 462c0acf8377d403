//! Tests of the language, and of what its help pages say.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_language_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn every_example_parses() {
    for line in examples_of(&Args::command()) {
        let words = words(line.split(['<', '>']).next().unwrap_or_default());
        let parsed = Args::try_parse_from(&words);
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn every_help_page_has_examples_that_fit_a_line() {
    check(&Args::command());

    fn check(command: &clap::Command) {
        let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Examples:\n"), "`{}` has no examples", command.get_name());
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        command.get_subcommands().for_each(check);
    }
}

#[test]
fn a_day_begins_at_midnight_in_utc() {
    let rows = [
        ("2023-11-14", Some(1_699_920_000_000)),
        ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
        ("2023-11-14T23:13:20+01:00", Some(1_700_000_000_000)),
        ("2023-11-14T22:13:20", None),
        ("yesterday", None),
    ];
    for (text, expected) in rows {
        assert_eq!(day_or_moment(text).ok().map(|moment| moment.0), expected, "{text}");
    }
}

fn examples_of(command: &clap::Command) -> Vec<String> {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let own = help.lines().filter(|line| line.starts_with("  stepbox ")).map(|line| line.trim().to_owned());
    own.chain(command.get_subcommands().flat_map(examples_of)).collect()
}

/// Splits a command line as a shell would, as far as the examples need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut word) = (Vec::new(), None, String::new());
    for character in line.chars() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, ' ') => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(character),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}
