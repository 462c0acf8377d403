//! The events of executions: exactly those of each life, in their order; a reader misses none.

use std::collections::BTreeMap;
use std::time::Duration;

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::event::{EVENTS_KEPT_MAX, EventKind, EventNumber, Happened};
use stepbox_batch::execution::queue::{Enqueue, QueueClaim, QueueFilter};
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{
    Claim, Claimed, ExecutionFilter, JobExecution, Lease, NewJobExecution, Partition, Save, StepExecution,
    Tracking,
};
use stepbox_batch::job::JobInstance;
use stepbox_batch::name::{JobExecutionId, TenantId};
use stepbox_batch::ports::{EventPage, JobRepository};

use crate::sample::*;

/// The life of an execution, in the words of its events.
async fn life(store: &dyn JobRepository, id: JobExecutionId) -> String {
    let events = all_events(store, Some(&tenant())).await;
    let of_it = events.iter().filter(|event| event.id == id);
    of_it.map(|event| in_words(&event.happened)).collect::<Vec<_>>().join(", ")
}

async fn end_of_stream(store: &dyn JobRepository) -> EventNumber {
    let mut after = EventNumber::BEGINNING;
    loop {
        let page = store.events_after(None, after, 500).await.unwrap();
        if page.next == after {
            return after;
        }
        after = page.next;
    }
}

/// A published execution of `nightly` that has lost no worker yet and may lose two.
async fn published(store: &dyn JobRepository) -> JobExecution {
    let queue = Some(Enqueue { attempts_max: 2, ..Enqueue::at_once(EARLIER) });
    store.create_execution(&NewJobExecution { queue, ..new("nightly") }, None).await.unwrap().0
}

async fn claimed(store: &dyn JobRepository, claim: Claim) -> Vec<(JobExecution, Lease)> {
    let wanted =
        QueueClaim { claim, tenants: vec![(tenant(), 100)], filter: QueueFilter::default(), limit: 1 };
    store.claim_next(&wanted).await.unwrap().into_iter().map(Claimed::into_parts).collect()
}

/// Ends the step and the execution in one save, as a worker does at the end.
async fn complete(store: &dyn JobRepository, lease: &Lease, execution: &mut JobExecution) {
    execution.status = Completed;
    execution.exit_status = ExitStatus::new(ExitStatus::COMPLETED);
    execution.ended_at = Some(NOW);
    let step = StepExecution { status: Completed, ended_at: Some(NOW), ..step() };
    let save = Save { execution: Some(execution), step: Some(&step), is_last: true, ..Save::default() };
    store.save(lease, save).await.unwrap();
}

pub async fn tell_a_life_in_its_order(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    complete(store, &lease, &mut execution).await;
    let events = all_events(store, Some(&tenant())).await;
    let told: Vec<_> = events.iter().map(|event| in_words(&event.happened)).collect();
    assert_eq!(told, ["submitted", "started", "step 0 COMPLETED", "ended COMPLETED"]);
    assert!(events.is_sorted_by(|a, b| a.number < b.number));
    for event in &events {
        assert_eq!((&event.tenant, event.id), (&tenant(), execution.id));
        assert_eq!((&event.instance, event.part_of), (&code("nightly"), None));
    }
    assert_eq!(events[0].at, EARLIER);
    assert_eq!(events[0].happened, Happened::Submitted { restart_of: None });
    let Happened::StepEnded { step: name, .. } = &events[2].happened else { panic!("{events:?}") };
    assert_eq!(name.as_str(), "greet");
    let ended = Happened::Ended { status: Completed, exit_code: ExitStatus::COMPLETED.to_owned() };
    assert_eq!(events[3].happened, ended);
}

pub async fn tell_of_ends_without_a_worker(store: &dyn JobRepository) {
    with_instance(store).await;
    let stopped = published(store).await.id;
    store.request_stop(&tenant(), stopped, &by(NOW)).await.unwrap();
    assert_eq!(life(store, stopped).await, "submitted, ended STOPPED");
    let given_up = waiting(store).await.id;
    store.abandon(&tenant(), given_up, &by(NOW)).await.unwrap();
    assert_eq!(life(store, given_up).await, "submitted, ended ABANDONED");
    let (failed, _) = in_status(store, Failed, Hold::Free).await;
    store.abandon(&tenant(), failed.id, &by(NOW)).await.unwrap();
    assert_eq!(life(store, failed.id).await, "submitted, started, ended FAILED, ended ABANDONED");
    let (running, _) = in_status(store, Started, Hold::Held).await;
    store.request_stop(&tenant(), running.id, &by(NOW)).await.unwrap();
    assert_eq!(life(store, running.id).await, "submitted, started", "the worker has not stopped yet");
}

pub async fn tell_of_a_rest_and_a_resumption(store: &dyn JobRepository) {
    with_instance(store).await;
    let (paused, _) = in_status(store, Paused, Hold::Free).await;
    let lease = store.claim(&tenant(), paused.id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    let mut execution = stored(store, paused.id).await;
    move_to(store, &lease, &mut execution, Started).await;
    assert_eq!(life(store, paused.id).await, "submitted, started, paused, started");
}

pub async fn tell_of_lost_workers(store: &dyn JobRepository) {
    with_instance(store).await;
    let id = published(store).await.id;
    for attempt in 0..2 {
        let (mut execution, lease) = claimed(store, claim("w-1", EARLIER)).await.remove(0);
        move_to(store, &lease, &mut execution, Started).await;
        store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
        assert_eq!(lost(store, NOW).await.len(), 1, "attempt {attempt}");
        assert_eq!(lost(store, NOW).await, [], "a second look finds nothing, and tells of nothing");
    }
    let expected = "submitted, started, rescued, started, step 0 FAILED, ended FAILED";
    assert_eq!(life(store, id).await, expected);
}

pub async fn tell_of_parts_and_their_whole(store: &dyn JobRepository) {
    with_instance(store).await;
    let (whole, lease) = started(store).await;
    let part = |number| NewJobExecution {
        partition: Some(Partition { of: whole.id, position: 0, number, count: 2 }),
        steps: vec![StepExecution { status: Starting, ..step() }],
        queue: Some(Enqueue::at_once(EARLIER)),
        ..new("nightly")
    };
    store.create_partitions(&lease, &[part(0), part(1)]).await.unwrap();
    let (mut first, lease) = claimed(store, claim("w-2", EARLIER)).await.remove(0);
    move_to(store, &lease, &mut first, Started).await;
    complete(store, &lease, &mut first).await;
    let second = store.partitions(&tenant(), whole.id).await.unwrap()[1].id;
    // The worker of the whole is lost, and the whole is in no queue: the second part ends with it.
    store.rescue_lost(NOW).await.unwrap();
    assert_eq!(life(store, whole.id).await, "submitted, started, ended FAILED");
    assert_eq!(life(store, first.id).await, "submitted, started, step 0 COMPLETED, ended COMPLETED");
    assert_eq!(life(store, second).await, "submitted, step 0 STOPPED, ended STOPPED");
    for event in all_events(store, Some(&tenant())).await {
        assert_eq!(event.part_of, (event.id != whole.id).then_some(whole.id), "{event:?}");
    }
}

pub async fn tell_what_a_restart_goes_on_from(store: &dyn JobRepository) {
    with_instance(store).await;
    let (failed, _) = in_status(store, Failed, Hold::Free).await;
    let done = StepExecution { status: Completed, ended_at: Some(EARLIER), ..step() };
    let restart = NewJobExecution { restart_of: Some(failed.id), steps: vec![done], ..new("nightly") };
    let (next, _) = store.create_execution(&restart, None).await.unwrap();
    let events = all_events(store, Some(&tenant())).await;
    let of_it: Vec<_> = events.iter().filter(|event| event.id == next.id).collect();
    assert_eq!(of_it.len(), 1, "a step that was carried over has ended before: {of_it:?}");
    assert_eq!(of_it[0].happened, Happened::Submitted { restart_of: Some(failed.id) });
}

pub async fn belong_to_changes_alone(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let ended_step = StepExecution { status: Completed, ended_at: Some(NOW), ..step() };
    store.save(&lease, Save { step: Some(&ended_step), ..Save::default() }).await.unwrap();
    let before = all_events(store, None).await;
    // Saves that make no change that others see.
    for status in [Started, Stopping] {
        let again = JobExecution { status, ..execution.clone() };
        let save = Save { execution: Some(&again), step: Some(&ended_step), ..Save::default() };
        store.save(&lease, save).await.unwrap();
    }
    store.save(&lease, Save { context: Some(&execution.context), ..Save::default() }).await.unwrap();
    store.save_tracking(&lease, 0, Tracking { processed: 7, ..Tracking::default() }, NOW).await.unwrap();
    store.heartbeat(&lease, NOW, LEASE_MS).await.unwrap();
    store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    // Saves that are refused.
    let completed = JobExecution { status: Completed, ended_at: Some(NOW), ..execution.clone() };
    let late = Lease { token: lease.token + 1, ..lease.clone() };
    let full = Some(Enqueue { queued_max: Some(0), ..Enqueue::at_once(NOW) });
    let step_of_late = Save { execution: Some(&completed), step: Some(&ended_step), ..Save::default() };
    let answers = [
        told(store.save(&late, step_of_late).await),
        told(store.create_execution(&new("weekly"), None).await),
        told(store.create_execution(&NewJobExecution { queue: full, ..new("nightly") }, None).await),
        told(store.abandon(&tenant(), execution.id, &by(NOW)).await),
    ];
    assert_eq!(answers, ["lease-lost", "not-found", "queue-full", "wrong-status"]);
    assert_eq!(all_events(store, None).await, before);
    // The end is one event, however often it is saved.
    for _ in 0..2 {
        store.save(&lease, Save { execution: Some(&completed), ..Save::default() }).await.unwrap();
    }
    assert_eq!(life(store, execution.id).await, "submitted, started, step 0 COMPLETED, ended COMPLETED");
}

pub async fn come_page_by_page_and_by_tenant(store: &dyn JobRepository) {
    with_instance(store).await;
    let other = TenantId::new("other").unwrap();
    let elsewhere = JobInstance { tenant: other.clone(), ..instance("nightly") };
    store.create_instance(&elsewhere, &by(NOW)).await.unwrap();
    let mut ids = Vec::new();
    for owner in [tenant(), other.clone(), tenant(), tenant(), other.clone()] {
        let new = NewJobExecution { tenant: owner, ..new("nightly") };
        ids.push(store.create_execution(&new, None).await.unwrap().0.id);
    }
    let told = |page: &EventPage| page.events.iter().map(|event| event.id).collect::<Vec<_>>();
    let first = store.events_after(None, EventNumber::BEGINNING, 2).await.unwrap();
    assert_eq!(told(&first), ids[..2]);
    assert_eq!(first.next, first.events[1].number);
    let second = store.events_after(None, first.next, 2).await.unwrap();
    assert_eq!(told(&second), ids[2..4]);
    let third = store.events_after(None, second.next, 2).await.unwrap();
    assert_eq!(told(&third), ids[4..]);
    let none = store.events_after(None, third.next, 2).await.unwrap();
    assert_eq!((told(&none), none.next), (Vec::new(), third.next));

    let theirs = store.events_after(Some(&other), EventNumber::BEGINNING, 10).await.unwrap();
    assert_eq!(told(&theirs), [ids[1], ids[4]]);
    let ours = store.events_after(Some(&tenant()), EventNumber::BEGINNING, 10).await.unwrap();
    assert_eq!(told(&ours), [ids[0], ids[2], ids[3]]);
    assert_eq!(ours.next, third.next, "what others had in between need not be looked at again");
    let stranger = TenantId::new("stranger").unwrap();
    let nothing = store.events_after(Some(&stranger), EventNumber::BEGINNING, 10).await.unwrap();
    assert_eq!((told(&nothing), nothing.next), (Vec::new(), third.next));
}

/// How many writers there are, and how many executions each of them runs to the end.
const WRITERS: usize = 8;
const EACH: usize = 6;

pub async fn none_is_missed_beside_many_writers(store: &dyn JobRepository) {
    with_instance(store).await;
    let writer = |number: usize| async move {
        for _ in 0..EACH {
            let first = claim(&format!("w-{number}"), EARLIER);
            let (mut execution, lease) = store.create_execution(&new("nightly"), Some(&first)).await.unwrap();
            let lease = lease.unwrap();
            move_to(store, &lease, &mut execution, Started).await;
            complete(store, &lease, &mut execution).await;
        }
    };
    let reader = async {
        let (mut seen, mut after) = (Vec::new(), EventNumber::BEGINNING);
        while seen.len() < WRITERS * EACH * 4 {
            let page = store.events_after(None, after, 7).await.unwrap();
            if page.events.is_empty() {
                store.wait_for_events(page.next, 1000).await;
            }
            after = page.next;
            seen.extend(page.events);
        }
        seen
    };
    let writers = all_at_once((0..WRITERS).map(writer));
    let (seen, ()) = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(reader, writers) })
        .await
        .expect("each event comes to the reader");
    assert!(seen.is_sorted_by(|a, b| a.number < b.number));
    let mut lives: BTreeMap<JobExecutionId, Vec<EventKind>> = BTreeMap::new();
    for event in &seen {
        lives.entry(event.id).or_default().push(event.happened.kind());
    }
    let whole = [EventKind::Submitted, EventKind::Started, EventKind::StepEnded, EventKind::Ended];
    assert_eq!(lives.len(), WRITERS * EACH);
    assert!(lives.values().all(|life| *life == whole), "{lives:?}");
    assert_eq!(all_events(store, None).await, seen, "who reads later reads the same");
}

pub async fn who_waits_for_them_hears_of_them(store: &dyn JobRepository) {
    with_instance(store).await;
    let end = end_of_stream(store).await;
    let waits = store.wait_for_events(end, 60_000);
    let ends = async {
        tokio::task::yield_now().await;
        waiting(store).await
    };
    let heard = async { tokio::join!(waits, ends) };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("the wait ends with the event");
    // An event from before the wait ends the wait, too; without an event, the timeout ends it.
    tokio::time::timeout(Duration::from_secs(20), store.wait_for_events(end, 60_000)).await.unwrap();
    store.wait_for_events(end_of_stream(store).await, 1).await;
}

pub async fn of_purged_executions_are_told_no_more(store: &dyn JobRepository) {
    with_instance(store).await;
    let (gone, _) = in_status(store, Failed, Hold::Free).await;
    let kept = waiting(store).await;
    let before = end_of_stream(store).await;
    store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    let left = all_events(store, None).await;
    assert!(left.iter().all(|event| event.id == kept.id) && left.len() == 1, "{gone:?}: {left:?}");
    assert_eq!(end_of_stream(store).await, before);
}

pub async fn are_dropped_when_they_are_old(store: &dyn JobRepository) {
    with_instance(store).await;
    assert_eq!(store.drop_events(NOW, EVENTS_KEPT_MAX).await.unwrap(), 0);
    // In one case the events are read before they are dropped, in the other case not.
    let reads = [true, false];
    for was_read in reads {
        let begin = end_of_stream(store).await;
        let old = waiting(store).await;
        if was_read {
            assert_eq!(store.events_after(None, begin, 10).await.unwrap().events.len(), 1);
        }
        let later = NewJobExecution { by: by(NOW), ..new("nightly") };
        assert_eq!(store.drop_events(EARLIER, EVENTS_KEPT_MAX).await.unwrap(), 0, "it is not old yet");
        assert_eq!(store.drop_events(NOW, EVENTS_KEPT_MAX).await.unwrap(), 1, "{}", old.id);
        let (young, _) = store.create_execution(&later, None).await.unwrap();
        assert_eq!(store.drop_events(NOW, EVENTS_KEPT_MAX).await.unwrap(), 0);

        let page = store.events_after(None, begin, 10).await.unwrap();
        assert_eq!(page.events.iter().map(|event| event.id).collect::<Vec<_>>(), [young.id]);
        assert!(!page.is_complete, "the reader is told that it may have missed something");
        let next = store.events_after(None, page.next, 10).await.unwrap();
        assert!(next.is_complete && next.events.is_empty());
        assert_eq!(store.drop_events(NOW.plus_ms(1), EVENTS_KEPT_MAX).await.unwrap(), 1);
    }
    for _ in 0..5 {
        waiting(store).await;
    }
    let begin = end_of_stream(store).await;
    for _ in 0..5 {
        waiting(store).await;
    }
    assert_eq!(store.drop_events(Timestamp(0), 100).await.unwrap(), 0);
    let dropped = store.drop_events(Timestamp(0), 4).await.unwrap();
    assert!(dropped >= 5, "{dropped} of those beyond the newest 4");
    assert!(!store.events_after(None, EventNumber::BEGINNING, 100).await.unwrap().is_complete);
    assert!(begin > EventNumber::BEGINNING);
}

pub async fn progress_is_read_without_them(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let at = EARLIER.plus_ms(10);
    let tracking = Tracking { processed: 5, total: Some(10), is_estimate: false };
    let running = StepExecution { tracking, updated_at: at, ..step() };
    store.save(&lease, Save { step: Some(&running), ..Save::default() }).await.unwrap();
    let events = all_events(store, None).await;
    let found = store.checkpointed(Some(&tenant()), at, 10).await.unwrap();
    assert_eq!(found.rows(), 1);
    let progress = &found[0];
    assert_eq!((&progress.tenant, progress.id, progress.position), (&tenant(), execution.id, 0));
    assert_eq!((progress.step.as_str(), progress.tracking, progress.at), ("greet", tracking, at));
    assert_eq!(store.checkpointed(None, at, 10).await.unwrap(), found);
    assert_eq!(store.checkpointed(None, at.plus_ms(1), 10).await.unwrap().rows(), 0, "not saved since");
    let other = TenantId::new("other").unwrap();
    assert_eq!(store.checkpointed(Some(&other), at, 10).await.unwrap().rows(), 0);
    assert_eq!(all_events(store, None).await, events, "a checkpoint is no event");
    complete(store, &lease, &mut execution).await;
    assert_eq!(store.checkpointed(None, at, 10).await.unwrap().rows(), 0, "it has ended");
}
