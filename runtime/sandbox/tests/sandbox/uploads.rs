//! Uploaded components: the results of their checks, the refusals, and the parts that are kept.

use std::fs;

use stepbox_batch::name::Digest;
use stepbox_sandbox::{ComponentError, World};

use crate::support::{Place, component, tasklet};

#[tokio::test]
async fn a_good_component_says_what_it_is() {
    let place = Place::new();
    let inspected = place.sandbox.inspect(&tasklet("", "", "")).await.unwrap();
    assert_eq!(inspected.world, World::Tasklet);
    let description = inspected.description;
    assert_eq!((description.name.as_str(), description.version.as_str()), ("small", "0.1.0"));
    assert_eq!(description.summary, "does one thing");
    assert_eq!((description.parameters, description.columns_in), (None, None));
    assert!(!description.is_stateless);
}

#[tokio::test]
async fn what_is_refused_says_why_and_leaves_nothing_behind() {
    let place = Place::new();
    let good = tasklet("", "", "");
    let compiled = {
        let engine = wasmtime::Engine::default();
        engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap()
    };
    let mut broken = good.clone();
    let middle = broken.len() / 2;
    broken[middle..middle + 8].fill(0xff);
    let rows: [(&[u8], &str); 7] = [
        (b"", "component-is-empty"),
        (b"(module)", "component-is-text"),
        (b"\0asm\x01\0\0\0", "component-is-core-module"),
        (b"\0asm\x0d\0\x01\0", "component-no-world"),
        (&good[..good.len() - 1], "component-truncated"),
        (&broken, "component-malformed"),
        (&compiled, "component-precompiled"),
    ];
    for (bytes, code) in rows {
        let error = place.sandbox.inspect(bytes).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert_eq!(cached(&place).len(), 0);
}

#[tokio::test]
async fn a_component_that_cannot_describe_itself_is_refused() {
    let place = Place::new();
    // Its start function loops for ever, so that the instantiation does.
    let spins = tasklet("", "(func $spin (loop (br 0))) (start $spin)", "");
    let error = place.sandbox.inspect(&spins).await.unwrap_err();
    assert_eq!(error.code(), "component-describe-failed");
    assert_eq!(error.to_string(), "its `describe` failed: ran longer than 1000 ms");

    let run = "(param i32 i32 i32 i32 i32 i32 i32) (result i32) i32.const 512";
    let text =
        format!(r#"(data (i32.const 133) "0.1  ") (func (export "stepbox:step/task@0.1.0#run") {run})"#);
    let text = component("tasklet", "", &text);
    let error = place.sandbox.inspect(&text).await.unwrap_err();
    assert_eq!(error.code(), "component-bad-description", "{error}");
    assert_eq!(cached(&place).len(), 0, "nothing is kept of what is refused");
}

#[tokio::test]
async fn a_compiled_component_is_found_again() {
    let place = Place::new();
    let bytes = tasklet("", "", "");
    let digest = place.sandbox.inspect(&bytes).await.unwrap().digest;
    let files = cached(&place);
    assert_eq!(files.len(), 1);
    assert!(files[0].ends_with(format!("{digest}.cwasm")));

    let never = || -> Result<Vec<u8>, ComponentError> { panic!("it lies in the cache") };
    let again = Place::in_folder_of(&place);
    again.load(&digest, never).await.unwrap();

    fs::write(&files[0], b"broken").unwrap();
    let again = Place::in_folder_of(&place);
    again.load(&digest, || Ok::<_, ComponentError>(bytes.clone())).await.unwrap();
    assert!(fs::metadata(&files[0]).unwrap().len() > 1000, "it was compiled again");
}

#[tokio::test]
async fn other_bytes_than_those_of_the_digest_are_refused() {
    let place = Place::new();
    let digest = Digest::from_bytes([1; 32]);
    let error = place.sandbox.load(&digest, || Ok(tasklet("", "", ""))).await.unwrap_err();
    let error: ComponentError = error;
    assert_eq!(error.code(), "component-other-digest");
}

pub(crate) fn cached(place: &Place) -> Vec<std::path::PathBuf> {
    let cache = fs::read_dir(place.folder.path().join("cache")).unwrap();
    let engines: Vec<_> = cache.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(engines.len(), 1);
    fs::read_dir(&engines[0]).unwrap().map(|entry| entry.unwrap().path()).collect()
}
