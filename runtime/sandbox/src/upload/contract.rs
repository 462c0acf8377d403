//! Whether a component fits one of the four worlds in `wit/`, and if not, where it differs.

use std::fmt;
use std::sync::LazyLock;

use semver::Version;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, InterfaceId, Resolve, SourceMap, WorldId, WorldItem, WorldKey};

use super::difference::Differ;
use crate::error::ComponentError;

/// The contract as this runtime knows it.
const SOURCES: &[(&str, &str)] = &[
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("execution.wit", include_str!("../../../../wit/execution.wit")),
    ("files.wit", include_str!("../../../../wit/files.wit")),
    ("http.wit", include_str!("../../../../wit/http.wit")),
    ("worlds.wit", include_str!("../../../../wit/worlds.wit")),
];

/// What a component may import of the contract.
const IMPORTS: &[&str] = &["types", "execution", "files", "http", "log"];

/// What a component may import of WASI 0.2, and what `linker.rs` provides. No sockets.
const WASI: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("clocks", &["monotonic-clock", "wall-clock"]),
    ("filesystem", &["types", "preopens"]),
    ("http", &["types", "outgoing-handler"]),
    ("io", &["error", "poll", "streams"]),
    ("random", &["random", "insecure", "insecure-seed"]),
];

/// What a component can be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// One task without items.
    Tasklet,
    /// Where items come from.
    ItemReader,
    /// What happens to items.
    ItemProcessor,
    /// Where items go.
    ItemWriter,
}

impl World {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Tasklet, Self::ItemReader, Self::ItemProcessor, Self::ItemWriter];

    /// Its name in `wit/worlds.wit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tasklet => "tasklet",
            Self::ItemReader => "item-reader",
            Self::ItemProcessor => "item-processor",
            Self::ItemWriter => "item-writer",
        }
    }

    /// The interface that makes a component one of this world.
    fn interface(self) -> &'static str {
        match self {
            Self::Tasklet => "task",
            Self::ItemReader => "reader",
            Self::ItemProcessor => "processor",
            Self::ItemWriter => "writer",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing about a component that does not fit its world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// It was built against another version of the contract.
    #[error("it was built for `stepbox:step@{found}`; this runtime knows {known}")]
    OtherVersion {
        /// The version it was built for.
        found: Version,
        /// The one there is.
        known: Version,
    },
    /// It wants something that no step gets.
    #[error("it imports `{name}`, which steps do not get")]
    UnknownImport {
        /// The import.
        name: String,
    },
    /// It wants a function that this runtime does not have.
    #[error("it imports `{function}` of `{interface}`, which this runtime does not have")]
    UnknownFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
    /// It lacks an interface.
    #[error("it does not export `{name}`")]
    MissingExport {
        /// The interface.
        name: String,
    },
    /// It lacks a function.
    #[error("its `{interface}` does not export `{function}`")]
    MissingFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
    /// It has a function of another type.
    #[error("`{function}` of `{interface}` differs: {difference}")]
    DifferentFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// Where.
        difference: String,
    },
}

impl Finding {
    pub(crate) fn help(&self) -> String {
        match self {
            Self::OtherVersion { known, .. } => {
                format!("build it with the SDK, or the `wit` folder, of version {}.{}", known.major, known.minor)
            }
            Self::UnknownImport { name } if name.starts_with("wasi:sockets/") => {
                "steps have no sockets: send requests through `http`; for a Python step, `componentize-py … -s` \
                 leaves out what it does not use"
                    .to_owned()
            }
            Self::UnknownImport { name } if name.starts_with("wasi:") && name.contains("@0.3") => {
                "build it for WASI 0.2 (`wasm32-wasip2`)".to_owned()
            }
            Self::UnknownImport { .. } => {
                "the page on what a step may import is `wit/README.md`; leave out the library that wants more"
                    .to_owned()
            }
            Self::UnknownFunction { .. } => "it was built for a newer runtime: update this one".to_owned(),
            Self::MissingExport { .. } | Self::MissingFunction { .. } | Self::DifferentFunction { .. } => {
                "build it with the SDK or the `wit` folder of this runtime".to_owned()
            }
        }
    }
}

/// The contract, read once.
struct Contract {
    resolve: Resolve,
    version: Version,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let mut sources = SourceMap::new();
    for (name, text) in SOURCES {
        sources.push(name.as_ref(), *text);
    }
    let group = sources.parse().unwrap_or_else(|(_, error)| panic!("`wit/` is part of this crate: {error}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).expect("`wit/` is part of this crate");
    let version = resolve.packages[package].name.version.clone().expect("the contract has a version");
    Contract { resolve, version }
});

impl Contract {
    fn interface(&self, name: &str) -> InterfaceId {
        let mut interfaces = self.resolve.interfaces.iter();
        let found = interfaces.find(|(_, interface)| interface.name.as_deref() == Some(name));
        found.map(|(id, _)| id).expect("the names above are those in `wit/`")
    }

    /// Within 0.1, or from 1.0 on within a major version, what is added is all that changes.
    fn is_compatible(&self, version: &Version) -> bool {
        version.major == self.version.major && (version.major > 0 || version.minor == self.version.minor)
    }
}

/// Finds out which world a valid component is of.
pub(super) fn check(bytes: &[u8]) -> Result<World, ComponentError> {
    let malformed = |problem: String| ComponentError::Malformed { problem };
    let (resolve, world) = match decode(bytes).map_err(|error| malformed(format!("{error:#}")))? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => {
            let (problem, help) =
                ("it only holds WIT".to_owned(), "upload the step, not its contract".to_owned());
            return Err(ComponentError::NoWorld { problem, help });
        }
    };
    let candidate = Candidate { contract: &CONTRACT, resolve: &resolve, world };
    let world = candidate.world()?;
    let findings = candidate.findings(world);
    if findings.is_empty() { Ok(world) } else { Err(ComponentError::WrongWorld { world, findings }) }
}

/// A component, as its types tell of it.
struct Candidate<'a> {
    contract: &'a Contract,
    resolve: &'a Resolve,
    world: WorldId,
}

/// The name of an interface, taken apart: `stepbox:step/files@0.1.0`.
struct Name<'a> {
    namespace: &'a str,
    package: &'a str,
    interface: &'a str,
    version: Option<&'a Version>,
    id: InterfaceId,
}

impl Name<'_> {
    fn is_of_contract(&self) -> bool {
        (self.namespace, self.package) == ("stepbox", "step")
    }

    fn is_allowed_wasi(&self) -> bool {
        let is_known =
            |(package, names): &(&str, &[&str])| *package == self.package && names.contains(&self.interface);
        self.namespace == "wasi"
            && self.version.is_some_and(|version| (version.major, version.minor) == (0, 2))
            && WASI.iter().any(is_known)
    }
}

impl<'a> Candidate<'a> {
    fn name(&self, key: &WorldKey, item: &WorldItem) -> Option<Name<'a>> {
        let (WorldKey::Interface(id), WorldItem::Interface { .. }) = (key, item) else { return None };
        let interface = &self.resolve.interfaces[*id];
        let package = &self.resolve.packages[interface.package?].name;
        Some(Name {
            namespace: &package.namespace,
            package: &package.name,
            interface: interface.name.as_deref()?,
            version: package.version.as_ref(),
            id: *id,
        })
    }

    /// The contract's interfaces that it exports, whatever their version.
    fn exports(&self) -> Vec<Name<'a>> {
        let exports = self.resolve.worlds[self.world].exports.iter();
        exports.filter_map(|(key, item)| self.name(key, item)).filter(Name::is_of_contract).collect()
    }

    /// Which world it is of: the one whose interface it exports.
    fn world(&self) -> Result<World, ComponentError> {
        let exports = self.exports();
        let is_exported = |world: &World| exports.iter().any(|name| name.interface == world.interface());
        let worlds: Vec<World> = World::ALL.into_iter().filter(is_exported).collect();
        let listed = |worlds: &[World]| {
            let names = worlds.iter().map(|world| format!("`stepbox:step/{}`", world.interface()));
            names.collect::<Vec<_>>().join(", ")
        };
        match worlds[..] {
            [world] => Ok(world),
            [] => Err(ComponentError::NoWorld {
                problem: format!("it exports none of {}", listed(&World::ALL)),
                help: "build it against one of the worlds in `wit/worlds.wit`".to_owned(),
            }),
            _ => Err(ComponentError::NoWorld {
                problem: format!("it exports {} together", listed(&worlds)),
                help: "a component is of one world: make a component of each".to_owned(),
            }),
        }
    }

    fn findings(&self, world: World) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (key, item) in &self.resolve.worlds[self.world].imports {
            match self.name(key, item) {
                Some(name) if name.is_of_contract() => self.check_import(&name, &mut findings),
                Some(name) if name.is_allowed_wasi() => {}
                // Types that its exports use appear as imports, and want nothing.
                None if matches!(item, WorldItem::Type { .. }) => {}
                _ => findings.push(Finding::UnknownImport { name: self.resolve.name_world_key(key) }),
            }
        }
        self.check_export("describe", &mut findings);
        self.check_export(world.interface(), &mut findings);
        findings
    }

    /// An import may use less than there is. (Extra exports are nobody's business either.)
    fn check_import(&self, name: &Name<'_>, findings: &mut Vec<Finding>) {
        let full_name = self.resolve.id_of(name.id).unwrap_or_default();
        if !self.is_known_version(name, findings) {
            return;
        }
        if !IMPORTS.contains(&name.interface) {
            return findings.push(Finding::UnknownImport { name: full_name });
        }
        let ours = &self.contract.resolve.interfaces[self.contract.interface(name.interface)].functions;
        for (function, theirs) in &self.resolve.interfaces[name.id].functions {
            match ours.get(function) {
                Some(ours) => self.compare(full_name.clone(), ours, theirs, findings),
                None => findings.push(Finding::UnknownFunction {
                    interface: full_name.clone(),
                    function: plain(function),
                }),
            }
        }
    }

    fn check_export(&self, interface: &str, findings: &mut Vec<Finding>) {
        let our_id = self.contract.interface(interface);
        let full_name = self.contract.resolve.id_of(our_id).unwrap_or_default();
        let Some(name) = self.exports().into_iter().find(|name| name.interface == interface) else {
            return findings.push(Finding::MissingExport { name: full_name });
        };
        if !self.is_known_version(&name, findings) {
            return;
        }
        let theirs = &self.resolve.interfaces[name.id].functions;
        for (function, ours) in &self.contract.resolve.interfaces[our_id].functions {
            match theirs.get(function) {
                Some(theirs) => self.compare(full_name.clone(), ours, theirs, findings),
                None => findings.push(Finding::MissingFunction {
                    interface: full_name.clone(),
                    function: plain(function),
                }),
            }
        }
    }

    fn is_known_version(&self, name: &Name<'_>, findings: &mut Vec<Finding>) -> bool {
        let found = name.version.cloned().unwrap_or(Version::new(0, 0, 0));
        if self.contract.is_compatible(&found) {
            return true;
        }
        let finding = Finding::OtherVersion { found, known: self.contract.version.clone() };
        // Every interface would say the same.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
        false
    }

    fn compare(&self, interface: String, ours: &Function, theirs: &Function, findings: &mut Vec<Finding>) {
        let differ = Differ { ours: &self.contract.resolve, theirs: self.resolve };
        if let Some(difference) = differ.function(ours, theirs) {
            let function = plain(&ours.name);
            findings.push(Finding::DifferentFunction { interface, function, difference });
        }
    }
}

/// A function's name without its bookkeeping: `[method]reader.read` is `reader.read`.
fn plain(function: &str) -> String {
    function.split_once(']').map_or(function, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
    use wit_parser::ManglingAndAbi;

    use super::*;

    /// A component of a world of the contract, after the contract was changed. It only looks right.
    fn component(world: &str, changes: &[(&str, &str)]) -> Vec<u8> {
        let mut sources = SourceMap::new();
        for (name, text) in SOURCES {
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
            &[(
                "is-stopping: func() -> bool;",
                "is-stopping: func() -> bool;\n    is-pausing: func() -> bool;",
            )],
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
            check(&component(world, &changes))
                .map_or_else(|error| error.to_string(), |world| world.to_string())
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
}
