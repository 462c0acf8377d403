//! Forms: what the keys mean, and the code and the line of each mistake.

use stepbox_batch::instance_form::{Entry, InstanceForm};

use super::*;

const GOOD: &str = "\
connector: acme
components: { describes: d.wasm }
rights:
  mapping: { label: Mappings, from: author }
jobs:
  a:
    type: x
    parameters:
      extends: csv_export
      properties:
        url: { type: string, format: uri }
        kind: { enum: [one, two] }
        strict: { type: boolean, default: true }
        mapping: { type: array, items: { type: object, properties: { from: { type: string } } } }
      required: [url]
    form:
      tabs:
        settings:
          fields:
            - kind: { after: delimiter, when: { delimiter: \";\" } }
        more:
          label: More
          before: settings
          right: mapping
          fields:
            - url: { placeholder: x, test: wait }
            - mapping: { widget: table, columns: { from: From }, described-by: describes }
            - group: Others
              folded: true
              fields:
                - strict: { widget: switch, when: { mapping: { set: true } } }
    steps:
      - { name: wait, tasklet: pause }
";

fn outline(form: &InstanceForm) -> String {
    let entry = |entry: &Entry| match entry {
        Entry::Field(field) => field.name.clone(),
        Entry::Group(group) => {
            let names: Vec<_> = group.fields.iter().map(|field| field.name.as_str()).collect();
            format!("{}[{}]", group.label, names.join(" "))
        }
    };
    let tabs = form.tabs.iter().map(|tab| {
        let entries: Vec<_> = tab.entries.iter().map(entry).collect();
        format!("{}: {}", tab.code, entries.join(" "))
    });
    tabs.collect::<Vec<_>>().join("; ")
}

#[test]
fn a_form_is_read_and_its_describers_are_pinned() {
    let file = ConnectorFile::parse("c.yaml".into(), GOOD, &known()).unwrap();
    let described = component("item-processor", json!({}));
    let digest = described.digest.clone();
    let connector = file.into_connector(&BTreeMap::from([("describes".to_owned(), described)])).unwrap();
    let job = &connector.jobs[0];
    assert!(job.pins(&digest));
    let form = job.instance_form();
    assert_eq!(
        outline(&form),
        "more: url mapping Others[strict]; settings: storage More settings[delimiter kind]"
    );
    let right = form.tabs[0].right.see.as_ref().unwrap();
    assert_eq!((right.name.as_str(), right.label.as_deref()), ("mapping", Some("Mappings")));
    assert_eq!(form.field("mapping").unwrap().columns[0].label, "From");
}

#[test]
fn a_job_inherits_the_form_of_the_one_that_it_extends() {
    let child = "  b:
    type: x
    parameters:
      extends: a
      properties:
        late: { type: string }
    steps:
      - { name: wait, tasklet: pause }
";
    let parsed = |text: &str| {
        let file = ConnectorFile::parse("c.yaml".into(), text, &known()).unwrap();
        let described = component("item-processor", json!({}));
        file.into_connector(&BTreeMap::from([("describes".to_owned(), described)])).unwrap()
    };
    let connector = parsed(&format!("{GOOD}{child}"));
    let expected = "more: url mapping Others[strict] late; settings: storage More settings[delimiter kind]";
    assert_eq!(outline(&connector.jobs[1].instance_form()), expected);

    // Fields go out and come elsewhere, and a tab of the same code is changed.
    let form = "    form:\n      tabs:\n        settings: { label: All, fields: [late, { url: { hide: false } }] }\n";
    let changed = child.replace("    steps:", &format!("{form}    steps:"));
    let connector = parsed(&format!("{GOOD}{changed}"));
    let form = connector.jobs[1].instance_form();
    let expected = "more: mapping Others[strict]; settings: storage More settings[delimiter kind] late url";
    assert_eq!((outline(&form).as_str(), form.tabs[1].label.as_str()), (expected, "All"));
}

#[test]
fn a_job_without_a_form_follows_its_schema() {
    let begins = GOOD.find("    form:\n").unwrap();
    let ends = GOOD.find("    steps:\n").unwrap();
    let text = format!("{}{}", &GOOD[..begins], &GOOD[ends..])
        .replace("rights:\n", "")
        .replace("  mapping: { label: Mappings, from: author }\n", "");
    let file = ConnectorFile::parse("c.yaml".into(), &text, &known()).unwrap();
    let described = component("item-processor", json!({}));
    let connector = file.into_connector(&BTreeMap::from([("describes".to_owned(), described)])).unwrap();
    assert_eq!(connector.jobs[0].form, None);
    assert_eq!(
        outline(&connector.jobs[0].instance_form()),
        "settings: storage url More settings[delimiter kind strict mapping]"
    );
}

/// Replaces a part of the good file, and compares the code and the line, and looks for words in message and help.
fn check(part: &str, replacement: &str, expected: (&str, u64), words: &[&str]) {
    assert!(GOOD.contains(part), "the good file has {part}");
    let text = GOOD.replacen(part, replacement, 1);
    let error = ConnectorFile::parse("c.yaml".into(), &text, &known()).expect_err(replacement);
    assert_eq!((error.code, error.line), (expected.0, Some(expected.1)), "{replacement}: {error}");
    let told = format!("{error} {}", error.help);
    for word in words {
        assert!(told.contains(word), "{replacement}: {told}");
    }
}

#[test]
fn every_mistake_of_a_form_has_a_code_and_a_place() {
    let unknown = "form-field-unknown";
    check("- kind: {", "- knd: {", (unknown, 20), &["`knd`", "did you mean `kind`?"]);
    check("after: delimiter", "after: delimeter", (unknown, 20), &["did you mean `delimiter`?"]);
    check("after: delimiter", "after: url", (unknown, 20), &["the tab `settings` has no other field `url`"]);
    check("when: { delimiter", "when: { dlimiter", (unknown, 20), &["did you mean `delimiter`?"]);
    check("columns: { from", "columns: { form", (unknown, 27), &["no column `form`", "did you mean `from`?"]);
    check("    form:\n", "    launch: [urll]\n    form:\n", (unknown, 16), &["did you mean `url`?"]);
    check("- url: { p", "- mapping\n            - url: { p", ("form-field-twice", 28), &["`mapping`"]);
    let unfit = "form-widget-unfit";
    check("widget: switch", "widget: table", (unfit, 31), &["`strict`", "switch, checkbox"]);
    check("- url: {", "- url: { reorder: true,", (unfit, 26), &["`reorder` is for a table"]);
    check("- strict: {", "- strict: { suggest: [x],", (unfit, 31), &["`suggest`"]);
    let cycle = "form-condition-cycle";
    check(
        "when: { mapping: { set: true } }",
        "when: { strict: true }",
        (cycle, 31),
        &["`strict` → `strict`"],
    );
    let both = "- mapping: { when: { strict: false }, widget";
    check("- mapping: { widget", both, (cycle, 27), &["`mapping` → `strict` → `mapping`"]);
    let never = "form-condition-never";
    check("delimiter: \";\"", "delimiter: x", (never, 20), &["\"x\" is never", "\",\", \";\""]);
    check("delimiter: \";\"", "delimiter: []", (never, 20), &["empty list"]);
    check("mapping: { set: true }", "delimiter: { set: false }", (never, 31), &["has a default"]);
    check("mapping: { set: true }", "url: { set: false }", (never, 31), &["is required"]);
    let hidden = "form-required-hidden";
    check("- url: {", "- url: { when: { kind: one },", (hidden, 26), &["`url`", "allOf"]);
    check("- url: {", "- url: { hide: true,", (hidden, 26), &["is hidden"]);
    check("- url: {", "- url: { in: [edit],", (hidden, 26), &["created"]);
    check("- url: {", "- url: { read-only: true,", (hidden, 26), &["read-only"]);
    check("right: mapping", "hide: true\n          right: mapping", (hidden, 27), &["is hidden"]);
    check("right: mapping", "right: maping", ("form-right-unknown", 24), &["did you mean `mapping`?"]);
    check(
        "right: mapping",
        "right: { edit: nobody }",
        ("form-right-unknown", 24),
        &["administrator, mapping"],
    );
    check("- url: {", "- url: { read-only: { unless: authr },", ("form-right-unknown", 26), &["`author`?"]);
    check("right: mapping", "right: author", ("form-right-unused", 4), &["`mapping`"]);
    check("mapping: { label", "author: { label", ("bad-name", 4), &["is a role"]);
    check("before: settings", "before: setings", ("form-tab-unknown", 23), &["did you mean `settings`?"]);
    check(
        "described-by: describes",
        "described-by: describe",
        ("form-describer-unfit", 27),
        &["`describes`?"],
    );
    check("placeholder: x", "help_url: \"javascript:x\"", ("form-link-unfit", 26), &["https://"]);
    check("test: wait", "test: wiat", ("unknown-step", 26), &["did you mean `wait`?"]);
    let nested = "- group: Inner\n                  fields:\n                    - strict: {";
    check("- strict: {", nested, ("form-too-large", 31), &["`Inner` is in another group"]);
    let malformed = "connector-file-malformed";
    check("delimiter: \";\"", "delimiter: { set: maybe }", (malformed, 20), &["a condition is"]);
    check("after: delimiter", "after: delimiter, before: storage", (malformed, 20), &["do not go together"]);
    for (part, replacement, word) in [
        ("folded: true", "fold: true", "`fold`"),
        ("placeholder: x", "placholder: x", "`placholder`"),
        ("widget: switch", "widget: swich", "swich"),
        ("right: mapping", "right: [mapping]", "`see` and `edit`"),
        ("- url: {", "- other: {}\n              url: {", "an entry of its own"),
    ] {
        let text = GOOD.replacen(part, replacement, 1);
        let error = ConnectorFile::parse("c.yaml".into(), &text, &known()).expect_err(replacement);
        assert_eq!(error.code, malformed, "{replacement}: {error}");
        assert!(error.message.contains(word), "{replacement}: {error}");
    }
}

#[test]
fn a_form_has_room_for_so_many_tabs_and_fields() {
    let code_of = |tabs: usize, fields: usize| {
        let properties: String = (0..fields).map(|n| format!("        p{n}: {{ type: string }}\n")).collect();
        let tabs: String = (0..tabs).map(|n| format!("        t{n}: {{ fields: [p{n}] }}\n")).collect();
        let text = format!(
            "connector: acme\njobs:\n  a:\n    type: x\n    parameters:\n      properties:\n{properties}    form:\n      tabs:\n\
             {tabs}    steps:\n      - {{ name: wait, tasklet: pause }}\n"
        );
        ConnectorFile::parse("c.yaml".into(), &text, &known()).map_or_else(|error| error.code, |_| "read")
    };
    assert_eq!(
        [code_of(20, 200), code_of(21, 200), code_of(20, 201)],
        ["read", "form-too-large", "form-too-large"]
    );
}
