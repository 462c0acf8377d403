//! The memory of a component's instances without their memories and tables: globals, and what the engine
//! keeps for each function that is passed around.
//!
//! A module of a few megabytes can hold a million globals, and can be instantiated two hundred times. So each
//! instance is followed to its module, also where components contain components.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ElementItems, ExternalKind, Instance, Parser, Payload, TypeRef,
};

/// The memory of a global in each instance, in bytes.
const GLOBAL_BYTES: u64 = 16;
/// The memory of a function that is imported, exported or in a table, in bytes.
const FUNCTION_BYTES: u64 = 32;

/// The size of a module or component that an instance gets from elsewhere: it could be any. No tool that we
/// know of makes such components.
const UNKNOWN: u64 = u64::MAX;

/// A module or a component during reading.
#[derive(Default)]
struct Open {
    is_component: bool,
    /// The bytes that one instance of it takes.
    bytes: u64,
    /// The bytes that one instance takes, for each module and component that it knows, by their numbers.
    modules: Vec<u64>,
    components: Vec<u64>,
}

/// The memory that all instances of a valid component take, in bytes.
pub(super) fn bytes(component: &[u8]) -> Result<u64, BinaryReaderError> {
    let mut open: Vec<Open> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = &payload {
            let is_component = *encoding == wasmparser::Encoding::Component;
            open.push(Open { is_component, ..Open::default() });
            continue;
        }
        if let Payload::End(_) = &payload {
            let Some(ended) = open.pop() else { continue };
            let Some(parent) = open.last_mut() else { return Ok(ended.bytes) };
            if ended.is_component {
                parent.components.push(ended.bytes);
            } else {
                parent.modules.push(ended.bytes);
            }
            continue;
        }
        if let Payload::ComponentAliasSection(aliases) = payload {
            for alias in aliases {
                add_alias(&mut open, &alias?);
            }
            continue;
        }
        if let Some(innermost) = open.last_mut() {
            innermost.add(payload)?;
        }
    }
    Ok(0)
}

fn add_alias(open: &mut [Open], alias: &ComponentAlias<'_>) {
    let (is_module, bytes) = match *alias {
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => (true, UNKNOWN),
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => (false, UNKNOWN),
        ComponentAlias::Outer { kind, count, index } => {
            let from = open.len().checked_sub(1 + count as usize).map(|level| &open[level]);
            match kind {
                ComponentOuterAliasKind::CoreModule => (true, known(from.map(|from| &from.modules), index)),
                ComponentOuterAliasKind::Component => {
                    (false, known(from.map(|from| &from.components), index))
                }
                _ => return,
            }
        }
        _ => return,
    };
    let Some(innermost) = open.last_mut() else { return };
    if is_module { innermost.modules.push(bytes) } else { innermost.components.push(bytes) }
}

fn known(all: Option<&Vec<u64>>, index: u32) -> u64 {
    all.and_then(|all| all.get(index as usize)).copied().unwrap_or(UNKNOWN)
}

impl Open {
    fn takes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::GlobalSection(globals) => self.takes(GLOBAL_BYTES * u64::from(globals.count())),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) => self.takes(FUNCTION_BYTES),
                        _ => self.takes(GLOBAL_BYTES),
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    if export?.kind == ExternalKind::Func {
                        self.takes(FUNCTION_BYTES);
                    }
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    let count = match element?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    self.takes(FUNCTION_BYTES * u64::from(count));
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.takes(known(Some(&self.modules), module_index));
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.takes(known(Some(&self.components), component_index));
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    match import?.ty {
                        wasmparser::ComponentTypeRef::Module(_) => self.modules.push(UNKNOWN),
                        wasmparser::ComponentTypeRef::Component(_) => self.components.push(UNKNOWN),
                        _ => {}
                    }
                }
            }
            // An export gives a second number to what it exports.
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Module => {
                            self.modules.push(known(Some(&self.modules), export.index));
                        }
                        ComponentExternalKind::Component => {
                            self.components.push(known(Some(&self.components), export.index));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
