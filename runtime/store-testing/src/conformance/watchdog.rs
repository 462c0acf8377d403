//! Executions whose worker was lost.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{Failure, Fate, JobExecution, Lease, NewJobExecution, Save, StepExecution};
use stepbox_batch::job::{Always, Step, StepFlow};
use stepbox_batch::name::{StepName, TenantId};
use stepbox_batch::ports::JobRepository;
use stepbox_batch::remedy::Remedy;

use crate::sample::*;

pub async fn fails_what_a_lost_worker_left_behind(store: &dyn JobRepository) {
    with_instance(store).await;
    for status in [Starting, Started, Stopping, Pausing, Paused] {
        let (execution, lease) = in_status(store, status, Hold::Over).await;
        let done = StepExecution { status: Completed, ended_at: Some(EARLIER), ..step() };
        let running = StepExecution { position: 1, ..step() };
        for step in [&done, &running] {
            store.save(&lease, Save { step: Some(step), ..Save::default() }).await.unwrap();
        }
        store.request_stop(&tenant(), execution.id, &by(EARLIER)).await.unwrap();

        assert_eq!(lost(store, NOW).await, [(tenant(), execution.id, Fate::Failed)], "{status}");
        let found = stored(store, execution.id).await;
        assert_eq!((found.status, found.ended_at, found.updated_at), (Failed, Some(NOW), NOW), "{status}");
        assert_eq!((found.exit_status.code.as_str(), found.stop_requested), (ExitStatus::FAILED, true));
        assert_eq!(found.steps[0], done, "a step that has ended stays as it is");
        let running = &found.steps[1];
        assert_eq!((running.status, running.ended_at, running.updated_at), (Failed, Some(NOW), NOW));
        assert_eq!((&running.exit_status, &running.failures), (&found.exit_status, &found.failures));

        assert_eq!(lost(store, NOW).await, [], "once is enough");
        assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
    }
}

/// Regression: a step with `always` did not run if the last worker that an execution may lose was lost.
pub async fn what_is_to_run_whatever_happened_runs_once_more(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut job = job("acme", "greet");
    let always = Step { name: StepName::new("unlock").unwrap(), ..job.steps[0].clone() };
    job.steps.push(Step { flow: StepFlow { always: Always::Yes, ..StepFlow::default() }, ..always });
    for (is_to_stop, has_begun_it) in [(false, false), (true, false), (false, true)] {
        let queue = Enqueue { attempts_max: 1, ..Enqueue::at_once(EARLIER) };
        let new = NewJobExecution { job: job.clone(), queue: Some(queue), ..new("nightly") };
        let (execution, _) = store.create_execution(&new, None).await.unwrap();
        let (mut claimed, lease) = taken(store, NOW).await;
        assert_eq!(claimed.id, execution.id);
        move_to(store, &lease, &mut claimed, Started).await;
        let running = step();
        store.save(&lease, Save { step: Some(&running), ..Save::default() }).await.unwrap();
        if has_begun_it {
            let unlocking = StepExecution { position: 1, ..step() };
            store.save(&lease, Save { step: Some(&unlocking), ..Save::default() }).await.unwrap();
        }
        if is_to_stop {
            store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
        }
        let mut now = NOW.plus_ms(LEASE_MS);
        let ends = if is_to_stop { Stopped } else { Failed };
        let name = format!("asked to stop: {is_to_stop}, has begun it: {has_begun_it}");
        if !has_begun_it {
            let fates = [(tenant(), execution.id, Fate::Requeued(now))];
            assert_eq!(lost(store, now).await, fates, "{name}");
            let rests = stored(store, execution.id).await;
            assert_eq!((rests.status, rests.ended_at, rests.stop_requested), (Paused, None, is_to_stop));
            assert_eq!((rests.steps[0].status, rests.steps[0].ended_at), (ends, Some(now)), "{name}");
            assert_eq!(rests.failures.len(), usize::from(!is_to_stop), "{name}");
            assert_eq!(rests.failures, rests.steps[0].failures, "{name}");
            assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
            // It may lose exactly one worker more.
            assert_eq!(taken(store, now).await.0.id, execution.id);
            now = now.plus_ms(LEASE_MS);
        }
        let fate = if is_to_stop { Fate::Stopped } else { Fate::Failed };
        assert_eq!(lost(store, now).await, [(tenant(), execution.id, fate)], "{name}");
        assert_eq!(stored(store, execution.id).await.status, ends, "{name}");
    }
}

async fn taken(store: &dyn JobRepository, now: Timestamp) -> (JobExecution, Lease) {
    let claim = claim("w-1", now);
    let tenants = vec![(tenant(), 100)];
    let wanted = QueueClaim { claim, tenants, filter: QueueFilter::default(), limit: 1 };
    store.claim_next(&wanted).await.unwrap().remove(0).into_parts()
}

pub async fn waits_for_no_lease_of_a_worker_known_to_be_dead(store: &dyn JobRepository) {
    with_instance(store).await;
    let (held, lease) = in_status(store, Started, Hold::Held).await;
    store.expire_leases("another worker", NOW).await.unwrap();
    assert_eq!(lost(store, NOW).await, [], "its worker lives");
    store.expire_leases("w-1", NOW).await.unwrap();
    assert_eq!(lost(store, NOW).await, [(tenant(), held.id, Fate::Failed)]);
    assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
}

pub async fn says_who_was_lost_and_when(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let earlier = Failure {
        code: "earlier".to_owned(),
        culprit: String::new(),
        place: String::new(),
        message: "was there before".to_owned(),
        help: String::new(),
        remedies: Vec::new(),
    };
    execution.failures = vec![earlier.clone()];
    move_to(store, &lease, &mut execution, Started).await;
    store.heartbeat(&lease, NOW, 30_000).await.unwrap();
    store.rescue_lost(NOW.plus_ms(90_000)).await.unwrap();

    let found = stored(store, execution.id).await;
    let [first, lost] = &found.failures[..] else { panic!("{:?}", found.failures) };
    assert_eq!(first, &earlier);
    assert_eq!((lost.code.as_str(), lost.culprit.as_str()), ("worker-lost", "worker `w-1`"));
    assert_eq!(
        lost.message,
        "was lost: its last heartbeat was at 2023-11-14T22:13:20.000Z, its lease ran out at 2023-11-14T22:13:50.000Z"
    );
    assert_eq!(lost.remedies, [Remedy::RestartExecution { execution: execution.id }]);
    assert_eq!(found.exit_status.description, lost.to_string());
}

pub async fn spares_the_living_and_the_ended(store: &dyn JobRepository) {
    with_instance(store).await;
    let rows = [
        (Starting, Hold::Free),
        (Starting, Hold::Held),
        (Started, Hold::Held),
        (Stopping, Hold::Held),
        (Pausing, Hold::Held),
        (Paused, Hold::Free),
        (Completed, Hold::Over),
        (Stopped, Hold::Over),
        (Failed, Hold::Over),
        (Abandoned, Hold::Free),
        (Unknown, Hold::Over),
    ];
    for (status, hold) in rows {
        let (execution, _) = in_status(store, status, hold).await;
        assert_eq!(lost(store, NOW).await, [], "{status} {hold:?}");
        assert_eq!(stored(store, execution.id).await, execution);
    }
}

pub async fn watches_all_tenants(store: &dyn JobRepository) {
    let mut expected = Vec::new();
    for name in ["first", "second"] {
        let tenant = TenantId::new(name).unwrap();
        let mut instance = instance("nightly");
        instance.tenant = tenant.clone();
        store.create_instance(&instance, &by(NOW)).await.unwrap();
        let new = NewJobExecution { tenant: tenant.clone(), ..new("nightly") };
        let (execution, _) = store.create_execution(&new, Some(&claim("w-1", EARLIER))).await.unwrap();
        expected.push((tenant, execution.id, Fate::Failed));
    }
    assert_eq!(lost(store, NOW).await, expected);
}
