//! Checks whether a component fits one of the five worlds in `wit/0.1`, and if not, where it differs.

#[cfg(test)]
mod tests;

use std::panic::catch_unwind;
use std::sync::LazyLock;

use semver::Version;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, InterfaceId, Resolve, SourceMap, WorldId, WorldItem, WorldKey};

use super::difference::Differ;
use super::world::{Finding, World};
use crate::error::ComponentError;
use crate::v0_1::WIT;

/// The interfaces of the contract that a component may import.
const IMPORTS: &[&str] = &["types", "execution", "files", "http", "log"];

/// The interface that a component of any world may export beside the one of its world.
const FORM: &str = "form";

/// The WASI 0.2 interfaces that a component may import. `linker.rs` provides them. Sockets are not among
/// them.
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

/// The contract, read once.
struct Contract {
    resolve: Resolve,
    version: Version,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let mut sources = SourceMap::new();
    for (name, text) in WIT {
        sources.push(name.as_ref(), *text);
    }
    let group =
        sources.parse().unwrap_or_else(|(_, error)| panic!("`wit/0.1` is part of this crate: {error}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).expect("`wit/0.1` is part of this crate");
    let version = resolve.packages[package].name.version.clone().expect("the contract has a version");
    Contract { resolve, version }
});

impl Contract {
    fn interface(&self, name: &str) -> InterfaceId {
        let mut interfaces = self.resolve.interfaces.iter();
        let found = interfaces.find(|(_, interface)| interface.name.as_deref() == Some(name));
        found.map(|(id, _)| id).expect("the names above are those in `wit/0.1`")
    }

    /// Whether the versions are compatible. Within 0.1, and from 1.0 on within a major version, a new version
    /// only adds.
    fn is_compatible(&self, version: &Version) -> bool {
        version.major == self.version.major && (version.major > 0 || version.minor == self.version.minor)
    }
}

/// Finds the world of a valid component.
pub(super) fn check(bytes: &[u8]) -> Result<World, ComponentError> {
    let malformed = |problem: String| ComponentError::Malformed { problem };
    // The decoder panics over some types that are valid but that no WIT makes.
    let decoded =
        catch_unwind(|| decode(bytes)).map_err(|_| malformed("its types are no WIT's".to_owned()))?;
    let (resolve, world) = match decoded.map_err(|error| malformed(format!("{error:#}")))? {
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

/// A component, as its types describe it.
struct Candidate<'a> {
    contract: &'a Contract,
    resolve: &'a Resolve,
    world: WorldId,
}

/// The parts of an interface's name: `stepbox:step/files@0.1.0`.
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

    /// The contract's interfaces that the component exports, of any version.
    fn exports(&self) -> Vec<Name<'a>> {
        let exports = self.resolve.worlds[self.world].exports.iter();
        exports.filter_map(|(key, item)| self.name(key, item)).filter(Name::is_of_contract).collect()
    }

    /// The component's world: the one whose interface it exports.
    fn world(&self) -> Result<World, ComponentError> {
        let exports = self.exports();
        let has = |interface: &str| exports.iter().any(|name| name.interface == interface);
        // Two worlds have the same interface. If the component exports the further interface of one of them,
        // it is of that world.
        let is_exported = |world: &World| {
            has(world.interface())
                && match world.further_interface() {
                    Some(further) => has(further),
                    None => !World::ALL.iter().any(|other| {
                        other.interface() == world.interface() && other.further_interface().is_some_and(has)
                    }),
                }
        };
        let worlds: Vec<World> = World::ALL.into_iter().filter(is_exported).collect();
        let listed = |worlds: &[World]| {
            let mut names: Vec<_> =
                worlds.iter().map(|world| format!("`stepbox:step/{}`", world.interface())).collect();
            names.dedup();
            names.join(", ")
        };
        match worlds[..] {
            [world] => Ok(world),
            [] => Err(ComponentError::NoWorld {
                problem: format!("it exports none of {}", listed(&World::ALL)),
                help: "build it against one of the worlds in `wit/0.1/worlds.wit`".to_owned(),
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
                // Types that its exports use appear as imports, but need nothing from the host.
                None if matches!(item, WorldItem::Type { .. }) => {}
                _ => findings.push(Finding::UnknownImport { name: self.resolve.name_world_key(key) }),
            }
        }
        self.check_export("describe", &mut findings);
        self.check_export(world.interface(), &mut findings);
        if let Some(further) = world.further_interface() {
            self.check_export(further, &mut findings);
        }
        // An interface that a component of any world may export.
        if self.exports().iter().any(|name| name.interface == FORM) {
            self.check_export(FORM, &mut findings);
        }
        findings
    }

    /// Checks an import. A component may import fewer functions than the interface has. (Extra exports are
    /// allowed as well.)
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
        // Every interface would give the same finding.
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

/// A function's name without its prefix: `[method]reader.read` is `reader.read`.
fn plain(function: &str) -> String {
    function.split_once(']').map_or(function, |(_, name)| name).to_owned()
}
