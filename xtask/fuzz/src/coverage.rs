//! The long version: libFuzzer runs one target, which `STEPBOX_FUZZ_TARGET` names, until it finds something or its
//! time is up. `cargo xtask fuzz` builds and starts it.

#![no_main]

use std::env;
use std::fs;
use std::panic;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use stepbox_fuzz::mutate::{Numbers, change_sections};
use stepbox_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("STEPBOX_FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.name == name);
    *target.unwrap_or_else(|| panic!("STEPBOX_FUZZ_TARGET names no target: `{name}`"))
});

/// A panic that is caught is no finding, such as a library's panic over bad input. libFuzzer's hook would end the
/// process at any panic; without the hook only an uncaught panic does.
static NO_HOOK: LazyLock<()> = LazyLock::new(|| drop(panic::take_hook()));

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    LazyLock::force(&NO_HOOK);
    (TARGET.run)(bytes);
});

// libFuzzer does not know lengths, so this also changes whole sections of bytes that have them.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut numbers = Numbers::new(u64::from(seed));
    if TARGET.name == "upload" && numbers.below(4) != 0 {
        let mut bytes = data[..size].to_vec();
        change_sections(&mut bytes, &mut numbers);
        if bytes.len() <= max_size && bytes != data[..size] {
            data[..bytes.len()].copy_from_slice(&bytes);
            return bytes.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});

/// Writes the generated inputs to the folder where libFuzzer looks for inputs.
fn write_seeds() {
    let Some(folder) = env::var_os("STEPBOX_FUZZ_SEEDS") else { return };
    for (number, seed) in (TARGET.seeds)().iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).expect("the folder is there");
    }
}
