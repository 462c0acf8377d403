use serde_json::json;

use super::*;
use crate::access::Role;
use crate::parameters::ParameterSchema;

fn schema() -> Value {
    json!({
        "$defs": {
            "place": {
                "type": "object",
                "properties": {
                    "type": { "enum": ["local", "bucket", "upload"] },
                    "storage": { "type": "string" },
                    "file_path": { "type": "string", "minLength": 1 },
                    "id": { "type": "string" },
                },
                "if": { "properties": { "type": { "const": "upload" } }, "required": ["type"] },
                "then": { "required": ["id"] },
                "else": { "required": ["type", "file_path"] },
                "additionalProperties": false,
            },
            "character": { "type": "string", "pattern": "^[\\t -~]$" },
        },
        "properties": {
            "source": { "title": "Source", "$ref": "#/$defs/place" },
            "delimiter": { "$ref": "#/$defs/character", "default": ";" },
            "withHeader": { "type": "boolean", "default": true },
            "decimal": { "enum": [".", ","], "default": "." },
            "lines": { "type": "integer", "minimum": 1 },
            "price": { "type": "number", "description": "In euros." },
            "day": { "type": "string", "format": "date", "examples": ["2026-01-31"] },
            "url": { "type": "string", "format": "uri" },
            "strict": { "type": "boolean" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "numbers": { "type": "array", "items": { "type": "integer" }, "default": [1] },
            "days": { "type": "array", "items": { "enum": ["mon", "tue"] } },
            "mapping": { "type": "array", "default": [], "items": {
                "type": "object",
                "required": ["from", "to"],
                "properties": {
                    "from": { "type": "string" },
                    "to": { "type": "string", "title": "To" },
                    "keep": { "type": "boolean", "default": true },
                    "width": { "type": "integer" },
                },
            } },
            "target": { "oneOf": [
                { "title": "Here", "type": "object", "required": ["type", "path"],
                  "properties": { "type": { "const": "local" }, "path": { "type": "string" } } },
                { "title": "There", "type": "object", "required": ["type", "host"],
                  "properties": { "type": { "const": "sftp" }, "path": { "type": "string" },
                                  "host": { "type": "string" }, "port": { "type": "integer" } } },
            ] },
            "kind": { "oneOf": [{ "const": 1, "title": "One" }, { "const": "two" }] },
            "any": { "type": ["string", "null"] },
            "rules": { "anyOf": [{ "type": "string" }, { "type": "object" }] },
        },
        "required": ["source", "url"],
    })
}

fn form() -> InstanceForm {
    InstanceForm::new(&schema(), None)
}

/// A form on one line: `tab: field, Group[field, …]; tab: …`.
fn outline(form: &InstanceForm) -> String {
    let names =
        |fields: &[Field]| fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>().join(" ");
    let entry = |entry: &Entry| match entry {
        Entry::Field(field) => field.name.clone(),
        Entry::Group(group) => format!("{}[{}]", group.label, names(&group.fields)),
    };
    let tab =
        |tab: &Tab| format!("{}: {}", tab.code, tab.entries.iter().map(entry).collect::<Vec<_>>().join(" "));
    form.tabs.iter().map(tab).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_schema_alone_is_a_complete_form() {
    assert_eq!(
        outline(&form()),
        "settings: source url More settings[delimiter withHeader decimal lines price day strict tags numbers days mapping \
         target kind any rules]"
    );
    let all_optional = InstanceForm::new(&json!({ "properties": { "b": {}, "a": {} } }), None);
    assert_eq!(outline(&all_optional), "settings: b a");
    assert_eq!(InstanceForm::new(&json!({}), None).tabs, []);
}

#[test]
fn each_schema_has_its_widget() {
    let form = form();
    let rows = [
        ("source", Widget::Storage, ValueKind::Storage),
        ("delimiter", Widget::Character, ValueKind::Text),
        ("withHeader", Widget::Checkbox, ValueKind::Boolean),
        ("decimal", Widget::Select, ValueKind::Choice),
        ("lines", Widget::Number, ValueKind::Integer),
        ("price", Widget::Number, ValueKind::Number),
        ("day", Widget::Date, ValueKind::Text),
        ("url", Widget::Url, ValueKind::Text),
        ("tags", Widget::Tags, ValueKind::List(ItemKind::Text)),
        ("numbers", Widget::Tags, ValueKind::List(ItemKind::Integer)),
        ("days", Widget::MultiSelect, ValueKind::List(ItemKind::Choice)),
        ("mapping", Widget::Table, ValueKind::Table),
        ("target", Widget::Storage, ValueKind::Storage),
        ("kind", Widget::Select, ValueKind::Choice),
        ("any", Widget::Json, ValueKind::Json),
        ("rules", Widget::Json, ValueKind::Json),
    ];
    for (name, widget, kind) in rows {
        let field = form.field(name).unwrap();
        assert_eq!((field.widget, field.kind), (widget, kind), "{name}");
    }
    let day = form.field("day").unwrap();
    assert_eq!(
        (day.placeholder.as_deref(), day.constraints.format.as_deref()),
        (Some("2026-01-31"), Some("date"))
    );
    let kind: Vec<_> =
        form.field("kind").unwrap().options.iter().map(|choice| choice.label.clone()).collect();
    assert_eq!(kind, ["One", "two"]);
}

#[test]
fn a_storage_has_the_members_of_its_type() {
    let form = form();
    let members = |name: &str, of: &str| {
        let chosen = json!({ "type": of });
        let members = form.field(name).unwrap().members.iter();
        let there = members.filter(|member| member.when.holds(&chosen));
        there
            .map(|member| format!("{}{}", member.name, if member.required { "!" } else { "" }))
            .collect::<Vec<_>>()
    };
    assert_eq!(members("source", "local"), ["type!", "storage", "file_path!"]);
    assert_eq!(members("source", "upload"), ["type!", "id!"]);
    assert_eq!(members("target", "local"), ["type!", "path!"]);
    assert_eq!(members("target", "sftp"), ["type!", "path!", "host!", "port"]);
    let labels: Vec<_> =
        form.field("target").unwrap().members[0].options.iter().map(|choice| &choice.label).collect();
    assert_eq!(labels, ["Here", "There"]);
}

#[test]
fn a_schema_that_refers_to_itself_or_to_nothing_is_json() {
    let schema = json!({
        "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } },
        "properties": { "circle": { "$ref": "#/$defs/a" }, "nothing": { "$ref": "#/$defs/c", "title": "N" } },
    });
    let form = InstanceForm::new(&schema, None);
    let found: Vec<_> = form.fields().map(|field| (field.label.as_str(), field.widget)).collect();
    assert_eq!(found, [("circle", Widget::Json), ("N", Widget::Json)]);
}

fn field(name: &str) -> EntryChange {
    EntryChange::Field(FieldChange { name: name.to_owned(), place: None, options: FieldOptions::default() })
}

fn placed(name: &str, place: Place) -> EntryChange {
    EntryChange::Field(FieldChange {
        name: name.to_owned(),
        place: Some(place),
        options: FieldOptions::default(),
    })
}

fn tab(code: &str, entries: Vec<EntryChange>) -> TabChange {
    TabChange { code: code.to_owned(), entries, ..TabChange::default() }
}

fn after(name: &str) -> Place {
    Place::After(name.to_owned())
}

#[test]
fn a_layout_changes_the_one_that_it_extends() {
    let base = json!({ "properties": { "a": {}, "b": {}, "c": {} }, "required": ["b"] });
    let child =
        json!({ "properties": { "a": {}, "b": {}, "c": {}, "d": {}, "e": {} }, "required": ["b", "e"] });
    let group = |fields: Vec<EntryChange>| {
        let fields = fields.into_iter().filter_map(|entry| match entry {
            EntryChange::Field(field) => Some(field),
            EntryChange::Group(_) => None,
        });
        EntryChange::Group(GroupChange {
            label: "G".to_owned(),
            folded: Some(true),
            fields: fields.collect(),
        })
    };
    let rows = [
        // What nobody has placed goes to the end of the first tab; what is required stays before the rest.
        (vec![], "settings: b e More settings[a c d]"),
        (vec![tab("n", vec![field("d")])], "settings: b e More settings[a c]; n: d"),
        (vec![tab("settings", vec![placed("d", after("a"))])], "settings: b e More settings[a d c]"),
        (
            vec![tab("settings", vec![placed("d", Place::Before("b".to_owned()))])],
            "settings: d b e More settings[a c]",
        ),
        (
            vec![tab("settings", vec![placed("d", after("e")), placed("c", after("d"))])],
            "settings: b e d c More settings[a]",
        ),
        (vec![tab("n", vec![field("c"), field("d"), field("a")])], "settings: b e; n: c d a"),
        (
            vec![tab("n", vec![field("c"), group(vec![field("a"), field("e")])])],
            "settings: b More settings[d]; n: c G[a e]",
        ),
        (vec![tab("settings", vec![group(vec![field("b")])])], "settings: e More settings[a c d] G[b]"),
    ];
    for (tabs, expected) in rows {
        let changes = FormChanges { tabs, launch: None };
        let layout = FormLayout::changed(Some(&FormLayout::automatic(&base)), &changes, &child);
        assert_eq!(outline(&InstanceForm::new(&child, Some(&layout))), expected, "{changes:?}");
        let stored = serde_json::to_value(&layout).unwrap();
        assert_eq!(serde_json::from_value::<FormLayout>(stored).unwrap(), layout);
    }

    // Without a layout to extend, the list gives the order.
    let changes = FormChanges { tabs: vec![tab("one", vec![field("c"), field("b")])], launch: None };
    let layout = FormLayout::changed(None, &changes, &base);
    assert_eq!(outline(&InstanceForm::new(&base, Some(&layout))), "one: c b a");

    // Tabs move, and what is hidden is not drawn; a parameter that came later is placed all the same.
    let first = TabChange { place: Some(Place::Before("settings".to_owned())), ..tab("n", vec![field("c")]) };
    let hidden = TabChange { hide: Some(true), ..tab("secret", vec![field("a")]) };
    let changes = FormChanges { tabs: vec![first, hidden], launch: None };
    let layout = FormLayout::changed(Some(&FormLayout::automatic(&base)), &changes, &base);
    assert_eq!(outline(&InstanceForm::new(&child, Some(&layout))), "n: c d e; settings: b");
}

/// A form whose tab `mapping` is for authors, and is changed by administrators.
fn guarded() -> FormLayout {
    let right = |from: Role| Some(NeededRight { name: from.to_string(), label: None, from });
    let options = FieldOptions {
        read_only: Some(ReadOnly::Unless(right(Role::Author).unwrap())),
        ..Default::default()
    };
    let lines = EntryChange::Field(FieldChange { name: "lines".to_owned(), place: None, options });
    let once = FieldOptions { read_only: Some(ReadOnly::AfterCreate), ..Default::default() };
    let once = EntryChange::Field(FieldChange { name: "decimal".to_owned(), place: None, options: once });
    let mapping = TabChange {
        right: Some(TabRight { see: right(Role::Author), edit: right(Role::Administrator) }),
        ..tab("mapping", vec![field("mapping"), field("tags")])
    };
    let when = Clause { parameter: "mapping".to_owned(), test: Test::Set(true) };
    let options = FieldOptions { when: Some(Condition { all: vec![when] }), ..Default::default() };
    let strict = EntryChange::Field(FieldChange { name: "strict".to_owned(), place: None, options });
    let changes = FormChanges {
        tabs: vec![tab("settings", vec![field("url"), lines, once, strict]), mapping],
        launch: None,
    };
    FormLayout::changed(None, &changes, &schema())
}

#[test]
fn a_viewer_sees_the_tabs_of_their_rights() {
    let form = InstanceForm::new(&schema(), Some(&guarded()));
    let of = |role| FormRights::Of(Some(role));
    let seen = |mode, rights| {
        let form = form.seen_by(mode, rights);
        let tabs: Vec<_> = form.tabs.iter().map(|tab| tab.code.clone()).collect();
        let editable = ["lines", "decimal", "mapping"]
            .map(|name| form.field(name).map_or('-', |field| if field.is_editable() { 'e' } else { 'r' }));
        (tabs.join(" "), editable.iter().collect::<String>())
    };
    let rows = [
        (Mode::Edit, FormRights::Every, "settings mapping", "ere"),
        (Mode::Create, of(Role::Administrator), "settings mapping", "eee"),
        (Mode::Edit, of(Role::Author), "settings mapping", "err"),
        (Mode::Create, of(Role::Operator), "settings", "re-"),
        (Mode::Show, of(Role::Administrator), "settings mapping", "rrr"),
        (Mode::Edit, FormRights::Of(None), "settings", "rr-"),
    ];
    for (mode, rights, tabs, editable) in rows {
        assert_eq!(seen(mode, rights), (tabs.to_owned(), editable.to_owned()), "{mode:?} {rights:?}");
    }
    // A field whose condition is about a hidden value is always there: else its absence would tell the value.
    let operator = form.seen_by(Mode::Edit, of(Role::Operator));
    assert!(operator.field("strict").unwrap().when.is_empty());
    assert!(!operator.inactive(&json!({})).contains("strict"));
    assert!(form.inactive(&json!({})).contains("strict"));
    assert!(!form.inactive(&json!({ "mapping": [{ "from": "a", "to": "b" }] })).contains("strict"));
}

#[test]
fn a_guard_takes_values_out_and_refuses_changes() {
    let layout = guarded();
    let guard = |role| Guard::new(&schema(), Some(&layout), FormRights::Of(Some(role)));
    let before = json!({ "url": "u", "mapping": [1], "tags": ["t"], "lines": 1, "decimal": "." });
    let seen = |role| {
        let mut seen = before.clone();
        guard(role).hide_in(&mut seen);
        seen.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(seen(Role::Operator), "url lines decimal");
    assert_eq!(seen(Role::Author), "url mapping tags lines decimal");

    let (new, same) = (json!([2]), json!([1]));
    let rows = [
        (Role::Administrator, Mode::Edit, "mapping", Some(&new), ""),
        (
            Role::Author,
            Mode::Edit,
            "mapping",
            Some(&new),
            "/mapping: may not be changed by you: that needs the right `administrator`",
        ),
        (Role::Author, Mode::Edit, "mapping", Some(&same), ""),
        // Whether a hidden value would stay is not told.
        (
            Role::Operator,
            Mode::Edit,
            "mapping",
            Some(&same),
            "/mapping: may not be changed by you: that needs the right `author`",
        ),
        (
            Role::Operator,
            Mode::Edit,
            "mapping",
            None,
            "/mapping: may not be changed by you: that needs the right `author`",
        ),
        (
            Role::Operator,
            Mode::Launch,
            "lines",
            Some(&new),
            "/lines: may not be changed by you: that needs the right `author`",
        ),
        (Role::Operator, Mode::Launch, "url", Some(&new), ""),
        (Role::Administrator, Mode::Create, "decimal", Some(&new), ""),
        (
            Role::Administrator,
            Mode::Edit,
            "decimal",
            Some(&new),
            "/decimal: cannot be changed after the instance was created",
        ),
    ];
    for (role, mode, name, value, expected) in rows {
        let refused = guard(role).refused(mode, [(name, value)], &before);
        let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused.join("; "), expected, "{role} {mode:?} {name}");
    }

    let violation =
        |path: &str| crate::parameters::Violation { path: path.to_owned(), message: "secret".to_owned() };
    let masked =
        guard(Role::Operator).without_values(vec![violation(""), violation("/mapping/0"), violation("/url")]);
    let masked: Vec<_> = masked.iter().map(ToString::to_string).collect();
    assert_eq!(
        masked,
        [
            "parameters: break a constraint; you may not see all of their values",
            "/mapping: breaks a constraint; you may not see its value",
            "/url: secret",
        ]
    );
    assert!(Guard::closed().hides("url"));
    assert_eq!(Guard::new(&schema(), Some(&layout), FormRights::Every), Guard::open());
}

#[test]
fn private_values_are_written_and_never_shown() {
    let schema = json!({ "properties": { "pin": { "type": "string", "writeOnly": true } } });
    let administrator = FormRights::Of(Some(Role::Administrator));
    let guard = Guard::new(&schema, None, administrator);
    let mut value = json!({ "pin": "1234" });
    guard.hide_in(&mut value);
    assert_eq!(value, json!({}));
    let pin = json!("1");
    assert_eq!(guard.refused(Mode::Edit, [("pin", Some(&pin))], &json!({})), []);
    let form = InstanceForm::new(&schema, None);
    assert!(form.seen_by(Mode::Edit, administrator).field("pin").is_some());
    assert!(form.seen_by(Mode::Show, administrator).field("pin").is_none());
}

/// Posts `pairs` (`name=text name=text`, with `~` for a space and `|` for a line end) onto `before`.
fn post(pairs: &str, before: &Value) -> String {
    let form = form().seen_by(Mode::Edit, FormRights::Every);
    let pair = |pair: &str| {
        let (name, text) = pair.split_once('=').unwrap();
        (name.to_owned(), text.replace('~', " ").replace('|', "\r\n"))
    };
    let pairs: Vec<_> = pairs.split_whitespace().map(pair).collect();
    let posted = form.parameters_of(&pairs, before);
    let violations: Vec<_> = posted.violations.iter().map(|violation| format!(" !{violation}")).collect();
    format!("{}{}", posted.parameters, violations.concat())
}

#[test]
fn posted_texts_become_typed_values() {
    let rows = [
        ("url=https://a.example", r#"{"url":"https://a.example"}"#),
        ("url=", "{}"),
        ("nothing=1 source.other=1", "{}"),
        ("lines=20 price=1.50", r#"{"lines":20,"price":1.5}"#),
        ("lines=~18446744073709551615~", r#"{"lines":18446744073709551615}"#),
        ("lines=2.0 price=+3e2", r#"{"lines":2,"price":300.0}"#),
        (
            "lines=18446744073709551616",
            r#"{"lines":"18446744073709551616"} !/lines: `18446744073709551616` has more digits than 64 bits hold, and would be rounded"#,
        ),
        (
            "price=0.1234567890123456789",
            r#"{"price":"0.1234567890123456789"} !/price: `0.1234567890123456789` has more digits than 64 bits hold, and would be rounded"#,
        ),
        ("lines=2.5", r#"{"lines":"2.5"} !/lines: `2.5` is not a whole number"#),
        (
            "lines=many price=x",
            r#"{"lines":"many","price":"x"} !/lines: `many` is not a whole number !/price: `x` is not a number"#,
        ),
        // The companion comes first, and a box that says its default sets nothing.
        ("withHeader=false withHeader=true", "{}"),
        ("withHeader=false", r#"{"withHeader":false}"#),
        ("strict=false strict=on", r#"{"strict":true}"#),
        ("strict=false", r#"{"strict":false}"#),
        ("decimal=,", r#"{"decimal":","}"#),
        ("decimal=.", "{}"),
        ("decimal=x", r#"{"decimal":"x"}"#),
        ("kind=1", r#"{"kind":1}"#),
        ("kind=two", r#"{"kind":"two"}"#),
        ("delimiter=⇥", r#"{"delimiter":"\t"}"#),
        ("delimiter=~", r#"{"delimiter":" "}"#),
        ("tags=a|b||~c~ tags=d", r#"{"tags":["a","b","c","d"]}"#),
        ("tags=", "{}"),
        ("numbers=", r#"{"numbers":[]}"#),
        ("numbers= numbers=3 numbers=x", r#"{"numbers":[3,"x"]} !/numbers/1: `x` is not a whole number"#),
        ("days= days=tue days=mon days=sun", r#"{"days":["tue","mon","sun"]}"#),
        ("any=\"x\"", r#"{"any":"x"}"#),
        (
            "any={\"a\":1,\"a\":2}",
            r#"{"any":"{\"a\":1,\"a\":2}"} !/any: is not JSON: line 1, column 10: the key `a` appears twice"#,
        ),
        (
            "mapping= mapping.0.from=sku mapping.0.to=id mapping.0.keep=false mapping.0.keep=true mapping.0.width=7",
            r#"{"mapping":[{"from":"sku","to":"id","keep":true,"width":7}]}"#,
        ),
        // Rows come in the order in which they were posted, and blank ones are left out.
        (
            "mapping= mapping.5.from=b mapping.5.keep=false mapping.2.from= mapping.2.keep=false mapping.2.keep=true mapping.1.from=a",
            r#"{"mapping":[{"from":"b","keep":false},{"from":"a"}]}"#,
        ),
        ("mapping= mapping.x.from=b mapping.0.other=c", "{}"),
        (
            "mapping.0.from=a mapping.0.width=wide",
            r#"{"mapping":[{"from":"a","width":"wide"}]} !/mapping/0/width: `wide` is not a whole number"#,
        ),
        ("mapping=[{\"from\":\"a\",\"x\":1}]", r#"{"mapping":[{"from":"a","x":1}]}"#),
        (
            "source.type=local source.file_path=in.csv source.id=7 source.storage=",
            r#"{"source":{"type":"local","file_path":"in.csv"}}"#,
        ),
        (
            "source.type=upload source.file_path=in.csv source.id=u7",
            r#"{"source":{"type":"upload","id":"u7"}}"#,
        ),
        (
            "target.type=sftp target.host=h target.port=22",
            r#"{"target":{"type":"sftp","host":"h","port":22}}"#,
        ),
        ("target.type= target.host=h", "{}"),
    ];
    for (posted, expected) in rows {
        assert_eq!(post(posted, &json!({})), expected, "{posted}");
    }
}

#[test]
fn what_was_there_stays_unless_it_is_posted() {
    let rows = [
        (json!({ "lines": 5, "old": 1 }), "url=x", r#"{"lines":5,"old":1,"url":"x"}"#),
        (json!({ "lines": 5, "url": "x" }), "lines=", r#"{"url":"x"}"#),
        // A value that no longer fits is kept, with its type.
        (json!({ "decimal": 7 }), "decimal=7", r#"{"decimal":7}"#),
        (json!({ "url": 7 }), "url=7", r#"{"url":7}"#),
        (json!({ "tags": "x" }), "tags=\"x\"", r#"{"tags":"x"}"#),
        (json!({ "tags": [{ "a": 1 }] }), "tags=[{\"a\":1}]", r#"{"tags":[{"a":1}]}"#),
        // What was set to the default explicitly stays set.
        (json!({ "withHeader": true }), "withHeader=false withHeader=true", r#"{"withHeader":true}"#),
    ];
    for (before, posted, expected) in rows {
        assert_eq!(post(posted, &before), expected, "{before} {posted}");
    }
}

#[test]
fn what_is_posted_into_a_hidden_or_locked_field_is_ignored() {
    let form = InstanceForm::new(&schema(), Some(&guarded()));
    let operator = form.seen_by(Mode::Edit, FormRights::Of(Some(Role::Operator)));
    let posted = [("lines", "9"), ("mapping.0.from", "x"), ("tags", "x"), ("url", "u")];
    let posted = posted.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let before = json!({ "lines": 5, "tags": ["t"] });
    let read = operator.parameters_of(&posted, &before);
    assert_eq!(read.parameters, json!({ "lines": 5, "tags": ["t"], "url": "u" }));
    assert_eq!((Value::Object(read.set), read.unset), (json!({ "url": "u" }), vec![]));

    // A field whose condition does not hold is not sent, nor judged.
    let every = form.seen_by(Mode::Edit, FormRights::Every);
    let posted = |mapping: &str| {
        let posted = [("strict", "maybe"), ("mapping", ""), ("mapping.0.from", mapping)];
        let posted = posted.map(|(name, text)| (name.to_owned(), text.to_owned()));
        every.parameters_of(&posted, &json!({ "strict": true }))
    };
    assert_eq!((posted("").parameters, posted("").unset), (json!({}), vec!["strict".to_owned()]));
    assert_eq!(posted("").violations, []);
    assert_eq!(posted("a").violations[0].to_string(), "/strict: `maybe` is neither `true` nor `false`");
}

#[test]
fn a_value_that_is_posted_as_it_is_shown_is_the_same() {
    let form = form().seen_by(Mode::Edit, FormRights::Every);
    let values = [
        json!({ "source": { "type": "bucket", "storage": "s", "file_path": "a b.csv" }, "url": "https://a.example" }),
        json!({ "delimiter": "\t", "withHeader": false, "decimal": ",", "lines": u64::MAX, "price": 0.1 }),
        json!({ "tags": ["a", "b c"], "numbers": [], "days": ["tue"], "any": null, "rules": { "x": [1] } }),
        json!({ "mapping": [{ "from": "a", "to": "b", "keep": false, "width": -1 }, { "from": "c", "to": "d", "keep": true }] }),
        json!({ "target": { "type": "sftp", "path": "p", "host": "h", "port": 22 }, "kind": 1, "strict": false }),
        // None of these fits its field.
        json!({ "tags": "x", "mapping": [{ "unknown": 1 }], "source": 5, "lines": "many", "kind": 9, "url": 3 }),
        json!({ "tags": ["a\nb"], "mapping": { "from": "a" }, "days": [["x"]] }),
    ];
    for value in values {
        let shown = |(name, value): (&String, &Value)| form.field(name).unwrap().texts_of(value);
        let posted: Vec<_> = value.as_object().unwrap().iter().flat_map(shown).collect();
        let read = form.parameters_of(&posted, &value);
        assert_eq!(read.parameters, value, "{posted:?}");
        assert!(read.set.is_empty() && read.unset.is_empty(), "{read:?}");
    }
}

#[test]
fn all_violations_are_told_once_and_in_the_words_of_the_form() {
    let options = FieldOptions { when_invalid: Some("an address".to_owned()), ..FieldOptions::default() };
    let url = EntryChange::Field(FieldChange { name: "url".to_owned(), place: None, options });
    let changes = FormChanges { tabs: vec![tab("settings", vec![url])], launch: None };
    let layout = FormLayout::changed(None, &changes, &schema());
    let form = InstanceForm::new(&schema(), Some(&layout)).seen_by(Mode::Create, FormRights::Every);
    let checked = ParameterSchema::new(&schema()).unwrap();
    let violations = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let posted = form.parameters_of(&pairs, &json!({}));
        posted.all_violations(&form, &checked).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(violations(&[]), ["/source: is required", "/url: is required"]);
    let source = [("source.type", "local"), ("source.file_path", "in.csv")];
    assert_eq!(
        violations(&[source[0], source[1], ("url", "no address"), ("lines", "x")]),
        ["/lines: `x` is not a whole number", "/url: is not an address"]
    );
    assert!(violations(&[source[0], source[1], ("url", "https://a.example"), ("lines", "1")]).is_empty());
}

#[test]
fn a_launch_overrides_what_differs() {
    let changes = FormChanges {
        tabs: vec![],
        launch: Some(BTreeSet::from(["lines", "decimal", "price"].map(str::to_owned))),
    };
    let layout = FormLayout::changed(None, &changes, &schema());
    let form = InstanceForm::new(&schema(), Some(&layout)).seen_by(Mode::Launch, FormRights::Every);
    assert_eq!(
        form.fields().map(|field| field.name.as_str()).collect::<Vec<_>>(),
        ["decimal", "lines", "price"]
    );
    let posted = [("lines", "9"), ("decimal", ""), ("price", "2"), ("url", "x")];
    let posted = posted.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let effective = json!({ "lines": 5, "decimal": ",", "price": 2, "url": "u" });
    let overrides = form.parameters_of(&posted, &effective).overrides(&form);
    assert_eq!(overrides, json!({ "lines": 9, "decimal": "." }));
}
