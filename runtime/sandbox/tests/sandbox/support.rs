//! Components of a few instructions, and steps to run them in.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::element::Tasklet;
use stepbox_batch::error::{ElementError, Halt};
use stepbox_batch::execution::ExecutionContext;
use stepbox_batch::findings::Findings;
use stepbox_batch::log::{ExecutionLog, LogLevel};
use stepbox_batch::name::{JobExecutionId, StepName};
use stepbox_batch::run_context::{RunContext, RunInfo};
use stepbox_batch::step_context::StepContext;
use stepbox_sandbox::{
    ComponentError, ComponentSetup, Grants, HttpPolicy, Limits, NetworkPolicy, Program, Sandbox,
    SandboxConfig, ShareLimits, StepSecrets, Usage,
};
use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A sandbox with its cache in a folder of its own, and a working folder beside the cache.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) sandbox: Sandbox,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let cache_dir = folder.path().join("cache");
        let sandbox = Sandbox::new(SandboxConfig { cache_dir, ..SandboxConfig::default() }).unwrap();
        Self { folder, sandbox }
    }

    /// The sandbox of another process with the same cache.
    pub(crate) fn in_folder_of(other: &Self) -> Sandbox {
        let cache_dir = other.folder.path().join("cache");
        Sandbox::new(SandboxConfig { cache_dir, ..SandboxConfig::default() }).unwrap()
    }

    pub(crate) fn setup(&self, limits: Limits) -> ComponentSetup {
        ComponentSetup {
            grants: Grants::none(),
            network: NetworkPolicy { allow_loopback: true, allow_private: false },
            http: HttpPolicy::default(),
            secrets: StepSecrets::default(),
            limits,
            share: self.sandbox.share(ShareLimits::default()),
            usage: Usage::default(),
            options: Some(json!({ "option": 1 })),
            work: self.folder.path().join("work"),
        }
    }

    /// Checks a component and loads it.
    pub(crate) async fn program(&self, bytes: &[u8]) -> Result<Program, ComponentError> {
        let inspected = self.sandbox.inspect(bytes).await?;
        self.sandbox.load(&inspected.digest, || panic!("it was compiled just now")).await
    }

    /// Runs a tasklet to its end.
    pub(crate) async fn run(&self, bytes: &[u8], setup: ComponentSetup, context: &StepContext) -> String {
        let program = self.program(bytes).await.unwrap();
        outcome(program.tasklet(setup).run(context).await)
    }
}

/// How a tasklet ended, on one line.
pub(crate) fn outcome(result: Result<Option<String>, Halt>) -> String {
    match result {
        Ok(None) => "ok".to_owned(),
        Ok(Some(code)) => format!("ok {code}"),
        Err(Halt::Stopped) => "stopped".to_owned(),
        Err(Halt::Failed(ElementError { code, message, .. })) => format!("{code}: {message}"),
    }
}

/// A log that can be read again.
#[derive(Default)]
pub(crate) struct RecordedLog(Mutex<Vec<String>>);

impl RecordedLog {
    pub(crate) fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl ExecutionLog for RecordedLog {
    fn log(&self, level: LogLevel, _: Option<&str>, message: &str) {
        self.0.lock().unwrap().push(format!("{level} {message}"));
    }
}

/// The context of a step in a run without parameters.
pub(crate) fn context(log: Arc<RecordedLog>) -> StepContext {
    context_with(log)
}

/// The same with another kind of log.
pub(crate) fn context_with(log: Arc<dyn ExecutionLog>) -> StepContext {
    let info = RunInfo { id: JobExecutionId(1), job_label: "Job".to_owned(), started_at: Timestamp(0) };
    let run = RunContext::new(info, json!({}), ExecutionContext::default(), log);
    StepContext::new(run, StepName::new("step").unwrap(), false, Findings::default())
}

/// A tasklet of `imports`, functions, and the code of `run`. Without further code it returns `Ok(None)`.
///
/// `run` gets the setup's parameters as `$parameters` and `$length`. Memory is free from 4096 on.
pub(crate) fn tasklet(imports: &str, functions: &str, run: &str) -> Vec<u8> {
    let signature =
        "(param i32 i32) (param $parameters i32) (param $length i32) (param i32 i32 i32) (result i32)";
    let task = format!(
        r#"(func (export "stepbox:step/task@0.1.0#run") {signature}
            (local $n i32)
            {run}
            i32.const 512)"#
    );
    component("tasklet", imports, &format!("{functions} {task}"))
}

/// A component of a world, around functions written as text. It describes itself as `small` 0.1.0.
pub(crate) fn component(world: &str, imports: &str, functions: &str) -> Vec<u8> {
    component_describing(world, imports, functions, "")
}

/// The same, but it runs the code `before` when it is asked to describe itself.
pub(crate) fn component_describing(world: &str, imports: &str, functions: &str, before: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 2)
            ;; name, version, summary; no parameters, grants or columns.
            (data (i32.const 0) "\80\00\00\00\05\00\00\00\85\00\00\00\05\00\00\00\8a\00\00\00\0e\00\00\00")
            (data (i32.const 128) "small0.1.0does one thing")
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $bytes i32) (result i32)
                (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get $bytes))))
            (func (export "stepbox:step/describe@0.1.0#describe") (result i32) {before} i32.const 0)
            {functions})"#
    );
    encoded(&text, world)
}

/// A tasklet that answers questions about forms with the code `describe`, which gets the question's parameters as
/// `$parameters` and `$length`. Without further code its answer is an empty text.
pub(crate) fn describer(imports: &str, functions: &str, describe: &str) -> Vec<u8> {
    let run = r#"(func (export "stepbox:step/task@0.1.0#run") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
        i32.const 512)"#;
    let form = format!(
        r#"(func (export "stepbox:step/form@0.1.0#describe") (param i32 i32) (param $parameters i32)
            (param $length i32) (param i32 i32 i32 i32) (result i32)
            {describe}
            i32.const 640)"#
    );
    component(DESCRIBED, imports, &format!("{functions} {run} {form}"))
}

/// The world of a tasklet that answers questions about forms, as an author would write it.
const DESCRIBED: &str = "described";
const DESCRIBED_WIT: &str = "package test:described;

world described {
    include stepbox:step/tasklet@0.1.0;
    export stepbox:step/form@0.1.0;
}";

/// A component of a module in text form.
fn encoded(text: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1")).unwrap();
    let described = resolve.push_str("described.wit", DESCRIBED_WIT).unwrap();
    let package = if world == DESCRIBED { described } else { package };
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.encode().unwrap_or_else(|error| panic!("{error:?}"))
}
