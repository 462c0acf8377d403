//! Components of worlds that nearly are the contract's, and the findings about them.

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::ManglingAndAbi;

use super::*;

/// A component of a world of a changed contract. It has the right types but does nothing.
fn component(world: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let mut sources = SourceMap::new();
    for (name, text) in WIT {
        let mut text = (*text).to_owned();
        for (from, to) in changes {
            text = text.replace(from, to);
        }
        sources.push(name.as_ref(), text);
    }
    let mut resolve = Resolve::default();
    let package = resolve.push_group(sources.parse().map_err(|(_, error)| error).unwrap()).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

#[track_caller]
fn check_world(world: &str, changes: &[(&str, &str)], expected: &str) {
    let bytes = component(world, changes);
    crate::upload::form::check(&bytes).and_then(|()| crate::upload::form::validate(&bytes)).unwrap();
    let found = check(&bytes).map_or_else(|error| error.to_string(), |world| world.to_string());
    assert_eq!(found, expected);
}

#[test]
fn knows_the_four_worlds() {
    for world in World::ALL {
        check_world(world.as_str(), &[], world.as_str());
        check_world(world.as_str(), &[("stepbox:step@0.1.0", "stepbox:step@0.1.7")], world.as_str());
    }
}

/// A component of any world may describe forms, but then as the contract says.
#[test]
fn knows_components_that_describe_forms() {
    for world in World::ALL {
        let interface = world.further_interface().unwrap_or(world.interface());
        let export = format!("    export {interface};");
        let and_form = format!("{export}\n    export form;");
        let with_form = (export.as_str(), and_form.as_str());
        check_world(world.as_str(), &[with_form], world.as_str());
        let other = ("describe: func(question: question)", "describe: func(asked: question)");
        check_world(
            world.as_str(),
            &[with_form, other],
            &format!(
                "it does not fit the world `{world}`: `describe` of `stepbox:step/form@0.1.0` differs: \
                 takes (asked) instead of (question)"
            ),
        );
    }
}

#[test]
fn says_which_world_it_is_not() {
    check_world(
        "step",
        &[],
        "it is not a step: it exports none of `stepbox:step/task`, `stepbox:step/reader`, \
         `stepbox:step/processor`, `stepbox:step/writer`",
    );
    check_world(
        "item-reader",
        &[("    export reader;", "    export reader;\n    export writer;")],
        "it is not a step: it exports `stepbox:step/reader`, `stepbox:step/writer` together",
    );
    check_world(
        "tasklet",
        &[("    export describe;", "")],
        "it does not fit the world `tasklet`: it does not export `stepbox:step/describe@0.1.0`",
    );
}

#[test]
fn says_which_version_it_was_built_for() {
    for version in ["0.2.0", "1.0.0"] {
        check_world(
            "item-writer",
            &[("stepbox:step@0.1.0", &format!("stepbox:step@{version}"))],
            &format!(
                "it does not fit the world `item-writer`: it was built for `stepbox:step@{version}`; \
                 this runtime knows 0.1.0"
            ),
        );
    }
}

#[test]
fn says_which_functions_differ() {
    check_world(
        "tasklet",
        &[("increment-processed-items: func(by: u32)", "increment-processed-items: func(by: u64)")],
        "it does not fit the world `tasklet`: `increment-processed-items` of \
         `stepbox:step/execution@0.1.0` differs: parameter `by`: u64 instead of u32",
    );
    check_world(
        "tasklet",
        &[("is-stopping: func() -> bool;", "is-stopping: func() -> bool;\n    is-pausing: func() -> bool;")],
        "it does not fit the world `tasklet`: it imports `is-pausing` of \
         `stepbox:step/execution@0.1.0`, which this runtime does not have",
    );
    check_world(
        "item-processor",
        &[("        nulls: list<u32>,\n", "")],
        "it does not fit the world `item-processor`: `process` of `stepbox:step/processor@0.1.0` differs: \
         parameter `rows`: record `rows` lacks the field `nulls`",
    );
    check_world(
        "item-writer",
        &[("    complete: func() -> result<_, step-error>;", "")],
        "it does not fit the world `item-writer`: its `stepbox:step/writer@0.1.0` does not export `complete`",
    );
    check_world(
        "tasklet",
        &[("read: func(max-bytes: u32) -> result<list<u8>, file-error>", "read: func() -> list<u8>")],
        "it does not fit the world `tasklet`: `reader.read` of `stepbox:step/files@0.1.0` differs: \
         takes (self) instead of (self, max-bytes)",
    );
    check_world(
        "tasklet",
        &[("        not-found,\n", "")],
        "it does not fit the world `tasklet`: \
         `reader.read` of `stepbox:step/files@0.1.0` differs: result: variant `file-error` lacks the case `not-found`; \
         `reader.seek` of `stepbox:step/files@0.1.0` differs: result: variant `file-error` lacks the case `not-found`; \
         `writer.write` of `stepbox:step/files@0.1.0` differs: result: variant `file-error` lacks the case `not-found`; \
         and 8 more like that",
    );
}

#[test]
fn says_what_it_should_not_import() {
    let importing = |interface: &str, version: &str, world: &str| {
        let (package, name) = interface.split_once('/').unwrap();
        let import = format!("world step {{\n    import {interface}@{version};");
        let package = format!(
            "package stepbox:step@0.1.0;\npackage {package}@{version} {{ interface {name} {{ f: func(); }} }}"
        );
        let changes = [("world step {", import.as_str())];
        let mut changes = changes.to_vec();
        let worlds = "package stepbox:step@0.1.0;\n\n/// Called in the order open, read";
        let package = format!("{package}\n\n/// Called in the order open, read");
        changes.push((worlds, &package));
        check(&component(world, &changes)).map_or_else(|error| error.to_string(), |world| world.to_string())
    };
    let refused = |name: &str| {
        format!("it does not fit the world `tasklet`: it imports `{name}`, which steps do not get")
    };
    let check = |interface: &str, version: &str, expected: &str| {
        assert_eq!(importing(interface, version, "tasklet"), expected);
    };
    check("wasi:io/poll", "0.2.0", "tasklet");
    check("wasi:io/poll", "0.2.99", "tasklet");
    check("wasi:http/outgoing-handler", "0.2.0", "tasklet");
    for (interface, version) in [
        ("wasi:sockets/tcp", "0.2.0"),
        ("wasi:io/poll", "0.3.0"),
        ("wasi:http/incoming-handler", "0.2.0"),
        ("wasi:clocks/timezone", "0.2.0"),
        ("acme:tools/tool", "1.0.0"),
    ] {
        check(interface, version, &refused(&format!("{interface}@{version}")));
    }
}
