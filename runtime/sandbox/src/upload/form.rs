//! The format of the bytes, checked before they are treated as a component.

use wasmparser::{Parser, Validator};
use wasmtime::Engine;

use crate::compile_cache;
use crate::engine::FEATURES;
use crate::error::ComponentError;

/// The maximum size of a component, in bytes.
///
/// A Python interpreter with its libraries takes about 18 MiB.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;

/// Distinguishes a component from other files that are uploaded by mistake.
pub(super) fn check(bytes: &[u8]) -> Result<(), ComponentError> {
    if bytes.is_empty() {
        return Err(ComponentError::Empty);
    }
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(ComponentError::TooLarge { max: COMPONENT_BYTES_MAX });
    }
    if Engine::detect_precompiled(bytes).is_some() || compile_cache::is_entry(bytes) {
        return Err(ComponentError::Precompiled);
    }
    if Parser::is_component(bytes) {
        return Ok(());
    }
    if Parser::is_core_wasm(bytes) {
        return Err(ComponentError::IsCoreModule);
    }
    if b"\0asm".starts_with(&bytes[..bytes.len().min(4)]) {
        return Err(match bytes.len() {
            ..8 => ComponentError::Truncated { bytes: bytes.len() },
            _ => ComponentError::Malformed { problem: "an unknown version of WebAssembly".to_owned() },
        });
    }
    Err(match std::str::from_utf8(bytes) {
        Ok(text) => ComponentError::IsText { what: kind_of_text(text) },
        Err(_) => ComponentError::IsNotWasm { what: kind_of_binary(bytes) },
    })
}

fn kind_of_text(text: &str) -> &'static str {
    let text = text.trim_start();
    if text.starts_with("(component") || text.starts_with("(module") || text.starts_with(";;") {
        "WebAssembly in its text form"
    } else if text.starts_with('<') {
        "a web page"
    } else {
        "text"
    }
}

fn kind_of_binary(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => "a native program",
        [b'P', b'K', 3, 4, ..] | [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => "an archive",
        _ => "something else",
    }
}

/// Checks that a component is valid, with the proposals that are on here.
pub(super) fn validate(bytes: &[u8]) -> Result<(), ComponentError> {
    let Err(error) = Validator::new_with_features(FEATURES).validate_all(bytes) else { return Ok(()) };
    if error.message().starts_with("unexpected end") {
        return Err(ComponentError::Truncated { bytes: bytes.len() });
    }
    Err(ComponentError::Malformed { problem: format!("{} (at byte {})", error.message(), error.offset()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_component_from_everything_else() {
        let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let rows: [(&[u8], &str); 15] = [
            (b"", "component-is-empty"),
            (b"\0as", "component-truncated"),
            (b"\0asm", "component-truncated"),
            (b"\0asm\x0d\0", "component-truncated"),
            (b"\0asm\x0d\0\x01\0", "fine"),
            (b"\0asm\x01\0\0\0", "component-is-core-module"),
            (b"\0asm\x07\0\x07\0", "component-malformed"),
            (b"(component)", "component-is-text"),
            (b"\n  (module)", "component-is-text"),
            (b"<!doctype html>", "component-is-text"),
            ("Grüße".as_bytes(), "component-is-text"),
            (b"PK\x03\x04\xff\xff", "component-is-not-wasm"),
            (&[0x1f, 0x8b, 8, 0], "component-is-not-wasm"),
            (&[0xff, 0xfe, 0, 0], "component-is-not-wasm"),
            (&elf[..4096], "component-is-not-wasm"),
        ];
        for (bytes, code) in rows {
            let found = check(bytes).map_or_else(|error| error.code(), |()| "fine");
            assert_eq!(found, code, "{:?}", &bytes[..bytes.len().min(20)]);
        }
        let large = vec![0; COMPONENT_BYTES_MAX + 1];
        assert_eq!(check(&large).unwrap_err().code(), "component-too-large");
    }

    #[test]
    fn every_beginning_of_a_component_is_refused() {
        let wat = r#"(component (core module $m (func (export "f") (result i32) i32.const 7))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
        let bytes = wat::parse_str(wat).unwrap();
        assert!(validate(&bytes).is_ok());
        for length in 1..bytes.len() {
            let beginning = &bytes[..length];
            // A prefix that ends between two sections is a smaller component, and is valid.
            let found = check(beginning).and_then(|()| validate(beginning));
            if let Err(error) = found {
                let code = error.code();
                assert!(matches!(code, "component-truncated" | "component-malformed"), "{length}: {code}");
            }
        }
    }
}
