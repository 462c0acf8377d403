//! A component that calls one import again and again, with texts of any length, and keeps the results.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, FlatTypes, WasmType};
use wit_parser::{Resolve, Type, TypeDefKind};

use super::imports::{Import, Imports};

/// The address of texts: zeros, which are valid UTF-8 and, in lists of lists, empty lists.
const TEXTS: u32 = 1 << 20;
/// The address of short texts and of answers.
const ANSWER: u32 = 8192;
/// The address of the data that the runtime returns. Each call starts there again.
const FREE: u32 = 16 << 20;
/// The size of a page of memory, in bytes.
const PAGE: u32 = 64 << 10;

/// A recipe for a resource: an instruction that puts its handle on the stack.
type Recipe = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// Recipes by the name of the resource. Each has the imports that it needs; `$` and the import's last word
/// call it.
const RECIPES: &[Recipe] = &[
    (
        "folder",
        &[("wasi:filesystem/preopens", "get-directories")],
        "(call $get-directories (i32.const 8192)) (i32.load (i32.load (i32.const 8192)))",
    ),
    (
        "descriptor",
        &[("wasi:filesystem/types", "[method]descriptor.open-at")],
        "(call $open-at {folder} (i32.const 0) (i32.const 4096) (i32.const 4) (i32.const 1) (i32.const 3)
            (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    (
        "directory-entry-stream",
        &[("wasi:filesystem/types", "[method]descriptor.read-directory")],
        "(call $read-directory {folder} (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    (
        "input-stream",
        &[("wasi:filesystem/types", "[method]descriptor.read-via-stream")],
        "(call $read-via-stream {descriptor} (i64.const 0) (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    (
        "output-stream",
        &[("wasi:filesystem/types", "[method]descriptor.write-via-stream")],
        "(call $write-via-stream {descriptor} (i64.const 0) (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    (
        "pollable",
        &[("wasi:clocks/monotonic-clock", "subscribe-duration")],
        "(call $subscribe-duration (i64.const 0))",
    ),
    ("fields", &[("wasi:http/types", "[constructor]fields")], "(call $fields)"),
    (
        "outgoing-request",
        &[("wasi:http/types", "[constructor]outgoing-request")],
        "(call $outgoing-request {fields})",
    ),
    (
        "outgoing-response",
        &[("wasi:http/types", "[constructor]outgoing-response")],
        "(call $outgoing-response {fields})",
    ),
    (
        "outgoing-body",
        &[("wasi:http/types", "[method]outgoing-request.body")],
        "(call $body {outgoing-request} (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    ("request-options", &[("wasi:http/types", "[constructor]request-options")], "(call $request-options)"),
    (
        "future-incoming-response",
        &[("wasi:http/outgoing-handler", "handle")],
        "(call $handle {outgoing-request} (i32.const 0) (i32.const 0) (i32.const 8192))
            (i32.load offset=8 (i32.const 8192))",
    ),
    (
        "reader",
        &[("stepbox:step/files", "open-reader")],
        "(call $open-reader (i32.const 4104) (i32.const 9) (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    (
        "exchange",
        &[("stepbox:step/http", "[static]exchange.start")],
        "(call $start (i32.const 4120) (i32.const 4) (i32.const 4124) (i32.const 19) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 8192)) (i32.load offset=4 (i32.const 8192))",
    ),
    (
        "writer",
        &[("stepbox:step/files", "open-writer")],
        "(call $open-writer (i32.const 4104) (i32.const 9) (i32.const 1) (i32.const 8192))
            (i32.load offset=4 (i32.const 8192))",
    ),
];

/// How a component calls an import.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls<'a> {
    /// The length of texts and lists.
    pub(crate) length: u32,
    /// How often the import is called.
    pub(crate) times: u32,
    /// The beginning of the texts; zeros follow.
    pub(crate) text: &'a str,
    /// Whether the component logs a message before the call.
    pub(crate) are_announced: bool,
    /// Whether an argument that is a file or a folder gets a folder.
    pub(crate) are_of_folders: bool,
}

impl Default for Calls<'_> {
    fn default() -> Self {
        Self { length: 0, times: 1, text: "", are_announced: false, are_of_folders: false }
    }
}

impl<'a> Calls<'a> {
    /// One call with this text.
    pub(crate) fn with(text: &'a str) -> Self {
        Self { length: text.len() as u32, text, ..Self::default() }
    }
}

/// A component that calls an import.
pub(crate) fn caller(imports: &Imports, import: &Import, calls: &Calls<'_>) -> Vec<u8> {
    let of_descriptors = if calls.are_of_folders { "folder" } else { "descriptor" };
    let mut module =
        Module { imports, of_descriptors, declared: Vec::new(), locals: Vec::new(), setup: String::new() };
    let length = calls.length;
    let target = module.declare(import, "target");
    let mut arguments = Vec::new();
    for param in &import.function.params {
        module.argument(&param.ty, length, &mut arguments);
    }
    let signature = imports.resolve.wasm_signature(AbiVariant::GuestImport, &import.function);
    assert!(!signature.indirect_params, "{}: its parameters lie in memory", import.name());
    if signature.retptr {
        arguments.push(format!("(i32.const {ANSWER})"));
    }
    let drops = "drop ".repeat(signature.results.len());
    if calls.are_announced {
        let log = imports.find("stepbox:step/log", "log");
        module.declare(&log, "announce");
        module.setup.push_str("(call $announce (i32.const 2) (i32.const 4144) (i32.const 5))");
    }
    module.encode(&format!("(call ${target} {}) {drops}", arguments.join(" ")), calls)
}

struct Module<'a> {
    imports: &'a Imports,
    /// The recipe for the resource `descriptor`.
    of_descriptors: &'static str,
    /// The names and the declarations of the imports.
    declared: Vec<(String, String)>,
    /// Resources that are made once, each in a local variable of its name.
    locals: Vec<String>,
    setup: String,
}

impl Module<'_> {
    fn declare(&mut self, import: &Import, name: &str) -> String {
        let signature = self.imports.resolve.wasm_signature(AbiVariant::GuestImport, &import.function);
        let list = |types: &[WasmType]| types.iter().map(|ty| core(*ty)).collect::<Vec<_>>().join(" ");
        let (interface, function) = (&import.interface, &import.function.name);
        let text = format!(
            r#"(import "{interface}" "{function}" (func ${name} (param {}) (result {})))"#,
            list(&signature.params),
            list(&signature.results)
        );
        if !self.declared.iter().any(|(known, _)| known == name) {
            self.declared.push((name.to_owned(), text));
        }
        name.to_owned()
    }

    /// Code that makes a handle of a resource each time it runs. Without a recipe it gives a number that is
    /// not a handle.
    fn make(&mut self, resource: &str) -> String {
        let Some((_, needed, recipe)) = RECIPES.iter().find(|(name, ..)| *name == resource) else {
            return "(i32.const 1)".to_owned();
        };
        for (interface, function) in *needed {
            let import = self.imports.find(interface, function);
            let name = function.rsplit(['.', ']']).next().unwrap();
            self.declare(&import, name);
        }
        let mut text = (*recipe).to_owned();
        while let Some((before, rest)) = text.split_once('{') {
            let (inner, after) = rest.split_once('}').unwrap();
            let inner = inner.to_owned();
            let (before, after) = (before.to_owned(), after.to_owned());
            text = format!("{before}(block (result i32) {}){after}", self.make(&inner));
        }
        format!("(block (result i32) {text})")
    }

    /// Code that gets a handle that is made once.
    fn held(&mut self, resource: &str) -> String {
        if !self.locals.iter().any(|known| known == resource) {
            let make = self.make(resource);
            self.setup.push_str(&format!("(local.set ${resource} {make})"));
            self.locals.push(resource.to_owned());
        }
        format!("(local.get ${resource})")
    }

    /// Adds the values that an argument takes on the stack.
    fn argument(&mut self, ty: &Type, length: u32, values: &mut Vec<String>) {
        if let Some((resource, is_taken)) = self.imports.handle(ty) {
            let resource = if resource == "descriptor" { self.of_descriptors.to_owned() } else { resource };
            values.push(if is_taken { self.make(&resource) } else { self.held(&resource) });
            return;
        }
        let resolve = &self.imports.resolve;
        let Type::Id(id) = ty else {
            match ty {
                Type::String => {
                    values.extend([format!("(i32.const {TEXTS})"), format!("(i32.const {length})")])
                }
                // A number large enough to matter as a length or a time, and small enough to wait for.
                Type::U64 | Type::S64 => values.push("(i64.const 4096)".to_owned()),
                other => zeros(resolve, other, values),
            }
            return;
        };
        match &resolve.types[*id].kind {
            TypeDefKind::List(_) => {
                values.extend([format!("(i32.const {TEXTS})"), format!("(i32.const {length})")]);
            }
            TypeDefKind::Record(record) => {
                for field in &record.fields {
                    self.argument(&field.ty, length, values);
                }
            }
            TypeDefKind::Tuple(tuple) => {
                for ty in &tuple.types {
                    self.argument(ty, length, values);
                }
            }
            TypeDefKind::Option(Type::String) => {
                values.push("(i32.const 1)".to_owned());
                self.argument(&Type::String, length, values);
            }
            TypeDefKind::Type(inner) => self.argument(inner, length, values),
            _ => zeros(resolve, ty, values),
        }
    }

    fn encode(&self, call: &str, calls: &Calls<'_>) -> Vec<u8> {
        let times = calls.times;
        let text: String = calls.text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let imports: String = self.declared.iter().map(|(_, text)| text.as_str()).collect();
        let locals: String = self.locals.iter().map(|name| format!("(local ${name} i32)")).collect();
        let (setup, pages) = (&self.setup, 2 * FREE / PAGE);
        let module = format!(
            r#"(module
                {imports}
                (memory (export "memory") {pages})
                (data (i32.const 0) "\80\00\00\00\06\00\00\00\86\00\00\00\05\00\00\00\8b\00\00\00\01\00\00\00")
                (data (i32.const 128) "caller0.1.0x")
                (data (i32.const 4096) "file") (data (i32.const 4104) "work/file")
                (data (i32.const 4120) "POSThttp://127.0.0.1:9/") (data (i32.const 4144) "ready")
                (data (i32.const {TEXTS}) "{text}")
                (global $free (mut i32) (i32.const {FREE}))
                (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $bytes i32) (result i32)
                    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                    (global.get $free)
                    (global.set $free (i32.add (global.get $free) (local.get $bytes))))
                (func (export "stepbox:step/describe@0.1.0#describe") (result i32) i32.const 0)
                (func (export "stepbox:step/task@0.1.0#run")
                    (param i32 i32 i32 i32 i32 i32 i32) (result i32) (local $left i32) {locals}
                    {setup}
                    (local.set $left (i32.const {times}))
                    (loop $again
                        (global.set $free (i32.const {FREE}))
                        {call}
                        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                        (br_if $again (local.get $left)))
                    i32.const 512))"#
        );
        let mut encoded = wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        let Imports { resolve, world } = self.imports;
        embed_component_metadata(&mut encoded, resolve, *world, StringEncoding::UTF8).unwrap();
        let mut encoder = ComponentEncoder::default().module(&encoded).unwrap();
        encoder.encode().unwrap_or_else(|error| panic!("{error:?}\n{module}"))
    }
}

fn zeros(resolve: &Resolve, ty: &Type, values: &mut Vec<String>) {
    let mut storage = [WasmType::I32; 64];
    let mut flat = FlatTypes::new(&mut storage);
    assert!(resolve.push_flat(ty, &mut flat), "a type with so many values");
    values.extend(flat.to_vec().into_iter().map(|ty| format!("({}.const 0)", core(ty))));
}

fn core(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}
