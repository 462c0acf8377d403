//! Tenants on one machine: a resource that one of them has used up is still available to another one.

use std::sync::Arc;
use std::time::Duration;

use stepbox_batch::element::Tasklet;
use stepbox_batch::step_context::StepContext;
use stepbox_sandbox::{ComponentSetup, Limits, Sandbox, SandboxConfig, ShareLimits};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Place, context, outcome, tasklet};

/// `FITS` components of a megabyte each fit into a tenant's memory. The tenant starts `LOOSE` of them.
const FITS: u64 = 8;
const LOOSE: usize = 20;

/// Makes a component take a megabyte in total.
const TAKES: &str = "(if (i32.eq (memory.grow (i32.const 14)) (i32.const -1)) (then unreachable))";
/// A sandbox with many times the memory that one tenant may have.
fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    let cache_dir = folder.path().join("cache");
    let config = SandboxConfig { cache_dir, memory_bytes_max: 8 * FITS << 20, ..SandboxConfig::default() };
    Place { sandbox: Sandbox::new(config).unwrap(), folder }
}

/// The setup of one tenant's components.
fn tenant(place: &Place, max: ShareLimits) -> impl Fn() -> ComponentSetup {
    let share = place.sandbox.share(max);
    let limits = Limits { tasklet_ms_max: 60_000, ..Limits::default() };
    move || ComponentSetup { share: share.clone(), ..place.setup(limits.clone()) }
}

/// Waits until a component has its memory. Components that start at once refuse each other's last part.
async fn holding(context: &StepContext) {
    while context.tracking().processed == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A tenant takes all the memory and all the turns that it can get. Its own quota refuses more at once. The
/// components of another tenant start and end as if the first one were not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_tenant_has_used_up_another_one_has() {
    let place = place();
    let max = ShareLimits { memory_bytes_max: FITS << 20, ..ShareLimits::default() };
    let (hostile, ordinary) = (tenant(&place, max), tenant(&place, max));
    let imports = r#"(import "stepbox:step/execution@0.1.0" "increment-processed-items" (func $increment (param i32)))"#;
    let holds = format!("{TAKES} (call $increment (i32.const 1)) (loop (br 0))");
    let hoards = place.program(&tasklet(imports, "", &holds)).await.unwrap();
    let works = place.program(&tasklet("", "", TAKES)).await.unwrap();
    let contexts: Vec<_> = (0..LOOSE).map(|_| context(Arc::default())).collect();
    let mut loose = JoinSet::new();
    for (started, context) in contexts.iter().enumerate() {
        let (mut tasklet, of_tasklet) = (hoards.tasklet(hostile()), context.clone());
        loose.spawn(async move { outcome(tasklet.run(&of_tasklet).await) });
        if (started as u64) < FITS {
            timeout(Duration::from_secs(60), holding(context)).await.unwrap();
        }
    }
    for _ in 0..LOOSE as u64 - FITS {
        let refused = timeout(Duration::from_secs(60), loose.join_next()).await.unwrap().unwrap().unwrap();
        let expected = format!("all of its tenant together may have {} bytes", FITS << 20);
        assert!(refused.starts_with("step-memory-limit") && refused.contains(&expected), "{refused}");
    }
    for _ in 0..LOOSE {
        assert_eq!(outcome(works.tasklet(ordinary()).run(&context(Arc::default())).await), "ok");
    }
    assert_eq!(loose.len() as u64, FITS, "they still run");
    contexts.iter().for_each(|context| context.run().request_stop());
    while let Some(stopped) = loose.join_next().await {
        assert_eq!(stopped.unwrap(), "stopped");
    }
    assert_eq!(
        outcome(works.tasklet(hostile()).run(&context(Arc::default())).await),
        "ok",
        "it has its part again"
    );
}
