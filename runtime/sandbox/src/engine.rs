//! wasmtime, configured once: what the engine compiles, what it refuses, and the ticker that interrupts
//! components.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use wasmparser::WasmFeatures;
use wasmtime::{Config, Engine};

/// The time between two ticks. At each tick a running component lets others run, and ends if it must.
const TICK: Duration = Duration::from_millis(10);
/// The maximum size of a component's stack, in bytes. It limits how deep a component may recurse.
const STACK_BYTES_MAX: usize = 512 << 10;
/// The size of the stack under an async call, in bytes: the component's stack and what the host needs on top
/// of it.
const ASYNC_STACK_BYTES: usize = 2 << 20;

/// The number of stack frames that are recorded when a component traps. With this many frames, it was
/// recursing.
pub(crate) const FRAMES_MAX: usize = 256;

/// The features that a component may use: WebAssembly 2.0, what compilers emit by default, and component
/// model 0.2. Everything else is off, because steps do not need it: threads and shared memory, memory64,
/// multi-memory, GC, typed function references, exceptions, tail calls, relaxed SIMD, stack switching, custom
/// page sizes, wide arithmetic. Of the component model these are off: async, threads, error contexts, GC,
/// maps, 64-bit memories, fixed-length lists.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES);

/// The features of the engine. For components that consist of other components, such as those made from
/// JavaScript, the engine generates modules that copy from one memory to another. So it needs multi-memory. A
/// component that brings such a module itself is refused at upload.
const ENGINE_FEATURES: WasmFeatures = FEATURES.union(WasmFeatures::MULTI_MEMORY);

pub(crate) fn engine(is_parallel: bool) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(ENGINE_FEATURES), false)
        .wasm_features(ENGINE_FEATURES, true)
        // Only WASI 0.3 needs it, and without it each call costs half as much.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .async_stack_size(ASYNC_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES_MAX))
        .parallel_compilation(is_parallel);
    Engine::new(&config)
}

/// The thread that interrupts components. Without it no time limit works. So the thread starts its loop again
/// after a panic, and it ends when its owner is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    last: Arc<LastTick>,
    _ends_when_dropped: Sender<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (sender, end) = mpsc::channel::<()>();
        let engine = engine.weak();
        let last = Arc::new(LastTick::at(Instant::now()));
        let ticked = last.clone();
        let beat = move || {
            while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(TICK) {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
                ticked.is_now(Instant::now());
            }
        };
        thread::Builder::new().name("stepbox-ticker".to_owned()).spawn(move || supervise(beat))?;
        Ok(Self { last, _ends_when_dropped: sender })
    }

    /// How long ago the last tick was, in milliseconds.
    pub(crate) fn silent_ms(&self) -> u64 {
        self.last.ms_before(Instant::now())
    }
}

/// Runs `work` again after each panic, until it returns.
fn supervise(mut work: impl FnMut()) {
    while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {}
}

/// The time of the engine's last tick, readable from other threads.
#[derive(Debug)]
struct LastTick {
    began_at: Instant,
    /// Milliseconds from `began_at` to the last tick.
    ms: AtomicU64,
}

impl LastTick {
    fn at(now: Instant) -> Self {
        Self { began_at: now, ms: AtomicU64::new(0) }
    }

    fn is_now(&self, now: Instant) {
        self.ms.store(self.ms_since_beginning(now), Ordering::Relaxed);
    }

    fn ms_before(&self, now: Instant) -> u64 {
        self.ms_since_beginning(now).saturating_sub(self.ms.load(Ordering::Relaxed))
    }

    fn ms_since_beginning(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began_at).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wat: &str, expected: &str) {
        let bytes = wat::parse_str(wat).expect(wat);
        let found = match wasmparser::Validator::new_with_features(FEATURES).validate_all(&bytes) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.message().to_owned(),
        };
        assert!(found.contains(expected), "{wat}: {found}");
        let is_ours_alone = expected == "multiple memories";
        let component = format!("(component (core module {}", wat.trim_start_matches("(module "));
        let bytes = wat::parse_str(format!("{component})")).expect(wat);
        let compiled = wasmtime::component::Component::from_binary(&engine(false).unwrap(), &bytes);
        assert_eq!(compiled.is_ok(), expected == "fine" || is_ours_alone, "{wat}: {:?}", compiled.err());
    }

    /// A component inside a component: the engine generates an adapter between their memories.
    #[test]
    fn takes_components_that_are_composed_of_others() {
        let module = r#"(core module $m (memory (export "m") 1)
            (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))"#;
        let lift = r#"(func (export "f") (param "s" string)
            (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "r"))))"#;
        let lower = r#"(core func $f (canon lower (func $f) (memory (core memory $i "m")) (realloc (core func $i "r"))))
            (core module $n (import "" "f" (func (param i32 i32))))
            (core instance (instantiate $n (with "" (instance (export "f" (func $f))))))"#;
        let wat = format!(
            r#"(component
                (component $a {module} {lift})
                (component $b (import "f" (func $f (param "s" string))) {module} {lower})
                (instance $a (instantiate $a))
                (instance (instantiate $b (with "f" (func $a "f")))))"#
        );
        let bytes = wat::parse_str(wat).unwrap();
        wasmparser::Validator::new_with_features(FEATURES).validate_all(&bytes).unwrap();
        wasmtime::component::Component::from_binary(&engine(false).unwrap(), &bytes).unwrap();
    }

    #[test]
    fn takes_what_compilers_emit_and_refuses_each_exotic_proposal() {
        check("(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))", "fine");
        check("(module (func (result i32 i32) (i32.const 1) (i32.const 2)))", "fine");
        check("(module (func (result v128) (v128.const i64x2 0 0)))", "fine");
        check("(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))", "fine");
        check("(module (func (result i32) (i32.trunc_sat_f32_s (f32.const 1))))", "fine");
        check("(module (global i32 (i32.add (i32.const 1) (i32.const 2))))", "fine");
        check("(module (memory 1 1 shared))", "threads");
        check("(module (memory i64 1))", "memory64");
        check("(module (memory 1) (memory 1))", "multiple memories");
        check("(module (type (struct)))", "gc");
        check("(module (func (param (ref func))))", "function references");
        check("(module (table 1 externref))", "gc types");
        check("(module (tag))", "exceptions");
        check("(module (func $f (return_call $f)))", "tail calls");
        check(
            "(module (func (result v128) (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
            "relaxed SIMD",
        );
        check("(module (memory 1 (pagesize 1)))", "custom page sizes");
        check(
            "(module (func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))",
            "wide arithmetic",
        );
    }

    #[test]
    fn refuses_each_exotic_proposal_of_the_component_model() {
        let rows = [
            ("(component (type (list u8)))", "fine"),
            ("(component (type (stream u8)))", "async"),
            ("(component (type (future u8)))", "async"),
            ("(component (core func (canon context.get i32 0)))", "async"),
            ("(component (core func (canon thread.yield)))", "async"),
            ("(component (type error-context))", "error-context"),
            ("(component (type (list u8 4)))", "fixed-length lists"),
            ("(component (type (map u8 u8)))", "map"),
        ];
        for (wat, expected) in rows {
            let bytes = wat::parse_str(wat).expect(wat);
            let found = match wasmparser::Validator::new_with_features(FEATURES).validate_all(&bytes) {
                Ok(_) => "fine".to_owned(),
                Err(error) => error.message().to_owned(),
            };
            assert!(found.contains(expected), "{wat}: {found}");
        }
    }

    #[test]
    fn the_beat_goes_on_and_ends_with_its_owner() {
        let engine = engine(false).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        store.set_epoch_deadline(2);
        let wat = "(module (func (export \"f\") (loop (br 0))))";
        let module = wasmtime::Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let spin = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let error = spin.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::Interrupt));
        assert_ne!(ticker.last.ms.load(Ordering::Relaxed), 0, "it knows that it ticked");
        drop(ticker);
    }

    #[test]
    fn a_beat_that_breaks_off_is_begun_again() {
        let mut begun = 0;
        supervise(|| {
            begun += 1;
            assert!(begun >= 3, "breaks off");
        });
        assert_eq!(begun, 3);
    }

    #[test]
    fn tells_how_long_it_has_been_silent() {
        let now = Instant::now();
        let last = LastTick::at(now);
        let later = |ms| now + Duration::from_millis(ms);
        assert_eq!(last.ms_before(later(70)), 70, "it never ticked");
        last.is_now(later(100));
        assert_eq!((last.ms_before(later(100)), last.ms_before(later(5100))), (0, 5000));
        assert_eq!(last.ms_before(now), 0, "asked before, answered after");
    }
}
