//! Components that are expensive to compile, and what they cost others. The pace of steps is printed: `cargo
//! test -p stepbox-sandbox pace -- --nocapture`.

#![expect(clippy::print_stdout, reason = "the figures are for whoever asks with `--nocapture`")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stepbox_batch::element::{ItemProcessor, Opening};
use stepbox_batch::remedy::Remedy;
use stepbox_batch::rows::Rows;
use stepbox_sandbox::{CompileProcess, Compiler, ComponentError, Limits, Sandbox, SandboxConfig};
use wasm_encoder::{CodeSection, ComponentSection, Function, FunctionSection, Module, ModuleSection};
use wasm_encoder::{TypeSection, ValType};

use crate::components::echo;
use crate::support::{Place, context, tasklet};
use crate::uploads::cached;

/// The size of the worst component that the checks before compiling accept, in MiB.
const BOMB: usize = 31;

/// A place whose compiler is a process with a name of its own, so that other tests' processes are not
/// counted.
fn place(name: &str, change: impl FnOnce(&mut CompileProcess)) -> Place {
    let place = Place::new();
    let program = place.folder.path().join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stepbox-compile"), &program).unwrap();
    let mut process = CompileProcess::new(program, []);
    change(&mut process);
    let cache_dir = place.folder.path().join("cache");
    let compiler = Compiler::Process(process);
    let config =
        SandboxConfig { cache_dir, compiler, compiles_in_parallel: false, ..SandboxConfig::default() };
    Place { sandbox: Sandbox::new(config).unwrap(), ..place }
}

/// A tasklet with an unused module that takes minutes to compile. Its functions have nested loops. Each loop
/// checks whether it must end, and all loops change all variables.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut bytes = tasklet("", "", "");
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    let body = worst_function();
    for _ in 0..mebibytes {
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    ModuleSection(&module).append_to_component(&mut bytes);
    bytes
}

/// A function of a little less than 1 MiB of code.
fn worst_function() -> Function {
    const VARIABLES: u32 = 100;
    const DEPTH: u32 = 200;
    let mut function = Function::new([(VARIABLES, ValType::I32)]);
    while function.byte_len() < (1 << 20) - 8192 {
        let mut instructions = function.instructions();
        for depth in 0..DEPTH {
            let (one, other) = (depth % VARIABLES, (depth * 7 + 3) % VARIABLES);
            instructions.loop_(wasm_encoder::BlockType::Empty);
            instructions.local_get(one).local_get(other).i32_add().local_set(one);
        }
        for depth in 0..DEPTH {
            instructions.local_get(depth % VARIABLES).br_if(0).end();
        }
    }
    function.instructions().end();
    function
}

/// The children of this process that have this name, including those that have ended and are not waited for
/// yet.
fn children(name: &str) -> Vec<Pid> {
    let ours = format!("({name}) ");
    let parent = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, facts) = stat.split_once(&ours)?;
        (facts.split(' ').nth(1) == Some(&parent)).then_some(process)
    });
    processes.filter_map(Pid::from_raw).collect()
}

/// How long a test waits for an event that is sure to come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The niceness of a process; `None` if the process is gone.
fn niceness(process: &str) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The fields after the name start with the third.
    stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
}

/// Waits until the process of that name has applied its limits. The last one is its priority: its niceness is
/// 10 above ours, or the maximum of 19.
async fn bound(name: &str) -> Pid {
    let expected = (niceness("self").unwrap() + 10).min(19);
    let began_at = Instant::now();
    let mut seen = Vec::new();
    while began_at.elapsed() < PATIENCE {
        tokio::task::yield_now().await;
        seen = children(name);
        let is_bound = |process: &&Pid| niceness(&process.as_raw_nonzero().to_string()) == Some(expected);
        if let Some(process) = seen.iter().find(is_bound) {
            return *process;
        }
    }
    panic!("no `{name}` came to a niceness of {expected}; there are {seen:?}");
}

#[tokio::test]
async fn a_component_that_takes_minutes_is_refused_at_the_time_limit() {
    let place = place("takes-minutes", |process| process.time_ms_max = 1000);
    let bytes = bomb(BOMB);
    assert!(bytes.len() <= 32 << 20, "{} bytes", bytes.len());
    let began_at = Instant::now();
    let error = place.sandbox.inspect(&bytes).await.unwrap_err();
    let took = began_at.elapsed();
    assert_eq!(error.code(), "compile-limit", "{error}");
    // Depending on the machine's load, either 1 s of computing or 1.5 s on the clock comes first.
    assert!(error.to_string().starts_with("compiling it takes longer than 1"), "{error}");
    assert!(error.help().contains("time_ms_max"), "{}", error.help());
    // The checks of so many bytes take some time as well, more on a busy machine. Compiling them would take
    // minutes, even on an idle machine.
    assert!(took < 2 * PATIENCE, "{took:?}");
    assert_eq!(children("takes-minutes"), [], "the process is gone");
    assert_eq!(cached(&place).len(), 0);
}

#[tokio::test]
async fn a_component_that_takes_gigabytes_is_refused_at_the_memory_limit() {
    let place = place("takes-memory", |process| {
        process.memory_bytes_max = 96 << 20;
        // The limit must not be reached on the way.
        process.time_ms_max = 600_000;
    });
    let error = place.sandbox.inspect(&bomb(2)).await.unwrap_err();
    assert_eq!(error.code(), "compile-limit", "{error}");
    assert_eq!(error.to_string(), "compiling it takes more than 96 MiB of memory");
    let raised = Remedy::RaiseCompileLimit { limit: "memory_bytes_max".to_owned() };
    assert_eq!(error.remedies(), [raised]);
    assert_eq!(children("takes-memory"), []);
    assert_eq!(cached(&place).len(), 0);
}

#[tokio::test]
async fn the_process_is_bound_and_its_end_from_outside_is_told() {
    let place = place("is-killed", |_| {});
    let bytes = bomb(1);
    let kill = async {
        let process = bound("is-killed").await;
        let limits = fs::read_to_string(format!("/proc/{}/limits", process.as_raw_nonzero())).unwrap();
        kill_process(process, Signal::KILL).unwrap();
        limits
    };
    let (inspected, limits) = tokio::join!(place.sandbox.inspect(&bytes), kill);
    let error = inspected.unwrap_err();
    assert_eq!(error.code(), "compiler-lost");
    assert_eq!(error.to_string(), "the process that compiles it was killed by signal 9");
    assert_eq!(children("is-killed"), []);
    for (limit, value) in [
        ("Max data size", "1073741824"),
        ("Max cpu time", "20"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max open files", "16"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(line[limit.len()..].split_whitespace().next(), Some(value), "{line}");
    }
}

#[tokio::test]
async fn a_compilation_that_nobody_waits_for_is_ended() {
    let place = place("is-dropped", |_| {});
    let bytes = bomb(1);
    tokio::select! {
        inspected = place.sandbox.inspect(&bytes) => panic!("{inspected:?}"),
        _ = bound("is-dropped") => {}
    }
    let gone = async {
        while !children("is-dropped").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is killed, and asked for");
    place.sandbox.inspect(&tasklet("", "", "")).await.expect("the next one has its turn");
}

#[tokio::test]
async fn a_process_gets_nothing_of_ours_and_is_not_believed_blindly() {
    let with = |script: &str| {
        let process = CompileProcess::new("/bin/sh", ["-c".into(), script.into()]);
        let place = Place::new();
        let cache_dir = place.folder.path().join("other");
        let config = SandboxConfig { cache_dir, compiler: Compiler::Process(process), ..Default::default() };
        Place { sandbox: Sandbox::new(config).unwrap(), ..place }
    };
    let refusal = |place: Place| async move {
        let error = place.sandbox.inspect(&tasklet("", "", "")).await.unwrap_err();
        (error.code(), error.to_string())
    };
    let (code, text) = refusal(with("echo $(env) >&2; exit 3")).await;
    assert_eq!(code, "compiler-lost");
    assert!(text.contains("ended with exit status: 3: "), "{text}");
    assert!(text.contains("STEPBOX_COMPILE_MEMORY_BYTES=1073741824"), "{text}");
    assert!(!text.contains("CARGO") && !text.contains("HOME"), "{text}");

    let (code, _) = refusal(with(r"cat > /dev/null & printf '\0no code'")).await;
    assert_eq!(code, "component-does-not-compile");

    let gone: Result<_, ComponentError> = {
        let compiler = Compiler::Process(CompileProcess::new("/no/such/program", []));
        let place = Place::new();
        let config =
            SandboxConfig { cache_dir: place.folder.path().join("c"), compiler, ..Default::default() };
        Sandbox::new(config).unwrap().inspect(&tasklet("", "", "")).await
    };
    let error = gone.unwrap_err();
    assert_eq!(error.code(), "compiler-lost");
    assert!(error.to_string().starts_with("the process that compiles it does not start: "), "{error}");
}

#[test]
fn the_process_ends_with_whoever_asked() {
    let bytes = bomb(1);
    let mut process = Command::new(env!("CARGO_BIN_EXE_stepbox-compile"))
        .env_clear()
        .env("STEPBOX_COMPILE_MEMORY_BYTES", "1073741824")
        .env("STEPBOX_COMPILE_CPU_SECONDS", "30")
        .env("STEPBOX_COMPILE_PARALLEL", "false")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(&(bytes.len() as u64).to_le_bytes()).unwrap();
    input.write_all(&bytes).unwrap();
    // The operating system closes the pipe in the same way if the program is killed.
    drop(input);
    assert_eq!(process.wait().unwrap().code(), Some(2), "it did not compute until its limit");
}

#[tokio::test]
async fn both_compilers_make_the_same() {
    let (process, here) = (place("makes-the-same", |_| {}), Place::new());
    let bytes = tasklet("", "", "");
    let inspected = process.sandbox.inspect(&bytes).await.unwrap();
    assert_eq!(inspected, here.sandbox.inspect(&bytes).await.unwrap());
    // The code comes after 32 bytes, with which the place's key vouches for it.
    let entry = |place: &Place| match &cached(place)[..] {
        [path] => (path.file_name().unwrap().to_owned(), fs::read(path).unwrap().split_off(32)),
        other => panic!("{other:?}"),
    };
    assert!(entry(&process) == entry(&here), "the same code in the cache");
    assert_eq!(children("makes-the-same"), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_keep_their_pace_while_a_component_is_compiled() {
    let place = place("is-slow", |process| process.time_ms_max = 3000);
    let program = place.program(&echo()).await.unwrap();
    let mut processor = program.processor(place.setup(Limits::default()));
    let context = context(Arc::default());
    let header = ["column".to_owned()];
    processor
        .open(Opening { header: &header, state: None, context: &context, fragment: None })
        .await
        .unwrap();
    let mut rows = Rows::new(1);
    rows.push("cell");
    let mut output = Rows::new(1);

    let mut pace = async |is_over: &dyn Fn(Duration) -> bool| {
        let (began_at, mut calls) = (Instant::now(), 0_u32);
        while !is_over(began_at.elapsed()) {
            processor.process(&rows, &mut output).await.unwrap();
            calls += 1;
            tokio::task::yield_now().await;
        }
        f64::from(calls) / began_at.elapsed().as_secs_f64()
    };
    // Other work on the machine comes and goes, before or during a compilation. A compilation that took the
    // steps' time would slow them down every time.
    let mut told = Vec::new();
    for _ in 0..5 {
        let before = pace(&|elapsed| elapsed >= Duration::from_millis(1000)).await;
        let (sandbox, bytes) = (place.sandbox.clone(), bomb(4));
        let compiling = tokio::spawn(async move { sandbox.inspect(&bytes).await });
        bound("is-slow").await;
        let during = pace(&|_| compiling.is_finished()).await;
        assert_eq!(compiling.await.unwrap().unwrap_err().code(), "compile-limit");
        told.push(format!("{before:.0} calls a second before, {during:.0} while a component is compiled"));
        if during > before / 4.0 {
            println!("{}", told.join("\n"));
            return;
        }
    }
    panic!("{}", told.join("\n"));
}
