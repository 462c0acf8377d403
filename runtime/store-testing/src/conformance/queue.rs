//! The queue: what waits, which entry is next, and what happens to the entries of lost workers.

use std::collections::BTreeSet;

use serde_json::json;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueEntry, QueueFilter, QueueState};
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::{
    Checkpoint, Claimed, ExecutionFilter, Fate, JobExecution, Lease, NewJobExecution, Partition, Purgeable,
    Save, StepExecution, StopRequest,
};
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{JobExecutionId, JobName, TenantId};
use stepbox_batch::ports::{JobRepository, RepositoryError};

use crate::sample::*;

/// A request for at most `limit` entries of the given tenants.
fn wanting(tenants: &[&TenantId], limit: u32) -> QueueClaim {
    QueueClaim {
        claim: claim("w-1", NOW),
        tenants: tenants.iter().map(|tenant| ((*tenant).clone(), 1000)).collect(),
        filter: QueueFilter::default(),
        limit,
    }
}

/// Takes at most `limit` entries of the usual tenant.
async fn take(store: &dyn JobRepository, limit: u32) -> Vec<(JobExecution, Lease)> {
    claim_next(store, &wanting(&[&tenant()], limit)).await
}

async fn claim_next(store: &dyn JobRepository, wanted: &QueueClaim) -> Vec<(JobExecution, Lease)> {
    store.claim_next(wanted).await.unwrap().into_iter().map(Claimed::into_parts).collect()
}

async fn ids_taken(store: &dyn JobRepository, wanted: &QueueClaim) -> Vec<JobExecutionId> {
    claim_next(store, wanted).await.into_iter().map(|(execution, _)| execution.id).collect()
}

pub fn queued(text: &str) -> NewJobExecution {
    NewJobExecution { queue: Some(Enqueue::at_once(EARLIER)), ..new(text) }
}

pub async fn publish(store: &dyn JobRepository, new: &NewJobExecution) -> JobExecutionId {
    store.create_execution(new, None).await.unwrap().0.id
}

pub async fn entry(store: &dyn JobRepository, id: JobExecutionId) -> Option<QueueEntry> {
    store.queue_entry(&tenant(), id).await.unwrap()
}

/// Ends an execution that was claimed.
async fn complete(store: &dyn JobRepository, (mut execution, lease): (JobExecution, Lease)) {
    if execution.status != Started {
        move_to(store, &lease, &mut execution, Started).await;
    }
    (execution.status, execution.ended_at) = (Completed, Some(NOW));
    let save = Save { execution: Some(&execution), is_last: true, ..Save::default() };
    store.save(&lease, save).await.unwrap();
}

pub async fn an_entry_is_there_until_its_execution_has_ended(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let waiting = QueueEntry {
        state: QueueState::Waiting,
        priority: 0,
        available_at: EARLIER,
        losses: 0,
        attempts_max: 5,
    };
    assert_eq!(entry(store, id).await, Some(waiting.clone()));
    assert_eq!(stored(store, id).await.status, Starting);

    let mut taken = take(store, 9).await;
    let (execution, lease) = taken.remove(0);
    assert_eq!((taken.len(), execution.id, lease.id), (0, id, id));
    assert_eq!(execution, stored(store, id).await, "as it is stored");
    assert_eq!((execution.worker.as_deref(), execution.attempt), (Some("w-1"), 1));
    assert_eq!(entry(store, id).await, Some(QueueEntry { state: QueueState::Claimed, ..waiting }));
    assert_eq!(take(store, 9).await, [], "it is taken once");

    complete(store, (execution, lease)).await;
    assert_eq!(entry(store, id).await, None);
    assert_eq!(take(store, 9).await, []);
}

pub async fn what_was_not_published_is_not_taken(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = waiting(store).await.id;
    assert_eq!(entry(store, id).await, None);
    assert_eq!(take(store, 9).await, []);
}

pub async fn priority_goes_first_then_age(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut published = Vec::new();
    for priority in [0, 5, 0, -1, 5] {
        let queue = Enqueue { priority, ..Enqueue::at_once(EARLIER) };
        let new = NewJobExecution { queue: Some(queue), ..new("nightly") };
        published.push(publish(store, &new).await);
    }
    let expected = [1, 4, 0, 2, 3].map(|index: usize| published[index]);
    let mut found = ids_taken(store, &wanting(&[&tenant()], 2)).await;
    assert_eq!(found.len(), 2);
    found.extend(ids_taken(store, &wanting(&[&tenant()], 9)).await);
    assert_eq!(found, expected);
}

/// A tenant and its instance `nightly`.
async fn another_tenant(store: &dyn JobRepository, name: &str) -> TenantId {
    let tenant = TenantId::new(name).unwrap();
    let instance = JobInstance { tenant: tenant.clone(), ..instance("nightly") };
    store.create_instance(&instance, &by(NOW)).await.unwrap();
    tenant
}

/// Five executions run soon, however many executions of another tenant were there before.
pub async fn a_flood_of_one_tenant_is_no_wait_for_another(store: &dyn JobRepository) {
    let (flood, other) = (another_tenant(store, "flood").await, another_tenant(store, "other").await);
    for _ in 0..50 {
        publish(store, &NewJobExecution { tenant: flood.clone(), ..queued("nightly") }).await;
    }
    let mut theirs = BTreeSet::new();
    for _ in 0..5 {
        theirs.insert(publish(store, &NewJobExecution { tenant: other.clone(), ..queued("nightly") }).await);
    }
    let mut order = Vec::new();
    for _ in 0..12 {
        // One at a time, each ended before the next one.
        let taken = claim_next(store, &wanting(&[&flood, &other], 1)).await.remove(0);
        order.push(taken.0.id);
        complete(store, taken).await;
    }
    let first: BTreeSet<_> = order[..10].iter().filter(|id| theirs.contains(id)).copied().collect();
    assert_eq!(first, theirs, "{order:?}");

    let together = ids_taken(store, &wanting(&[&flood, &other], 4)).await;
    assert_eq!(together.len(), 4, "the flood alone now");
    publish(store, &NewJobExecution { tenant: other.clone(), ..queued("nightly") }).await;
    let next = claim_next(store, &wanting(&[&flood, &other], 1)).await;
    assert_eq!(next[0].0.tenant, other, "it has fewer that run");
}

pub async fn a_tenant_runs_no_more_than_it_may(store: &dyn JobRepository) {
    with_instance(store).await;
    for _ in 0..4 {
        publish(store, &queued("nightly")).await;
    }
    let wanted = QueueClaim { tenants: vec![(tenant(), 2)], ..wanting(&[], 9) };
    let mut taken = claim_next(store, &wanted).await;
    assert_eq!(taken.len(), 2);
    assert_eq!(ids_taken(store, &wanted).await, []);
    complete(store, taken.remove(0)).await;
    assert_eq!(ids_taken(store, &wanted).await.len(), 1);
}

pub async fn a_worker_takes_what_it_is_for(store: &dyn JobRepository) {
    with_instance(store).await;
    let stranger = another_tenant(store, "stranger").await;
    let mut import = queued("nightly");
    (import.job.name, import.job.job_type) = (JobName::new("fetch").unwrap(), "import".to_owned());
    let (export, import) = (publish(store, &queued("nightly")).await, publish(store, &import).await);
    let theirs = NewJobExecution { tenant: stranger.clone(), ..queued("nightly") };
    let theirs = publish(store, &theirs).await;

    let job = |name: &str| vec![JobName::new(name).unwrap()];
    let types = |name: &str| vec![name.to_owned()];
    let nothing = [];
    let of = |filter: QueueFilter| QueueClaim { filter, ..wanting(&[&tenant()], 9) };
    let rows = [
        (wanting(&[], 9), &nothing[..]),
        (wanting(&[&tenant()], 0), &nothing),
        (of(QueueFilter { jobs: job("other"), ..QueueFilter::default() }), &nothing),
        (of(QueueFilter { jobs: job("fetch"), types: types("export") }), &nothing),
        (of(QueueFilter { types: types("import"), ..QueueFilter::default() }), &[import]),
        (of(QueueFilter { jobs: job("greet"), types: types("export") }), &[export]),
        (wanting(&[&stranger], 9), &[theirs]),
    ];
    for (wanted, expected) in rows {
        assert_eq!(ids_taken(store, &wanted).await, expected, "{wanted:?}");
    }
}

pub async fn a_delayed_entry_waits_for_its_time(store: &dyn JobRepository) {
    with_instance(store).await;
    let queue = Enqueue { available_at: NOW, ..Enqueue::at_once(EARLIER) };
    let id = publish(store, &NewJobExecution { queue: Some(queue), ..new("nightly") }).await;
    assert_eq!(entry(store, id).await.unwrap().state, QueueState::Delayed);
    let before = QueueClaim { claim: claim("w-1", Timestamp(NOW.0 - 1)), ..wanting(&[&tenant()], 9) };
    assert_eq!(ids_taken(store, &before).await, []);
    assert_eq!(ids_taken(store, &wanting(&[&tenant()], 9)).await, [id]);
}

pub async fn a_unique_one_is_refused_while_its_double_has_not_ended(store: &dyn JobRepository) {
    with_instance(store).await;
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    let unique = |text, parameters| {
        let queue = Enqueue { is_unique: true, ..Enqueue::at_once(EARLIER) };
        NewJobExecution { parameters, queue: Some(queue), ..new(text) }
    };
    let (same, turned) = (json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"b": {"d": 3, "c": 2}, "a": 1}));
    let first = publish(store, &NewJobExecution { parameters: same.clone(), ..queued("nightly") }).await;
    for _ in ["waits", "runs"] {
        let refused = store.create_execution(&unique("nightly", turned.clone()), None).await.unwrap_err();
        assert!(matches!(refused, RepositoryError::NotUnique { id } if id == first), "{refused}");
        take(store, 1).await;
    }
    publish(store, &unique("nightly", json!({"a": 2}))).await;
    publish(store, &unique("weekly", same.clone())).await;
    let doubles = ExecutionFilter { instance: Some(code("nightly")), ..ExecutionFilter::default() };
    assert_eq!(listed(store, &doubles).await.len(), 2, "what was refused is not there");

    let execution = stored(store, first).await;
    let lease = Lease { tenant: tenant(), id: first, token: 1 };
    complete(store, (execution, lease)).await;
    publish(store, &unique("nightly", turned)).await;
}

pub async fn no_more_wait_than_may(store: &dyn JobRepository) {
    with_instance(store).await;
    let within = |max| {
        let queue = Enqueue { queued_max: Some(max), ..Enqueue::at_once(EARLIER) };
        NewJobExecution { queue: Some(queue), ..new("nightly") }
    };
    publish(store, &within(2)).await;
    publish(store, &within(2)).await;
    let refused = store.create_execution(&within(2), None).await.unwrap_err();
    assert!(matches!(refused, RepositoryError::QueueFull { max: 2 }), "{refused}");
    assert_eq!(told(store.create_execution(&within(0), None).await), "queue-full");
    let stranger = another_tenant(store, "stranger").await;
    publish(store, &NewJobExecution { tenant: stranger, ..within(1) }).await;
    take(store, 1).await;
    publish(store, &within(2)).await;
}

pub async fn an_instance_runs_as_often_at_a_time_as_its_job_allows(store: &dyn JobRepository) {
    with_instance(store).await;
    store.create_instance(&instance("weekly"), &by(NOW)).await.unwrap();
    let alone = |text| {
        let mut new = queued(text);
        new.job.concurrency = Some(1);
        new
    };
    let first = publish(store, &alone("nightly")).await;
    let second = publish(store, &alone("nightly")).await;
    let other = publish(store, &alone("weekly")).await;
    let mut taken = take(store, 9).await;
    assert_eq!(taken.iter().map(|(execution, _)| execution.id).collect::<Vec<_>>(), [first, other]);
    assert_eq!(take(store, 9).await, []);

    let at_once = NewJobExecution { queue: None, ..alone("nightly") };
    let refused = store.create_execution(&at_once, Some(&claim("w-2", NOW))).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("the job of `nightly` runs 1 at a time, and execution {first} does")
    );
    assert_eq!(
        told(store.claim(&tenant(), second, &claim("w-2", NOW), &by(NOW)).await),
        "concurrency-reached"
    );

    complete(store, taken.remove(0)).await;
    let (running, lease) = store.create_execution(&at_once, Some(&claim("w-2", NOW))).await.unwrap();
    assert_eq!(take(store, 9).await, [], "one that is in no queue takes the place as well");
    complete(store, (running, lease.unwrap())).await;
    assert_eq!(take(store, 9).await[0].0.id, second);
}

pub async fn what_is_handed_back_waits_again(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let (mut execution, lease) = take(store, 1).await.remove(0);
    move_to(store, &lease, &mut execution, Started).await;
    let paused = StepExecution { status: Paused, ..step() };
    let checkpoint = Checkpoint { reader: vec![41], ..Checkpoint::default() };
    (execution.status, execution.updated_at) = (Paused, NOW);
    let save = Save {
        execution: Some(&execution),
        step: Some(&paused),
        checkpoint: Some(&checkpoint),
        is_last: true,
        ..Save::default()
    };
    store.save(&lease, save).await.unwrap();
    let waiting = entry(store, id).await.unwrap();
    assert_eq!((waiting.state, waiting.available_at, waiting.losses), (QueueState::Waiting, NOW, 0));

    let (again, next) = take(store, 1).await.remove(0);
    assert_eq!((again.id, again.status, again.attempt), (id, Paused, 2));
    assert_eq!(again.steps[0].checkpoint.as_ref(), Some(&checkpoint));
    assert!(next.token > lease.token);
    assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
}

/// The loss of a worker costs the work since the last checkpoint; with the loss of too many workers the execution
/// ends.
pub async fn what_a_lost_worker_held_goes_on_elsewhere(store: &dyn JobRepository) {
    with_instance(store).await;
    let queue = Enqueue { attempts_max: 3, ..Enqueue::at_once(EARLIER) };
    let id = publish(store, &NewJobExecution { queue: Some(queue), ..new("nightly") }).await;
    let (mut now, mut fates) = (NOW, Vec::new());
    for worker in ["w-1", "w-2", "w-3"] {
        let wanted = QueueClaim { claim: claim(worker, now), ..wanting(&[&tenant()], 1) };
        let (mut execution, lease) = claim_next(store, &wanted).await.remove(0);
        move_to(store, &lease, &mut execution, Started).await;
        let done = StepExecution { status: Completed, ended_at: Some(now), ..step() };
        let begun = StepExecution { position: 1, ..step() };
        for step in [&done, &begun] {
            store.save(&lease, Save { step: Some(step), ..Save::default() }).await.unwrap();
        }
        now = now.plus_ms(LEASE_MS);
        assert_eq!(lost(store, Timestamp(now.0 - 1)).await, [], "it lives");
        let rescued = lost(store, now).await;
        assert_eq!(rescued.len(), 1);
        fates.push(rescued[0].2);
        assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
        assert_eq!(told(store.heartbeat(&lease, now, LEASE_MS).await), "lease-lost");
        let found = stored(store, id).await;
        if let Fate::Requeued(at) = rescued[0].2 {
            let states: Vec<_> = found.steps.iter().map(|step| step.status).collect();
            assert_eq!((found.status, found.ended_at, &states[..]), (Paused, None, &[Completed, Paused][..]));
            let early = QueueClaim { claim: claim("w-9", Timestamp(at.0 - 1)), ..wanting(&[&tenant()], 1) };
            if at > now {
                assert_eq!(ids_taken(store, &early).await, [], "the wait after a loss");
            }
            now = at;
        }
        assert_eq!(lost(store, now).await, [], "once is enough");
    }
    let second = NOW.plus_ms(2 * LEASE_MS + 2000);
    assert_eq!(fates, [Fate::Requeued(NOW.plus_ms(LEASE_MS)), Fate::Requeued(second), Fate::Failed]);
    let found = stored(store, id).await;
    assert_eq!((found.status, found.ended_at, found.attempt), (Failed, Some(now), 3));
    let [failure] = &found.failures[..] else { panic!("{:?}", found.failures) };
    assert_eq!((failure.code.as_str(), failure.culprit.as_str()), ("attempts-exhausted", "worker `w-3`"));
    assert!(failure.message.contains("3 workers were lost over this execution"), "{failure}");
    assert_eq!(entry(store, id).await, None);
}

pub async fn what_was_claimed_and_not_begun_goes_on_elsewhere(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let (_, lease) = take(store, 1).await.remove(0);
    let later = NOW.plus_ms(LEASE_MS);
    assert_eq!(lost(store, later).await, [(tenant(), id, Fate::Requeued(later))]);
    // The execution is as before: a process that looks for executions that have not begun finds it.
    let waiting = stored(store, id).await;
    assert_eq!((waiting.status, waiting.worker), (Starting, None));
    let wanted = QueueClaim { claim: claim("w-2", later), ..wanting(&[&tenant()], 1) };
    let (mut again, next) = claim_next(store, &wanted).await.remove(0);
    assert!(next.token > lease.token);
    move_to(store, &next, &mut again, Started).await;
}

pub async fn a_lost_one_that_was_to_stop_is_stopped(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let (mut execution, lease) = take(store, 1).await.remove(0);
    move_to(store, &lease, &mut execution, Started).await;
    store.request_stop(&tenant(), id, &by(NOW)).await.unwrap();
    let later = NOW.plus_ms(LEASE_MS);
    assert_eq!(lost(store, later).await, [(tenant(), id, Fate::Stopped)]);
    let found = stored(store, id).await;
    assert_eq!((found.status, found.ended_at), (Stopped, Some(later)));
    assert_eq!(entry(store, id).await, None);
}

pub async fn what_waits_is_stopped_and_given_up_at_once(store: &dyn JobRepository) {
    with_instance(store).await;
    let (stopped, given_up) =
        (publish(store, &queued("nightly")).await, publish(store, &queued("nightly")).await);
    let answer = store.request_stop(&tenant(), stopped, &by(NOW)).await.unwrap();
    assert_eq!(answer, StopRequest::StoppedAtOnce);
    store.abandon(&tenant(), given_up, &by(NOW)).await.unwrap();
    for id in [stopped, given_up] {
        assert_eq!(entry(store, id).await, None);
    }
    assert_eq!(take(store, 9).await, []);
}

/// A process that claims an execution by its number makes it unavailable in the queue.
pub async fn what_is_claimed_by_its_number_is_not_taken_twice(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = publish(store, &queued("nightly")).await;
    let lease = store.claim(&tenant(), id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    assert_eq!(take(store, 9).await, []);
    complete(store, (stored(store, id).await, lease)).await;
    assert_eq!(entry(store, id).await, None);
}

pub async fn each_entry_is_taken_once_by_many(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut published = BTreeSet::new();
    for _ in 0..20 {
        published.insert(publish(store, &queued("nightly")).await);
    }
    let mut taken = Vec::new();
    while taken.len() < published.len() {
        let wanted = wanting(&[&tenant()], 3);
        let (a, b, c) =
            tokio::join!(store.claim_next(&wanted), store.claim_next(&wanted), store.claim_next(&wanted));
        let before = taken.len();
        taken.extend([a, b, c].into_iter().flat_map(Result::unwrap).map(|claimed| claimed.execution.id));
        assert!(taken.len() > before, "something waits, and nobody got it");
    }
    let distinct: BTreeSet<_> = taken.iter().copied().collect();
    assert_eq!((taken.len(), distinct), (20, published));
}

pub async fn who_waits_for_work_hears_of_it(store: &dyn JobRepository) {
    with_instance(store).await;
    // Entries from before are not new.
    store.wait_for_work(0).await;
    let new = queued("nightly");
    let ((), id) = tokio::join!(store.wait_for_work(60_000), publish(store, &new));
    assert_eq!(take(store, 1).await[0].0.id, id);
}

pub async fn its_depth_is_told_by_tenant_and_state(store: &dyn JobRepository) {
    with_instance(store).await;
    let stranger = another_tenant(store, "stranger").await;
    assert_eq!(store.queue_depths().await.unwrap(), []);
    for _ in 0..3 {
        publish(store, &queued("nightly")).await;
    }
    let queue = Enqueue { available_at: NOW.plus_ms(5), ..Enqueue::at_once(EARLIER) };
    publish(store, &NewJobExecution { tenant: stranger, queue: Some(queue), ..new("nightly") }).await;
    take(store, 1).await;
    let depths = store.queue_depths().await.unwrap();
    let told: Vec<_> = depths
        .iter()
        .map(|depth| (depth.tenant.as_str(), depth.state, depth.count, depth.oldest.0 - EARLIER.0))
        .collect();
    let expected = [
        ("default", QueueState::Waiting, 2, 0),
        ("default", QueueState::Claimed, 1, 0),
        ("stranger", QueueState::Delayed, 1, 60_005),
    ];
    assert_eq!(told, expected);
}

/// Accepts the parts of the first step of a running execution.
pub async fn create_parts(store: &dyn JobRepository, lease: &Lease, count: u32) {
    let part = |number| {
        let partition = Partition { of: lease.id, position: 0, number, count };
        let checkpoint = Some(Checkpoint { reader: vec![7], ..Checkpoint::default() });
        let steps = vec![StepExecution { checkpoint, status: Starting, ..step() }];
        NewJobExecution { partition: Some(partition), steps, ..queued("nightly") }
    };
    let parts: Vec<_> = (0..count).map(part).collect();
    store.create_partitions(lease, &parts).await.unwrap();
}

pub async fn parts_are_accepted_by_the_holder_of_the_lease_alone(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let fenced = Lease { token: lease.token + 1, ..lease.clone() };
    let part = NewJobExecution {
        partition: Some(Partition { of: execution.id, position: 0, number: 0, count: 1 }),
        ..queued("nightly")
    };
    assert_eq!(told(store.create_partitions(&fenced, &[part]).await), "lease-lost");
    assert_eq!(take(store, 9).await, []);
}

/// If another process than its worker ends a whole, its parts end with it.
pub async fn parts_end_with_the_whole(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut whole, lease) = started(store).await;
    create_parts(store, &lease, 3).await;
    let (running, lease_of_part) = take(store, 1).await.remove(0);
    move_to(store, &lease, &mut whole, Failed).await;
    store.save(&lease, Save { is_last: true, ..Save::default() }).await.unwrap();
    assert_eq!(take(store, 1).await.len(), 1, "its own worker sees to them itself");
    assert!(!store.requests(&lease_of_part).await.unwrap().stop);
    store.abandon(&tenant(), whole.id, &by(NOW)).await.unwrap();
    assert!(store.requests(&lease_of_part).await.unwrap().stop, "whoever runs one is told");
    assert_eq!(take(store, 9).await, [], "the part that nobody had begun has ended");
    assert_eq!(lost(store, NOW).await, []);

    let (lost_whole, lease) = in_status(store, Started, Hold::Over).await;
    create_parts(store, &lease, 2).await;
    let (part, lease_of_part_2) = take(store, 1).await.remove(0);
    assert_eq!(part.partition.unwrap().of, lost_whole.id);
    assert_ne!(running.partition.unwrap().of, lost_whole.id);
    assert_eq!(lost(store, NOW).await, [(tenant(), lost_whole.id, Fate::Failed)]);
    assert_eq!(take(store, 9).await, [], "none begins any more");
    assert!(store.requests(&lease_of_part_2).await.unwrap().stop, "whoever runs one is told");
    let parts = store.partitions(&tenant(), lost_whole.id).await.unwrap();
    let states: Vec<_> = parts.iter().map(|part| (part.status, part.stop_requested)).collect();
    assert_eq!(states, [(Starting, true), (Stopped, true)]);
    let states = store.partition_states(&tenant(), lost_whole.id, 0).await.unwrap();
    let states: Vec<_> = states.iter().map(|state| (state.status, state.has_ended)).collect();
    assert_eq!(states, [(Starting, false), (Stopped, true)]);
}

/// A part belongs to its whole: it is not listed beside it, and is deleted with it.
pub async fn parts_wait_with_the_age_of_the_whole(store: &dyn JobRepository) {
    with_instance(store).await;
    let whole = publish(store, &queued("nightly")).await;
    let (execution, lease) = take(store, 1).await.remove(0);
    let other = publish(store, &queued("nightly")).await;
    create_parts(store, &lease, 2).await;
    let parts: Vec<_> =
        store.partitions(&tenant(), whole).await.unwrap().into_iter().map(|part| part.id).collect();
    check_states(store, whole).await;
    let taken = take(store, 9).await;
    let order: Vec<_> = taken.iter().map(|(execution, _)| execution.id).collect();
    assert_eq!(order, [parts[0], parts[1], other]);
    assert_eq!(taken[1].0.partition, Some(Partition { of: whole, position: 0, number: 1, count: 2 }));
    assert_eq!(
        taken[0].0.steps[0].checkpoint.as_ref().map(|checkpoint| checkpoint.reader.clone()),
        Some(vec![7])
    );

    assert_eq!(listed(store, &ExecutionFilter::default()).await, [other, whole]);
    for part in taken.into_iter().chain([(execution, lease)]) {
        complete(store, part).await;
    }
    // The other execution is the latest success of its instance; the whole is not.
    let all = ExecutionFilter::default();
    let going = store.purgeable(&tenant(), &all).await.unwrap();
    assert_eq!(going, [Purgeable { id: whole, partitions: parts }]);
    assert_eq!(store.purge(&tenant(), &all, &by(NOW)).await.unwrap(), [whole]);
    assert_eq!(store.partitions(&tenant(), whole).await.unwrap(), []);
    assert_eq!(store.purgeable(&tenant(), &all).await.unwrap(), []);
}

/// The states of the parts agree with the parts.
async fn check_states(store: &dyn JobRepository, whole: JobExecutionId) {
    let parts = store.partitions(&tenant(), whole).await.unwrap();
    let states = store.partition_states(&tenant(), whole, 0).await.unwrap();
    assert_eq!(states.len(), parts.len());
    for (state, part) in states.iter().zip(&parts) {
        assert_eq!((state.id, Some(state.partition), state.status), (part.id, part.partition, part.status));
        assert_eq!((state.tracking, state.skipped), (part.steps[0].tracking, part.steps[0].counts.skipped));
        assert_eq!((state.has_ended, &state.worker, &state.failure), (false, &part.worker, &None));
    }
    assert_eq!(store.partition_states(&tenant(), whole, 1).await.unwrap(), []);
}
