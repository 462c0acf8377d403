use jiff::tz::TimeZone;

use super::*;

/// 2026-11-30T13:31:44Z.
const NOW: Timestamp = Timestamp(1_796_045_504_000);

fn read(text: &str, zone: &str) -> Result<ExecutionFilter, FilterTextError> {
    parse(text, NOW, &TimeZone::get(zone).unwrap())
}

/// A filter in a few words: only what narrows.
fn in_words(filter: &ExecutionFilter) -> String {
    let mut words = Vec::new();
    let mut say = |name: &str, value: String| {
        if !value.is_empty() {
            words.push(format!("{name}={value}"));
        }
    };
    fn list<T: ToString>(values: &[T]) -> String {
        values.iter().map(T::to_string).collect::<Vec<_>>().join("|")
    }
    fn choice<T: ToString>(choice: &Choice<T>) -> String {
        let none = list(&choice.none_of);
        format!("{}{}", list(&choice.any_of), if none.is_empty() { none } else { format!("!{none}") })
    }
    let range = |range: super::super::filter::Range| match (range.min, range.max) {
        (None, None) => String::new(),
        (min, max) => {
            let end = |end: Option<u64>| end.map(|end| end.to_string()).unwrap_or_default();
            format!("{}..{}", end(min), end(max))
        }
    };
    let n = &filter.narrowing;
    say("instance", filter.instance.iter().map(|code| code.to_string()).collect());
    say("instances", choice(&n.instances));
    say("job", filter.job.iter().map(|name| name.to_string()).collect());
    say("jobs", choice(&n.jobs));
    say("status", list(&filter.statuses));
    say("not", list(&n.not_statuses));
    say("types", choice(&n.types));
    say("connectors", choice(&n.connectors));
    say("steps", choice(&n.steps));
    say("users", choice(&n.users));
    say("since", filter.created_since.map(|at| at.to_string()).unwrap_or_default());
    say("before", filter.created_before.map(|at| at.to_string()).unwrap_or_default());
    say("took", n.took.map(|took| range(took.ms)).unwrap_or_default());
    say("warnings", range(n.warnings));
    say("restarted", n.is_restarted.map(|is| is.to_string()).unwrap_or_default());
    say("ids", list(&n.ids));
    say("text", n.text.clone().unwrap_or_default());
    words.join(" ")
}

#[test]
fn terms_narrow_together() {
    let rows = [
        ("", ""),
        ("   ", ""),
        ("status:FAILED,STOPPED", "status=FAILED|STOPPED"),
        ("Status:failed", "status=FAILED"),
        ("status:queued", "status=STARTING"),
        ("-status:COMPLETED", "not=COMPLETED"),
        ("-status:COMPLETED -status:ABANDONED", "not=COMPLETED|ABANDONED"),
        ("instance:nightly", "instance=nightly"),
        ("profile:a,b", "instances=a|b"),
        ("-profile:a -instance:b", "instances=!a|b"),
        ("job:csv_export type:export", "job=csv_export types=export"),
        ("connector:acme step:normalise", "connectors=acme steps=normalise"),
        ("-step:normalise", "steps=!normalise"),
        ("-user:schedule", "users=!schedule"),
        ("user:\"token ci\",julia", "users=token ci|julia"),
        ("user:julia -user:max", "users=julia!max"),
        ("took:>1m", "took=60001.."),
        ("took:>=1m", "took=60000.."),
        ("took:<10s", "took=..9999"),
        ("took:500ms..2h", "took=500..7200000"),
        ("warning:yes", "warnings=1.."),
        ("warnings:no", "warnings=..0"),
        ("warnings:>10", "warnings=11.."),
        ("warning:3", "warnings=3..3"),
        ("warnings:1..10", "warnings=1..10"),
        ("restarted:no", "status=FAILED restarted=false"),
        ("restarted:no status:STOPPED", "status=STOPPED restarted=false"),
        ("restarted:YES", "restarted=true"),
        ("41", "ids=41"),
        ("41 42", "ids=41|42"),
        ("\"41\"", "text=41"),
        ("print", "text=print"),
        ("  product   export ", "text=product export"),
        ("a,b", "text=a,b"),
        ("\"a:b c\"", "text=a:b c"),
        ("catalogue status:FAILED 7", "status=FAILED ids=7 text=catalogue"),
    ];
    for (text, expected) in rows {
        match read(text, "UTC") {
            Ok(filter) => assert_eq!(in_words(&filter), expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn days_are_those_of_the_zone() {
    let rows = [
        ("7d", "UTC", "since=2026-11-23T13:31:44.000Z"),
        ("90m", "UTC", "since=2026-11-30T12:01:44.000Z"),
        ("2026-11-01", "UTC", "since=2026-11-01T00:00:00.000Z before=2026-11-02T00:00:00.000Z"),
        (">2026-11-01", "UTC", "since=2026-11-02T00:00:00.000Z"),
        (">=2026-11-01", "UTC", "since=2026-11-01T00:00:00.000Z"),
        ("<2026-11-01", "UTC", "before=2026-11-01T00:00:00.000Z"),
        ("<=2026-11-01", "UTC", "before=2026-11-02T00:00:00.000Z"),
        ("2026-11-01..2026-11-30", "UTC", "since=2026-11-01T00:00:00.000Z before=2026-12-01T00:00:00.000Z"),
        ("2026-11-01", "Europe/Berlin", "since=2026-10-31T23:00:00.000Z before=2026-11-01T23:00:00.000Z"),
        // The day on which the clocks go back has 25 hours.
        ("2026-10-25", "Europe/Berlin", "since=2026-10-24T22:00:00.000Z before=2026-10-25T23:00:00.000Z"),
        (">=2026-11-01T14:30", "UTC", "since=2026-11-01T14:30:00.000Z"),
    ];
    for (value, zone, expected) in rows {
        let filter = read(&format!("created:{value}"), zone).unwrap();
        assert_eq!(in_words(&filter), expected, "{value} in {zone}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_right_form() {
    let long = format!("user:{}", "x".repeat(300));
    let many = format!("job:{}", vec!["a"; 101].join(","));
    let endless = "x".repeat(3000);
    let rows = [
        (
            "stauts:FAILED",
            "`stauts:FAILED`, at character 1: there is no qualifier `stauts`; did you mean `status:`?",
        ),
        ("41 colour:red", "`colour:red`, at character 4: there is no qualifier `colour`"),
        ("status:", "`status:`, at character 1: a value is missing"),
        ("status:FAILED,", "`status:FAILED,`, at character 1: a value is missing"),
        ("status:FAILD", "`status:FAILD`, at character 1: `FAILD` is no value of it: did you mean `FAILED`?"),
        ("status:BLUE", "the statuses are COMPLETED, STARTING"),
        ("instance:a/b", "is no value of it: the code `a/b` holds the character `/`"),
        ("user:a user:b", "`user:b`, at character 8: the qualifier is there already"),
        ("instance:a profile:b", "`profile:b`, at character 12: the qualifier is there already"),
        ("-created:7d", "`-created:7d`, at character 1: `-` does not go with this qualifier"),
        ("created:yesterday", "`yesterday` is no value of it"),
        ("created:2026-02-30", "`2026-02-30` is no value of it"),
        ("created:2026-11-30..2026-11-01", "is no value of it"),
        ("created:2026-11-01,7d", "`2026-11-01,7d` is no value of it"),
        ("took:1m", "`1m` is no value of it"),
        ("took:>1", "`>1` is no value of it"),
        ("took:<0s", "`<0s` is no value of it"),
        ("took:>99999999999999999999w", "is no value of it"),
        ("warnings:many", "`many` is no value of it"),
        ("warnings:10..1", "`10..1` is no value of it"),
        ("restarted:maybe", "`maybe` is no value of it"),
        ("-nightly", "`-nightly`, at character 1: `-` goes before a qualifier only"),
        ("user:\"julia", "`user:\"julia`, at character 1: the quote is not closed"),
        ("\"\"", "`\"\"`, at character 1: a word is missing"),
        (&long, "at most 255 characters are allowed"),
        (&many, "there are more than 100 values"),
        (&endless, "the filter is longer than 2000 bytes"),
    ];
    for (text, expected) in rows {
        let error = read(text, "UTC").expect_err(text);
        let said = error.to_string();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(said.len() < 600 && !error.help().is_empty(), "{said}");
        assert_eq!(error.code(), "filter-invalid");
    }
}

#[test]
fn each_qualifier_is_understood_in_each_of_its_forms() {
    for known in QUALIFIERS {
        for form in known.form.split(" or ").flat_map(|forms| forms.split(", ")) {
            assert!(form.starts_with(&format!("{}:", known.name)), "{form}");
            read(form, "UTC").unwrap_or_else(|error| panic!("{form}: {error}"));
        }
    }
}

/// No text, however odd, is more than a filter or an error.
#[test]
fn odd_texts_are_read_or_refused() {
    for text in [
        "-",
        "--",
        ":",
        ":x",
        "-:",
        "a:b:c",
        "\u{0}",
        "\u{202e}x",
        "🙂",
        "user:🙂",
        "\"",
        "-\"a b\"",
        ",",
        "a,",
    ] {
        let _ = read(text, "UTC");
    }
    assert_eq!(in_words(&read("user:a:b", "UTC").unwrap()), "users=a:b");
}
