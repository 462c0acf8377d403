//! All imports that a component may have, read from the WIT of the contract and of WASI.

use std::path::PathBuf;
use std::process::Command;

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem};

/// The WASI interfaces that the linker offers. `upload/contract.rs` lists the same.
const WASI: &[&str] = &[
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/types",
    "filesystem/preopens",
    "http/types",
    "http/outgoing-handler",
    "io/error",
    "io/poll",
    "io/streams",
    "random/random",
    "random/insecure",
    "random/insecure-seed",
];

/// The contract and WASI together, and a world that imports everything of both.
pub(crate) struct Imports {
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
}

/// A function that a component may import.
#[derive(Clone)]
pub(crate) struct Import {
    /// The interface, such as `stepbox:step/files@0.1.0`.
    pub(crate) interface: String,
    pub(crate) function: Function,
}

impl Import {
    /// The function's name, such as `files: [method]reader.read`.
    pub(crate) fn name(&self) -> String {
        let interface = self.interface.split('@').next().unwrap();
        format!("{}: {}", interface.trim_start_matches("stepbox:step/"), self.function.name)
    }
}

impl Imports {
    pub(crate) fn read() -> Self {
        let mut resolve = Resolve::default();
        resolve.push_path(wasi_http().join("wit")).unwrap();
        let contract = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1");
        resolve.push_path(contract).unwrap();
        let version = |package: &str| {
            let mut names = resolve.package_names.keys();
            let found = names.find(|name| name.namespace == "wasi" && name.name == package);
            found.unwrap().version.clone().unwrap()
        };
        let imports: String = WASI
            .iter()
            .map(|name| {
                let package = name.split('/').next().unwrap();
                format!("import wasi:{name}@{};\n", version(package))
            })
            .collect();
        let world =
            format!("package test:walk; world walk {{ include stepbox:step/tasklet@0.1.0; {imports} }}");
        let package = resolve.push_str("walk.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("walk")).unwrap();
        Self { resolve, world }
    }

    /// Each function of each interface.
    pub(crate) fn all(&self) -> Vec<Import> {
        let mut all = Vec::new();
        for (key, item) in &self.resolve.worlds[self.world].imports {
            let WorldItem::Interface { id, .. } = item else { continue };
            let interface = self.resolve.name_world_key(key);
            for function in self.resolve.interfaces[*id].functions.values() {
                all.push(Import { interface: interface.clone(), function: function.clone() });
            }
        }
        all
    }

    pub(crate) fn find(&self, interface: &str, function: &str) -> Import {
        let mut all = self.all().into_iter();
        let is_it = |import: &Import| {
            import.interface.split('@').next() == Some(interface) && import.function.name == function
        };
        all.find(is_it).unwrap_or_else(|| panic!("no `{function}` in `{interface}`"))
    }

    /// The resource that a parameter is a handle of, and whether the call takes ownership of it.
    pub(crate) fn handle(&self, ty: &Type) -> Option<(String, bool)> {
        let Type::Id(id) = ty else { return None };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Handle(Handle::Own(resource)) => Some((self.resource(*resource), true)),
            TypeDefKind::Handle(Handle::Borrow(resource)) => Some((self.resource(*resource), false)),
            TypeDefKind::Type(ty) => self.handle(ty),
            _ => None,
        }
    }

    /// The resource's own name, whichever interface it was used through.
    fn resource(&self, id: TypeId) -> String {
        let ty = &self.resolve.types[id];
        match &ty.kind {
            TypeDefKind::Type(Type::Id(origin)) => self.resource(*origin),
            _ => ty.name.clone().unwrap(),
        }
    }

    /// Whether a call passes a text or a list.
    pub(crate) fn hands_over_texts(&self, function: &Function) -> bool {
        function.params.iter().any(|param| self.holds_text(&param.ty))
    }

    fn holds_text(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else { return matches!(ty, Type::String) };
        match &self.resolve.types[*id].kind {
            TypeDefKind::List(_) => true,
            TypeDefKind::Record(record) => record.fields.iter().any(|field| self.holds_text(&field.ty)),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| self.holds_text(ty)),
            TypeDefKind::Option(ty) | TypeDefKind::Type(ty) => self.holds_text(ty),
            _ => false,
        }
    }
}

/// The folder where cargo has the sources of wasmtime's `wasi:http`. Their WIT contains all of WASI 0.2.
fn wasi_http() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // Packages for other platforms are not on this machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--format-version", "1", "--offline", "--manifest-path", manifest]);
    let output = metadata.args(["--filter-platform", &platform]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found = packages.iter().find(|package| package["name"] == "wasmtime-wasi-http").unwrap();
    PathBuf::from(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}
