//! Pause requests: they come from another process than the worker, and last until the execution is resumed.

use stepbox_batch::audit::{AuditAction, AuditFilter};
use stepbox_batch::execution::queue::{
    ATTEMPTS_MAX, Enqueue, QueueClaim, QueueEntry, QueueFilter, QueueState,
};
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::{
    Claimed, JobExecution, Lease, NewJobExecution, Partition, PauseRequest, Save, StepExecution, StopRequest,
};
use stepbox_batch::flow::Requests;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::JobRepository;

use super::queue::{entry, publish, queued};
use crate::sample::*;

/// Takes everything that waits.
async fn claim_some(store: &dyn JobRepository, worker: &str) -> Vec<Claimed> {
    let wanted = QueueClaim {
        claim: claim(worker, NOW),
        tenants: vec![(tenant(), 1000)],
        filter: QueueFilter::default(),
        limit: 9,
    };
    store.claim_next(&wanted).await.unwrap()
}

/// Takes the first entry that waits, and no other.
async fn claim_one(store: &dyn JobRepository, worker: &str) -> Claimed {
    let wanted = QueueClaim {
        claim: claim(worker, NOW),
        tenants: vec![(tenant(), 1000)],
        filter: QueueFilter::default(),
        limit: 1,
    };
    store.claim_next(&wanted).await.unwrap().pop().expect("an entry waits")
}

const PAUSE: Requests = Requests { stop: false, pause: true };
const NONE: Requests = Requests { stop: false, pause: false };

pub async fn are_requested_of_workers_and_done_where_there_is_none(store: &dyn JobRepository) {
    with_instance(store).await;
    let rows = [
        (Starting, Hold::Free, "PausedAtOnce", Paused),
        (Starting, Hold::Over, "PausedAtOnce", Paused),
        (Starting, Hold::Held, "Requested", Starting),
        (Started, Hold::Held, "Requested", Started),
        (Started, Hold::Over, "Requested", Started),
        (Stopping, Hold::Held, "wrong-status", Stopping),
        (Pausing, Hold::Held, "Requested", Pausing),
        (Paused, Hold::Free, "PausedAtOnce", Paused),
        (Paused, Hold::Held, "Requested", Paused),
        (Completed, Hold::Free, "wrong-status", Completed),
        (Stopped, Hold::Free, "wrong-status", Stopped),
        (Failed, Hold::Free, "wrong-status", Failed),
        (Abandoned, Hold::Free, "wrong-status", Abandoned),
        (Unknown, Hold::Free, "wrong-status", Unknown),
    ];
    for (status, hold, expected, then) in rows {
        let (execution, _) = in_status(store, status, hold).await;
        let answer = store.request_pause(&tenant(), execution.id, &by(NOW)).await;
        let is_requested = answer.is_ok();
        let found = answer.map_or_else(|error| error.code().to_owned(), |pause| format!("{pause:?}"));
        assert_eq!(found, expected, "{status} {hold:?}");
        let found = stored(store, execution.id).await;
        assert_eq!((found.status, found.pause_requested), (then, is_requested), "{status} {hold:?}");
    }
    let error = store.request_pause(&tenant(), JobExecutionId(999), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no execution `999`");
    let elsewhere = TenantId::new("other").unwrap();
    let (execution, _) = in_status(store, Started, Hold::Held).await;
    assert_eq!(told(store.request_pause(&elsewhere, execution.id, &by(NOW)).await), "not-found");
    assert_eq!(told(store.enqueue_paused(&elsewhere, execution.id, &by(NOW)).await), "not-found");
}

pub async fn are_heard_with_stops_and_survive_a_save(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    assert_eq!(store.requests(&lease).await.unwrap(), NONE);
    store.request_pause(&tenant(), execution.id, &by(NOW)).await.unwrap();
    move_to(store, &lease, &mut execution, Started).await;
    assert_eq!(store.requests(&lease).await.unwrap(), PAUSE);
    assert_eq!(store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap(), PAUSE);
    let again = store.request_pause(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert_eq!(again, PauseRequest::Requested, "asking twice does no harm");
    let stop = store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert_eq!(stop, StopRequest::Requested);
    assert_eq!(store.requests(&lease).await.unwrap(), Requests { stop: true, pause: true });
    let error = store.request_pause(&tenant(), execution.id, &by(NOW)).await.unwrap_err();
    let expected = format!("execution {} is STARTED: it is to stop", execution.id);
    assert_eq!(error.to_string(), expected);
}

/// What waits in the queue does not begin before it is resumed, and keeps its place.
pub async fn keep_what_waits_from_its_beginning(store: &dyn JobRepository) {
    with_instance(store).await;
    let urgent = Enqueue { priority: 7, attempts_max: 3, ..Enqueue::at_once(EARLIER) };
    let id = publish(store, &NewJobExecution { queue: Some(urgent), ..new("nightly") }).await;
    let waiting = entry(store, id).await.unwrap();
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    let paused = QueueEntry { state: QueueState::Paused, ..waiting.clone() };
    assert_eq!(entry(store, id).await, Some(paused));
    assert_eq!(claim_some(store, "w-1").await.len(), 0, "no worker takes it");
    assert_eq!(stored(store, id).await.status, Paused);
    assert_eq!(told(store.enqueue_paused(&tenant(), id, &by(NOW)).await), "ok");
    assert_eq!(entry(store, id).await, Some(waiting));
    assert_eq!(told(store.enqueue_paused(&tenant(), id, &by(NOW)).await), "wrong-status", "it waits already");
    let claimed = claim_one(store, "w-1").await;
    assert_eq!((claimed.execution.id, claimed.execution.pause_requested), (id, false));
    assert_eq!(store.requests(&claimed.lease).await.unwrap(), NONE);
}

/// An entry whose time has not come waits for its time after the pause.
pub async fn do_not_shorten_a_delay(store: &dyn JobRepository) {
    with_instance(store).await;
    let later = Enqueue { available_at: LATER, ..Enqueue::at_once(EARLIER) };
    let id = publish(store, &NewJobExecution { queue: Some(later), ..new("nightly") }).await;
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Paused);
    store.enqueue_paused(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Delayed);
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    store.enqueue_paused(&tenant(), id, &by(LATER)).await.unwrap();
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Waiting);
}

/// What its worker has paused waits for its resumption, and then goes on with any worker from its checkpoint.
pub async fn last_until_the_execution_is_resumed(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let claimed = claim_one(store, "w-1").await;
    let (mut execution, lease) = (claimed.execution, claimed.lease);
    move_to(store, &lease, &mut execution, Started).await;
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    let early = store.enqueue_paused(&tenant(), id, &by(NOW)).await;
    assert_eq!(told(early), "wrong-status", "it is not PAUSED yet");
    pause(store, &lease, &mut execution).await;
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Paused);
    assert_eq!(claim_some(store, "w-2").await.len(), 0);

    store.enqueue_paused(&tenant(), id, &by(NOW)).await.unwrap();
    let claimed = claim_one(store, "w-2").await;
    assert_eq!((claimed.execution.id, claimed.execution.status), (id, Paused));
    assert_eq!(claimed.execution.steps[0].status, Paused, "with the step at which it rested");
    assert_eq!(store.requests(&claimed.lease).await.unwrap(), NONE);
    let resumed = AuditFilter { action: Some(AuditAction::ExecutionResumed), ..AuditFilter::default() };
    let events = store.audit(&tenant(), &resumed).await.unwrap();
    let users: Vec<_> = events.iter().map(|event| event.by.user.as_deref()).collect();
    assert_eq!(users, [None, Some("julia")], "a user resumed it, and a worker went on");
}

/// Without a pause request, what a worker hands back waits for the next worker.
pub async fn differ_from_what_a_worker_hands_back(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let claimed = claim_one(store, "w-1").await;
    let (mut execution, lease) = (claimed.execution, claimed.lease);
    move_to(store, &lease, &mut execution, Started).await;
    pause(store, &lease, &mut execution).await;
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Waiting);
    assert_eq!(told(store.enqueue_paused(&tenant(), id, &by(NOW)).await), "wrong-status");
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(claim_some(store, "w-2").await.len(), 0, "a person asked for a pause then");
}

/// An execution that a process ran itself gets a place in the queue when it is resumed there.
pub async fn of_what_was_in_no_queue_end_there(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    store.request_pause(&tenant(), execution.id, &by(NOW)).await.unwrap();
    pause(store, &lease, &mut execution).await;
    assert_eq!(entry(store, execution.id).await, None);
    store.enqueue_paused(&tenant(), execution.id, &by(NOW)).await.unwrap();
    let expected = QueueEntry {
        state: QueueState::Waiting,
        priority: 0,
        available_at: NOW,
        losses: 0,
        attempts_max: ATTEMPTS_MAX,
    };
    assert_eq!(entry(store, execution.id).await, Some(expected));
    assert_eq!(claim_one(store, "w-2").await.execution.id, execution.id);
}

/// A process that resumes an execution itself ends the pause.
pub async fn end_with_a_claim_by_number(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    let lease = store.claim(&tenant(), id, &claim("w-1", NOW), &by(NOW)).await.unwrap();
    assert_eq!(store.requests(&lease).await.unwrap(), NONE);
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Claimed);
}

/// The loss of a worker does not end the pause.
pub async fn outlast_the_loss_of_a_worker(store: &dyn JobRepository) {
    with_instance(store).await;
    for begun in [false, true] {
        let id = publish(store, &queued("nightly")).await;
        let claimed = claim_one(store, "w-1").await;
        let (mut execution, lease) = (claimed.execution, claimed.lease);
        if begun {
            move_to(store, &lease, &mut execution, Started).await;
        }
        store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
        store.expire_leases("w-1", NOW).await.unwrap();
        store.rescue_lost(NOW).await.unwrap();
        assert_eq!(stored(store, id).await.status, Paused, "begun: {begun}");
        assert_eq!(entry(store, id).await.unwrap().state, QueueState::Paused);
        assert_eq!(claim_some(store, "w-2").await.len(), 0);
        store.enqueue_paused(&tenant(), id, &by(NOW)).await.unwrap();
        let claimed = claim_one(store, "w-2").await;
        assert_eq!(claimed.execution.id, id);
        store.request_stop(&tenant(), id, &by(NOW)).await.unwrap();
        let mut execution = claimed.execution;
        move_to(store, &claimed.lease, &mut execution, Stopped).await;
        store.save(&claimed.lease, Save { is_last: true, ..Save::default() }).await.unwrap();
    }
}

/// Parts pause and go on with their whole, whether they wait or run, and also those that are accepted just then.
pub async fn take_parts_along(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let claimed = claim_one(store, "w-1").await;
    let (mut whole, lease) = (claimed.execution, claimed.lease);
    move_to(store, &lease, &mut whole, Started).await;
    store.create_partitions(&lease, &parts(id, 0)).await.unwrap();
    let run = claim_one(store, "w-2").await;
    let (mut running, lease_of_part) = (run.execution, run.lease);
    move_to(store, &lease_of_part, &mut running, Started).await;

    let part = store.request_pause(&tenant(), running.id, &by(NOW)).await;
    assert_eq!(told(part), "wrong-status", "a part pauses with its whole alone");
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(store.requests(&lease_of_part).await.unwrap(), PAUSE);
    // The worker of the whole has not heard of it, and accepts the parts of another step.
    store.create_partitions(&lease, &parts(id, 1)).await.unwrap();
    assert_eq!(claim_some(store, "w-3").await.len(), 0);
    pause(store, &lease_of_part, &mut running).await;
    let states = store.partition_states(&tenant(), id, 0).await.unwrap();
    assert!(states.iter().all(|part| part.pause_requested && part.status == Paused), "{states:?}");
    let by_number = store.claim(&tenant(), running.id, &claim("w-1", NOW), &by(NOW)).await;
    assert_eq!(told(by_number), "wrong-status", "not even its whole runs it now");
    assert_eq!(told(store.enqueue_paused(&tenant(), running.id, &by(NOW)).await), "wrong-status");
    pause(store, &lease, &mut whole).await;
    assert_eq!(claim_some(store, "w-3").await.len(), 0);

    store.enqueue_paused(&tenant(), id, &by(NOW)).await.unwrap();
    let states = store.partition_states(&tenant(), id, 1).await.unwrap();
    assert!(states.iter().all(|part| !part.pause_requested), "{states:?}");
    let claimed = claim_some(store, "w-3").await;
    assert_eq!(claimed.len(), 5, "the whole and its four parts");
}

/// What is PAUSED is stopped and given up at once, with its parts.
pub async fn end_with_the_execution(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(store.request_stop(&tenant(), id, &by(NOW)).await.unwrap(), StopRequest::StoppedAtOnce);
    assert_eq!(entry(store, id).await, None);
    let id = publish(store, &queued("nightly")).await;
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    store.abandon(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(entry(store, id).await, None);
    let refused = store.enqueue_paused(&tenant(), id, &by(NOW)).await;
    assert_eq!(told(refused), "wrong-status");
}

pub async fn are_refused_where_the_job_is_not_stoppable(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut new = new("nightly");
    new.job.stoppable = false;
    let (execution, _) = store.create_execution(&new, None).await.unwrap();
    let error = store.request_pause(&tenant(), execution.id, &by(NOW)).await.unwrap_err();
    let expected = format!("execution {} is STARTING: its job is not stoppable", execution.id);
    assert_eq!(error.to_string(), expected);
    assert_eq!(stored(store, execution.id).await, execution);
    let requested = AuditAction::ExecutionPauseRequested;
    let requested = AuditFilter { action: Some(requested), ..AuditFilter::default() };
    assert_eq!(store.audit(&tenant(), &requested).await.unwrap(), []);
}

/// A paused entry counts among those that wait, so that pauses make no room for a flood.
pub async fn make_no_room_in_the_queue(store: &dyn JobRepository) {
    with_instance(store).await;
    let within = |max| {
        let queue = Enqueue { queued_max: Some(max), ..Enqueue::at_once(EARLIER) };
        NewJobExecution { queue: Some(queue), ..new("nightly") }
    };
    let id = publish(store, &within(1)).await;
    store.request_pause(&tenant(), id, &by(NOW)).await.unwrap();
    assert_eq!(told(store.create_execution(&within(1), None).await), "queue-full");
    publish(store, &within(2)).await;
}

fn parts(of: JobExecutionId, position: u32) -> Vec<NewJobExecution> {
    let part = |number| NewJobExecution {
        partition: Some(Partition { of, position, number, count: 2 }),
        steps: vec![StepExecution { status: Starting, ..step() }],
        ..queued("nightly")
    };
    (0..2).map(part).collect()
}

/// Saves the execution as its worker does that has come to a checkpoint.
async fn pause(store: &dyn JobRepository, lease: &Lease, execution: &mut JobExecution) {
    move_to(store, lease, execution, Pausing).await;
    let step = StepExecution { status: Paused, ..step() };
    execution.status = Paused;
    let save = Save { execution: Some(&*execution), step: Some(&step), is_last: true, ..Save::default() };
    store.save(lease, save).await.unwrap();
}
