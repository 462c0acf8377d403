//! Uploaded bytes: refused with the name of the defect, or a component of one of the five worlds.
//!
//! Each input passes everything up to compiling. The accepted ones are compiled and called for their `describe` only
//! now and then, since that costs a thousand times as much.

use std::sync::LazyLock;

use stepbox_sandbox::{ComponentError, Sandbox, SandboxConfig, fuzzing};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, SourceMap};

/// One in this many of the accepted components is compiled.
const COMPILED_OF: u64 = 256;
/// Larger components are never compiled.
const COMPILED_BYTES_MAX: usize = 64 << 10;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(Inspector::start);

struct Inspector {
    sandbox: Sandbox,
    runtime: tokio::runtime::Runtime,
    _cache: tempfile::TempDir,
}

impl Inspector {
    fn start() -> Self {
        let cache = tempfile::tempdir().expect("there is room");
        let config = SandboxConfig { cache_dir: cache.path().join("cache"), ..SandboxConfig::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            sandbox: Sandbox::new(config).expect("the sandbox starts"),
            runtime: runtime.expect("a runtime needs little"),
            _cache: cache,
        }
    }

    fn inspect(&self, bytes: &[u8]) -> Result<(), ComponentError> {
        self.runtime.block_on(self.sandbox.inspect(bytes)).map(drop)
    }
}

/// Takes any bytes.
pub fn run(bytes: &[u8]) {
    match fuzzing::look(bytes) {
        Err(error) => check(&error, bytes),
        Ok(_) if bytes.len() <= COMPILED_BYTES_MAX && hash(bytes).is_multiple_of(COMPILED_OF) => {
            if let Err(error) = INSPECTOR.inspect(bytes) {
                check(&error, bytes);
            }
        }
        Ok(_) => {}
    }
}

fn check(error: &ComponentError, bytes: &[u8]) {
    assert!(error.code().starts_with("component-"), "{error}");
    assert!(error.to_string().len() <= 4096 + 2 * bytes.len(), "a message larger than the component");
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A component of each world, which does nothing.
pub fn seeds() -> Vec<Vec<u8>> {
    ["item-reader", "partitioned-item-reader", "item-processor", "item-writer", "tasklet", "step"]
        .map(component)
        .to_vec()
}

fn component(world: &str) -> Vec<u8> {
    let sources = [
        ("types.wit", include_str!("../../../../wit/0.1/types.wit")),
        ("execution.wit", include_str!("../../../../wit/0.1/execution.wit")),
        ("files.wit", include_str!("../../../../wit/0.1/files.wit")),
        ("http.wit", include_str!("../../../../wit/0.1/http.wit")),
        ("worlds.wit", include_str!("../../../../wit/0.1/worlds.wit")),
    ];
    let (mut map, mut resolve) = (SourceMap::new(), Resolve::default());
    sources.iter().for_each(|(name, text)| map.push(name.as_ref(), *text));
    let group = map.parse().unwrap_or_else(|(_, error)| panic!("`wit/0.1` can be read: {error}"));
    let package = resolve.push_group(group).expect("`wit/0.1` is whole");
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it fits");
    let encoder = ComponentEncoder::default().module(&module).expect("the module is one");
    encoder.validate(false).encode().expect("it becomes a component")
}
