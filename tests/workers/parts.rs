//! Workers that run a whole, or parts of it: killed, stopped, and what happens to both.

use std::time::Instant;

use stepbox::PublishOptions;
use stepbox::batch::execution::JobExecution;
use stepbox::batch::execution::status::BatchStatus;
use stepbox::batch::name::JobExecutionId;
use tokio::time::{Duration, sleep};

use super::{Fleet, PATIENCE, Store, WorkerProcess, holder, rows};
use crate::support::ending;

/// Each scenario on both stores.
macro_rules! scenarios {
    ($($name:ident)+) => {$(
        mod $name {
            use super::Store;

            #[tokio::test]
            async fn on_sqlite() {
                super::$name(Store::Sqlite).await;
            }

            #[tokio::test]
            async fn on_postgresql() {
                super::$name(Store::Postgres).await;
            }
        }
    )+};
}

scenarios! {
    the_worker_of_the_whole_is_killed
    a_worker_of_parts_alone_is_killed
    the_worker_of_the_whole_is_stopped_beyond_its_lease
    the_last_attempt_is_lost
    the_worker_is_killed_while_it_is_to_stop
    the_worker_is_killed_while_it_looks_for_borders
    the_worker_is_killed_while_it_puts_the_output_together
}

/// A whole in the queue, and two workers.
struct Scene {
    fleet: Fleet,
    whole: JobExecutionId,
    workers: Vec<WorkerProcess>,
}

impl Scene {
    async fn new(store: Store, options: PublishOptions) -> Self {
        let fleet = Fleet::with(store, "slow_export_in_parts", 2 * rows()).await;
        let workers = vec![fleet.worker(), fleet.worker()];
        // The whole is split while both workers look into the queue.
        fleet.have_begun(workers.len()).await;
        let whole = fleet.publish(options).await;
        Self { fleet, whole, workers }
    }

    async fn parts(&self) -> Vec<JobExecution> {
        self.fleet.installation.tenant.partitions(self.whole).await.expect("they are listed")
    }

    async fn attempts_of_parts(&self) -> Vec<u32> {
        self.parts().await.iter().map(|part| part.attempt).collect()
    }

    /// Waits until whole and parts are in the state that a scenario needs. Returns the whole.
    async fn wait_until(
        &self,
        what: &str,
        is_so: impl Fn(&JobExecution, &[JobExecution]) -> bool,
    ) -> JobExecution {
        let began_at = Instant::now();
        loop {
            let (whole, parts) = (self.fleet.execution(self.whole).await, self.parts().await);
            if is_so(&whole, &parts) {
                return whole;
            }
            assert!(whole.ended_at.is_none(), "it ended before it was {what}: {whole:?}");
            assert!(began_at.elapsed() < PATIENCE, "never {what}: {whole:?} {parts:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until both workers run parts and have made checkpoints.
    async fn under_way(&self) -> JobExecution {
        let has_parts_of_it = |worker: &WorkerProcess, parts: &[JobExecution]| {
            let is_at = |part: &&JobExecution| part.status == BatchStatus::Started && worker.holds(part);
            parts.iter().filter(is_at).any(|part| part.steps[0].counts.written > 0)
        };
        self.wait_until("at parts", |_, parts| {
            self.workers.iter().all(|worker| has_parts_of_it(worker, parts))
        })
        .await
    }

    /// Kills the worker that runs the whole, and starts another one.
    async fn kill_its_worker(&mut self) {
        let whole = self.fleet.execution(self.whole).await;
        holder(&whole, &mut self.workers).kill();
        self.workers.push(self.fleet.worker());
    }

    /// Waits for the end of a run whose parts have all ended, and compares it with an undisturbed run.
    async fn check_completed(&self) -> JobExecution {
        let whole = self.fleet.check_completed(self.whole).await;
        for part in self.parts().await {
            assert_eq!(part.status, BatchStatus::Completed, "{part:?}");
        }
        whole
    }

    /// Waits for a bad end of the whole and for the end of its parts. The restart ends as if nothing had happened.
    async fn check_ended_and_restart(mut self, expected: &str) {
        let has_ended = |execution: &JobExecution| execution.ended_at.is_some();
        let whole = self.fleet.wait_until(self.whole, "ended", has_ended).await;
        let told = ending(&whole);
        assert!(told.starts_with(expected), "{told}");
        let began_at = Instant::now();
        while !self.parts().await.iter().all(has_ended) {
            assert!(began_at.elapsed() < PATIENCE, "its parts never end: {:?}", self.parts().await);
            sleep(Duration::from_millis(2)).await;
        }
        let tenant = &self.fleet.installation.tenant;
        assert_eq!(tenant.queue_entry(self.whole).await.expect("the store answers"), None);
        let published = tenant.publish_restart(self.whole, &Default::default(), None).await;
        self.whole = published.expect("it can be restarted").id();
        self.check_completed().await;
    }
}

async fn the_worker_of_the_whole_is_killed(store: Store) {
    let mut scene = Scene::new(store, PublishOptions::default()).await;
    scene.under_way().await;
    scene.kill_its_worker().await;
    let whole = scene.check_completed().await;
    assert!(whole.attempt > 1, "it was lost");
}

async fn a_worker_of_parts_alone_is_killed(store: Store) {
    let mut scene = Scene::new(store, PublishOptions::default()).await;
    let whole = scene.under_way().await;
    let of_whole = holder(&whole, &mut scene.workers);
    scene.workers.remove(0).kill();
    scene.workers = vec![of_whole, scene.fleet.worker()];
    scene.check_completed().await;
    assert!(scene.parts().await.iter().any(|part| part.attempt > 1), "a part was");
}

async fn the_worker_of_the_whole_is_stopped_beyond_its_lease(store: Store) {
    let mut scene = Scene::new(store, PublishOptions::default()).await;
    let whole = scene.under_way().await;
    let stopped = holder(&whole, &mut scene.workers);
    scene.fleet.suspend(&stopped).await;
    scene.wait_until("resumed", |whole, _| whole.attempt > 1).await;
    stopped.signal("CONT");
    scene.check_completed().await;
    stopped.signal("TERM");
    assert_eq!(stopped.ended(), Some(0), "it ends in good order");
    scene.check_completed().await;
}

async fn the_last_attempt_is_lost(store: Store) {
    let mut scene = Scene::new(store, PublishOptions { attempts_max: 1, ..Default::default() }).await;
    scene.under_way().await;
    scene.kill_its_worker().await;
    scene.check_ended_and_restart("FAILED [worker-lost] worker `").await;
}

async fn the_worker_is_killed_while_it_is_to_stop(store: Store) {
    let mut scene = Scene::new(store, PublishOptions::default()).await;
    let whole = scene.under_way().await;
    let its_worker = holder(&whole, &mut scene.workers);
    // It can no longer react to the request.
    scene.fleet.suspend(&its_worker).await;
    scene.fleet.installation.tenant.stop_execution(scene.whole).await.expect("it runs");
    its_worker.kill();
    scene.workers.push(scene.fleet.worker());
    scene.check_ended_and_restart("STOPPED").await;
}

async fn the_worker_is_killed_while_it_looks_for_borders(store: Store) {
    let mut scene = Scene::new(store, PublishOptions::default()).await;
    scene.wait_until("begun", |whole, _| whole.status == BatchStatus::Started).await;
    scene.kill_its_worker().await;
    let whole = scene.check_completed().await;
    assert!(whole.attempt > 1, "it was lost");
    assert_eq!(scene.parts().await.len(), 4, "it is split once");
}

async fn the_worker_is_killed_while_it_puts_the_output_together(store: Store) {
    let mut scene = Scene::new(store, PublishOptions::default()).await;
    let are_done = |parts: &[JobExecution]| {
        parts.len() == 4 && parts.iter().all(|part| part.status == BatchStatus::Completed)
    };
    scene.wait_until("left by its parts", |_, parts| are_done(parts)).await;
    let attempts = scene.attempts_of_parts().await;
    scene.kill_its_worker().await;
    scene.check_completed().await;
    assert_eq!(scene.attempts_of_parts().await, attempts, "no part runs again");
}
