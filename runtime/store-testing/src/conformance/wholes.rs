//! Executions in parts whose workers are lost: a whole and its parts end together, in whatever order they are
//! found.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox_batch::execution::status::BatchStatus::{self, *};
use stepbox_batch::execution::{Claimed, ExecutionFilter, Fate, JobExecution, Lease, NewJobExecution, Save};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::JobRepository;

use super::queue::{create_parts, publish, queued};
use crate::sample::*;

/// The state of a whole when its worker is lost.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// In the queue; it may lose more workers.
    Queued,
    /// In the queue, and a stop was requested.
    Stopping,
    /// In the queue, and this worker was the last one that it may lose.
    Exhausted,
    /// In no queue.
    Unqueued,
}

const ENDING: [(Standing, BatchStatus); 3] =
    [(Standing::Stopping, Stopped), (Standing::Exhausted, Failed), (Standing::Unqueued, Failed)];

/// Takes at most `limit` entries, with leases that expire at [`NOW`].
async fn take(store: &dyn JobRepository, limit: u32) -> Vec<(JobExecution, Lease)> {
    let wanted = QueueClaim {
        claim: claim("w-1", EARLIER),
        tenants: vec![(tenant(), 1000)],
        filter: QueueFilter::default(),
        limit,
    };
    store.claim_next(&wanted).await.unwrap().into_iter().map(Claimed::into_parts).collect()
}

/// A whole with three parts, two of them begun, in the order of its parts. All leases expire at [`NOW`].
async fn in_parts(store: &dyn JobRepository, standing: Standing) -> (JobExecution, Vec<Lease>) {
    let (mut whole, lease) = match standing {
        Standing::Unqueued => {
            let new = new("nightly");
            let (whole, lease) = store.create_execution(&new, Some(&claim("w-1", EARLIER))).await.unwrap();
            (whole, lease.unwrap())
        }
        _ => {
            let attempts_max = if matches!(standing, Standing::Exhausted) { 1 } else { 5 };
            let queue = Some(Enqueue { attempts_max, ..Enqueue::at_once(EARLIER) });
            publish(store, &NewJobExecution { queue, ..queued("nightly") }).await;
            take(store, 1).await.remove(0)
        }
    };
    move_to(store, &lease, &mut whole, Started).await;
    create_parts(store, &lease, 3).await;
    if matches!(standing, Standing::Stopping) {
        store.request_stop(&tenant(), whole.id, &by(EARLIER)).await.unwrap();
    }
    let mut leases = vec![lease];
    for (mut part, lease) in take(store, 2).await {
        assert_eq!(part.partition.unwrap().of, whole.id);
        move_to(store, &lease, &mut part, Started).await;
        leases.push(lease);
    }
    (whole, leases)
}

/// The parts of a whole, in order.
async fn parts(store: &dyn JobRepository, whole: JobExecutionId) -> Vec<JobExecution> {
    store.partitions(&tenant(), whole).await.unwrap()
}

/// Checks that all parts have ended as whole executions do: with an end time, and in no queue.
async fn have_ended(store: &dyn JobRepository, whole: JobExecutionId, at: Timestamp) {
    for part in parts(store, whole).await {
        assert_eq!((part.status, part.ended_at), (Stopped, Some(at)), "{part:?}");
        assert!(part.steps.iter().all(|step| step.ended_at.is_some()), "{part:?}");
        assert_eq!(store.queue_entry(&tenant(), part.id).await.unwrap(), None);
    }
}

/// Checks that other executions are published, taken and rescued as before.
async fn goes_on(store: &dyn JobRepository) {
    assert_eq!(lost(store, NOW.plus_ms(1)).await, []);
    let next = publish(store, &queued("nightly")).await;
    let taken: Vec<_> = take(store, 9).await.into_iter().map(|(taken, _)| taken.id).collect();
    assert_eq!(taken, [next]);
    assert_eq!(lost(store, NOW).await, [(tenant(), next, Fate::Requeued(NOW))]);
    store.request_stop(&tenant(), next, &by(NOW)).await.unwrap();
}

/// Regression: the list of lost executions was made once, and the end of the whole ended its parts as well.
///
/// Then the rescue tried to queue these parts again, and no store could be opened any more.
pub async fn lost_at_once_with_their_parts_end_together_or_go_on_together(store: &dyn JobRepository) {
    with_instance(store).await;
    for (standing, status) in ENDING {
        let (whole, leases) = in_parts(store, standing).await;
        let fate = if status == Stopped { Fate::Stopped } else { Fate::Failed };
        assert_eq!(lost(store, NOW).await, [(tenant(), whole.id, fate)], "{standing:?}");
        assert_eq!(stored(store, whole.id).await.status, status);
        have_ended(store, whole.id, NOW).await;
        for lease in &leases {
            assert_eq!(told(store.save(lease, Save::default()).await), "lease-lost");
        }
        goes_on(store).await;
        let restart = NewJobExecution { restart_of: Some(whole.id), ..new("nightly") };
        store.create_execution(&restart, None).await.unwrap();
    }

    let (whole, leases) = in_parts(store, Standing::Queued).await;
    let again = Fate::Requeued(NOW);
    let expected = leases.iter().map(|lease| (tenant(), lease.id, again)).collect::<Vec<_>>();
    assert_eq!(lost(store, NOW).await, expected);
    let statuses: Vec<_> = parts(store, whole.id).await.iter().map(|part| part.status).collect();
    assert_eq!(
        (stored(store, whole.id).await.status, &statuses[..]),
        (Paused, &[Paused, Paused, Starting][..])
    );
    let taken: Vec<_> = take(store, 9).await.into_iter().map(|(taken, _)| taken.id).collect();
    assert_eq!(taken.len(), 4, "all of it goes on: {taken:?}");
}

pub async fn lost_before_their_parts_take_these_along_later(store: &dyn JobRepository) {
    with_instance(store).await;
    let later = NOW.plus_ms(LEASE_MS);
    for (standing, _) in ENDING {
        let (whole, leases) = in_parts(store, standing).await;
        for lease in &leases[1..] {
            store.heartbeat(lease, NOW, LEASE_MS).await.unwrap();
        }
        let found: Vec<_> = lost(store, NOW).await.into_iter().map(|(_, id, _)| id).collect();
        assert_eq!(found, [whole.id], "{standing:?}");
        for lease in &leases[1..] {
            assert!(store.requests(lease).await.unwrap().stop, "its worker lives, and is asked to stop");
        }
        let expected: Vec<_> = leases[1..].iter().map(|lease| (tenant(), lease.id, Fate::Stopped)).collect();
        assert_eq!(lost(store, later).await, expected, "{standing:?}");
        let ends: Vec<_> =
            parts(store, whole.id).await.iter().map(|part| (part.status, part.ended_at)).collect();
        assert_eq!(ends, [(Stopped, Some(later)), (Stopped, Some(later)), (Stopped, Some(NOW))]);
        goes_on(store).await;
    }
}

pub async fn lost_after_their_parts_end_what_waits_again(store: &dyn JobRepository) {
    with_instance(store).await;
    let later = NOW.plus_ms(LEASE_MS);
    for (standing, _) in ENDING {
        let (whole, leases) = in_parts(store, standing).await;
        store.heartbeat(&leases[0], NOW, LEASE_MS).await.unwrap();
        let again = Fate::Requeued(NOW);
        let expected: Vec<_> = leases[1..].iter().map(|lease| (tenant(), lease.id, again)).collect();
        assert_eq!(lost(store, NOW).await, expected, "{standing:?}: a whole that goes on is no part's end");
        let found: Vec<_> = lost(store, later).await.into_iter().map(|(_, id, _)| id).collect();
        assert_eq!(found, [whole.id], "{standing:?}");
        have_ended(store, whole.id, later).await;
        goes_on(store).await;
    }
}

/// A worker ends a whole while parts are open, because the store failed in between.
pub async fn that_ended_by_their_own_worker_leave_no_part_behind(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut whole, leases) = in_parts(store, Standing::Queued).await;
    store.heartbeat(&leases[1], NOW, LEASE_MS).await.unwrap();
    (whole.status, whole.ended_at) = (Failed, Some(NOW));
    let last = Save { execution: Some(&whole), is_last: true, ..Save::default() };
    store.save(&leases[0], last).await.unwrap();
    let mut found: Vec<_> = lost(store, NOW).await.into_iter().map(|(_, id, fate)| (id, fate)).collect();
    found.sort_by_key(|(id, _)| *id);
    let parts = parts(store, whole.id).await;
    assert_eq!(found, [(parts[1].id, Fate::Stopped), (parts[2].id, Fate::Stopped)]);
    assert!(store.requests(&leases[1]).await.unwrap().stop, "its worker lives, and is asked to stop");
    let later = NOW.plus_ms(LEASE_MS);
    assert_eq!(lost(store, later).await, [(tenant(), parts[0].id, Fate::Stopped)]);
    goes_on(store).await;
}

pub async fn given_up_or_purged_take_their_parts_along(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut whole, leases) = in_parts(store, Standing::Queued).await;
    store.heartbeat(&leases[1], NOW, LEASE_MS).await.unwrap();
    (whole.status, whole.ended_at) = (Failed, Some(NOW));
    let last = Save { execution: Some(&whole), is_last: true, ..Save::default() };
    store.save(&leases[0], last).await.unwrap();
    store.abandon(&tenant(), whole.id, &by(NOW)).await.unwrap();
    let statuses: Vec<_> = parts(store, whole.id).await.iter().map(|part| part.status).collect();
    assert_eq!(statuses, [Started, Stopped, Stopped], "who holds one is asked first");

    let purged = store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    assert_eq!((purged, parts(store, whole.id).await), (vec![whole.id], vec![]));
    assert_eq!(told(store.save(&leases[1], Save::default()).await), "lease-lost");
    goes_on(store).await;
}

pub async fn a_part_of_a_restarted_one_is_judged_with_its_own_whole(store: &dyn JobRepository) {
    with_instance(store).await;
    let (earlier, _) = in_parts(store, Standing::Unqueued).await;
    lost(store, NOW).await;
    let restart = NewJobExecution { restart_of: Some(earlier.id), ..queued("nightly") };
    publish(store, &restart).await;
    let (mut next, lease) = take(store, 1).await.remove(0);
    move_to(store, &lease, &mut next, Started).await;
    create_parts(store, &lease, 1).await;
    let (part, _) = take(store, 1).await.remove(0);
    assert_eq!(part.partition.unwrap().of, next.id);
    store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap();
    assert_eq!(lost(store, NOW).await, [(tenant(), part.id, Fate::Requeued(NOW))]);
}
