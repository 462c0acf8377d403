//! Executions whose worker is gone.

use stepbox_batch::execution::{Failure, StepExecution};
use stepbox_batch::name::TenantId;
use stepbox_batch::queue::Fate;
use stepbox_batch::repository::{JobRepository, NewJobExecution, Save};
use stepbox_batch::status::BatchStatus::*;
use stepbox_batch::status::ExitStatus;

use super::sample::*;

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
        "was lost: its last heartbeat was at 2023-11-14T22:13:20Z, its lease ran out at 2023-11-14T22:13:50Z"
    );
    assert!(lost.help.contains(&format!("executions restart {}", execution.id)), "{}", lost.help);
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
