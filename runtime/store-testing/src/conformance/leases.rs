//! Leases: which worker may write an execution's rows.

use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::{Checkpoint, Fate, Lease, Save, StepExecution, Tracking, Whose};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{JobRepository, RepositoryError};

use crate::sample::*;

pub async fn are_taken_where_nobody_holds_them(store: &dyn JobRepository) {
    with_instance(store).await;
    let rows = [
        (Starting, Hold::Free, "ok"),
        (Starting, Hold::Over, "ok"),
        (Starting, Hold::Held, "is STARTING: another worker has claimed it"),
        (Started, Hold::Held, "is STARTED: a worker has begun it"),
        (Started, Hold::Over, "is STARTED: a worker has begun it"),
        (Stopping, Hold::Over, "is STOPPING: a worker has begun it"),
        (Pausing, Hold::Over, "is PAUSING: a worker has begun it"),
        (Paused, Hold::Free, "ok"),
        (Paused, Hold::Over, "ok"),
        (Paused, Hold::Held, "is PAUSED: another worker has claimed it"),
        (Completed, Hold::Free, "is COMPLETED: it has ended"),
        (Stopped, Hold::Free, "is STOPPED: it has ended"),
        (Failed, Hold::Free, "is FAILED: it has ended"),
        (Abandoned, Hold::Free, "is ABANDONED: it has ended"),
        (Unknown, Hold::Free, "is UNKNOWN: it has ended"),
    ];
    for (status, hold, expected) in rows {
        let (execution, _) = in_status(store, status, hold).await;
        let claimed = store.claim(&tenant(), execution.id, &claim("w-2", NOW), &by(NOW)).await;
        let found = claimed.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(found.ends_with(expected), "{status} {hold:?}: {found}");
        assert_eq!(stored(store, execution.id).await.status, status, "a claim moves no status");
    }
    let error = store.claim(&tenant(), JobExecutionId(999), &claim("w-2", NOW), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no execution `999`");
}

pub async fn a_claim_counts_attempts_and_names_the_worker(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = waiting(store).await.id;
    let first = store.claim(&tenant(), id, &claim("w-1", EARLIER), &by(NOW)).await.unwrap();
    let second = store.claim(&tenant(), id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    assert!(second.token > first.token, "the fencing token grows");
    assert_eq!((&second.tenant, second.id), (&tenant(), id));
    let found = stored(store, id).await;
    assert_eq!((found.worker.as_deref(), found.attempt, found.updated_at), (Some("w-2"), 2, NOW));
}

pub async fn one_of_many_claims_wins(store: &dyn JobRepository) {
    with_instance(store).await;
    let (id, tenant, by) = (waiting(store).await.id, tenant(), by(NOW));
    let claims = ["w-1", "w-2", "w-3", "w-4"].map(|worker| claim(worker, NOW));
    let (a, b, c, d) = tokio::join!(
        store.claim(&tenant, id, &claims[0], &by),
        store.claim(&tenant, id, &claims[1], &by),
        store.claim(&tenant, id, &claims[2], &by),
        store.claim(&tenant, id, &claims[3], &by),
    );
    let mut told = [a, b, c, d].map(told);
    told.sort();
    assert_eq!(told, ["ok", "wrong-status", "wrong-status", "wrong-status"]);
    assert_eq!(stored(store, id).await.attempt, 1);
}

pub async fn a_fenced_worker_cannot_write(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = waiting(store).await.id;
    let old = store.claim(&tenant(), id, &claim("w-1", EARLIER), &by(NOW)).await.unwrap();
    store.save(&old, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    let new = store.claim(&tenant(), id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    let before = stored(store, id).await;

    refuses_everything(store, &old).await;
    let guessed = Lease { token: new.token + 1, ..new.clone() };
    refuses_everything(store, &guessed).await;
    assert_eq!(stored(store, id).await, before, "not a trace of it");
    assert_eq!(store.warnings(&tenant(), id).await.unwrap(), []);

    assert_eq!(told(store.heartbeat(&new, NOW, LEASE_MS).await), "ok");
}

/// Tries every write of a worker.
async fn refuses_everything(store: &dyn JobRepository, lease: &Lease) {
    let mut execution = stored(store, lease.id).await;
    execution.status = Started;
    let save = Save {
        execution: Some(&execution),
        context: Some(&execution.context),
        step: Some(&step()),
        warnings: &[warning("late")],
        is_last: true,
        ..Save::default()
    };
    let id = lease.id;
    let error = store.save(lease, save).await.unwrap_err();
    assert!(matches!(error, RepositoryError::LeaseLost { id: of } if of == id), "{error}");
    let refused = [
        told(store.save(lease, Save::default()).await),
        told(store.save_tracking(lease, 0, Tracking::default(), NOW).await),
        told(store.heartbeat(lease, NOW, LEASE_MS).await),
        told(store.requests(lease).await),
    ];
    assert_eq!(refused, ["lease-lost"; 4]);
}

pub async fn a_slow_worker_may_write_until_somebody_acts(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = in_status(store, Started, Hold::Over).await;
    assert_eq!(told(store.save(&lease, Save::default()).await), "ok");
    assert_eq!(told(store.heartbeat(&lease, NOW.plus_ms(1), LEASE_MS).await), "ok");
    assert_eq!(lost(store, NOW.plus_ms(LEASE_MS)).await, [], "it has caught up");

    let lost = lost(store, NOW.plus_ms(LEASE_MS + 1)).await;
    assert_eq!(lost, [(tenant(), execution.id, Fate::Failed)]);
    refuses_everything(store, &lease).await;
}

pub async fn given_back_is_gone(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = in_status(store, Paused, Hold::Held).await;
    let save = Save { execution: Some(&execution), is_last: true, ..Save::default() };
    store.save(&lease, save).await.unwrap();
    refuses_everything(store, &lease).await;
    let next = store.claim(&tenant(), execution.id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    assert!(next.token > lease.token);
}

/// An execution that is paused for a deployment continues in the next process as if there had been no pause.
pub async fn a_paused_one_is_resumed_as_itself(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let paused = StepExecution { status: Paused, starts: 1, retries: 2, ..step() };
    let checkpoint = Checkpoint { reader: vec![41], rejected: vec![1], ..Checkpoint::default() };
    move_to(store, &lease, &mut execution, Pausing).await;
    execution.status = Paused;
    let save = Save {
        execution: Some(&execution),
        step: Some(&paused),
        checkpoint: Some(&checkpoint),
        is_last: true,
        ..Save::default()
    };
    store.save(&lease, save).await.unwrap();
    refuses_everything(store, &lease).await;
    assert_eq!(lost(store, NOW.plus_ms(9 * LEASE_MS)).await, [], "nobody holds it");

    let next = store.claim(&tenant(), execution.id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    assert_eq!(next.id, execution.id);
    assert!(next.token > lease.token);
    let found = stored(store, execution.id).await;
    assert_eq!((found.status, found.attempt, found.worker.as_deref()), (Paused, 2, Some("w-2")));
    assert_eq!((found.started_at, found.ended_at), (Some(EARLIER), None));
    assert_eq!(found.steps, [StepExecution { checkpoint: Some(checkpoint), ..paused }]);
    let other = store.claim(&tenant(), execution.id, &claim("w-3", NOW), &by(NOW)).await;
    assert_eq!(told(other), "wrong-status");
    move_to(store, &next, &mut execution, Started).await;
    assert_eq!(stored(store, execution.id).await.status, Started);
}

pub async fn a_heartbeat_prolongs_and_tells_of_a_stop(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    assert!(!store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap().stop);
    assert!(!store.requests(&lease).await.unwrap().stop);
    assert_eq!(lost(store, NOW).await, [], "without it, the lease would be over now");

    store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert!(store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap().stop);
    assert!(store.requests(&lease).await.unwrap().stop);
}

pub async fn written_in_the_future_are_cut_once(store: &dyn JobRepository) {
    with_instance(store).await;
    let hour = NOW.plus_ms(3_600_000);
    let (ahead, lease) = in_status(store, Started, Hold::Held).await;
    store.heartbeat(&lease, hour, 15_000).await.unwrap();
    let (right, lease) = in_status(store, Started, Hold::Held).await;
    store.heartbeat(&lease, NOW, 60_000).await.unwrap();
    for _ in 0..2 {
        store.cut_leases(NOW).await.unwrap();
    }
    assert_eq!(lost(store, NOW.plus_ms(14_999)).await, [], "it lasts as long as it did from its heartbeat");
    assert_eq!(lost(store, NOW.plus_ms(15_000)).await, [(tenant(), ahead.id, Fate::Failed)]);
    assert_eq!(lost(store, NOW.plus_ms(60_000)).await, [(tenant(), right.id, Fate::Failed)]);
}

pub async fn of_workers_known_to_live_are_left_alone(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut ids = Vec::new();
    for worker in ["w-1", "w-2", "w-3"] {
        let (execution, _) =
            store.create_execution(&new("nightly"), Some(&claim(worker, EARLIER))).await.unwrap();
        ids.push(execution.id);
    }
    let rescued = async |whose: Whose| {
        let rescued = store.rescue_lost_of(NOW, &whose).await.unwrap();
        rescued.into_iter().map(|rescued| rescued.id).collect::<Vec<_>>()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(rescued(Whose::Only(names(&["w-0"]))).await, []);
    assert_eq!(rescued(Whose::AllBut(names(&["w-1", "w-2"]))).await, [ids[2]]);
    assert_eq!(rescued(Whose::Only(names(&["w-2", "w-3"]))).await, [ids[1]]);
    assert_eq!(rescued(Whose::All).await, [ids[0]]);
}
