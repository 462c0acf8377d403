//! Executions: accepted, found, listed, restarted.

use serde_json::json;
use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Checkpoint, ExecutionContext, ExecutionFilter, Failure, Narrowing, NewJobExecution, Range, Save,
    StepExecution,
};
use stepbox_batch::job::{Job, JobInstance};
use stepbox_batch::name::{JobExecutionId, JobName, StepName};
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

pub async fn are_accepted_as_starting(store: &dyn JobRepository) {
    with_instance(store).await;
    let new = NewJobExecution {
        parameters: odd_object(),
        context: ExecutionContext([("k".to_owned(), odd_object())].into()),
        job: Job { folder: Some("/srv/acme".to_owned()), ..new("nightly").job },
        ..new("nightly")
    };
    let (accepted, lease) = store.create_execution(&new, None).await.unwrap();
    assert_eq!(lease, None);
    assert_eq!(accepted, stored(store, accepted.id).await, "what is returned is what is stored");

    assert_eq!(accepted.status, BatchStatus::Starting);
    assert_eq!(accepted.exit_status, ExitStatus::new(ExitStatus::EXECUTING));
    assert_eq!((accepted.tenant, accepted.instance, accepted.job), (tenant(), code("nightly"), new.job));
    assert_eq!((accepted.parameters, accepted.context), (new.parameters, new.context));
    assert_eq!((accepted.user.as_deref(), accepted.restart_of), (Some("julia"), None));
    assert_eq!((accepted.created_at, accepted.updated_at), (EARLIER, EARLIER));
    assert_eq!((accepted.started_at, accepted.ended_at), (None, None));
    assert_eq!((accepted.worker, accepted.attempt, accepted.stop_requested), (None, 0, false));
    assert_eq!((accepted.failures, accepted.steps), (vec![], vec![]));
}

pub async fn are_accepted_with_a_lease_at_once(store: &dyn JobRepository) {
    with_instance(store).await;
    let new = NewJobExecution { by: Actor::new(None, EARLIER), ..new("nightly") };
    let (accepted, lease) = store.create_execution(&new, Some(&claim("w-1", EARLIER))).await.unwrap();
    assert_eq!(accepted, stored(store, accepted.id).await);
    assert_eq!(accepted.status, BatchStatus::Starting);
    assert_eq!((accepted.worker.as_deref(), accepted.attempt), (Some("w-1"), 1));

    let lease = lease.unwrap();
    assert_eq!((&lease.tenant, lease.id), (&tenant(), accepted.id));
    assert_eq!(told(store.save(&lease, Save::default()).await), "ok");
    let other = store.claim(&tenant(), accepted.id, &claim("w-2", EARLIER), &by(NOW)).await;
    assert_eq!(told(other), "wrong-status", "it is taken from the start");
}

pub async fn need_an_instance(store: &dyn JobRepository) {
    let error = store.create_execution(&new("nightly"), None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no instance `nightly`");
    assert_eq!(store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap(), []);
}

pub async fn ids_grow_and_are_never_given_twice(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut last = JobExecutionId(0);
    for _ in 0..3 {
        let (execution, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
        assert!(execution.id > last, "{} after {last}", execution.id);
        last = execution.id;
    }
    let purged = store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    assert_eq!(purged.len(), 3);
    assert!(waiting(store).await.id > last);
}

pub async fn go_on_from_stopped_and_failed_ones(store: &dyn JobRepository) {
    use BatchStatus::*;
    with_instance(store).await;
    for status in BatchStatus::ALL {
        let (before, _) = in_status(store, status, Hold::Held).await;
        let new = NewJobExecution { restart_of: Some(before.id), ..new("nightly") };
        let restarted = store.create_execution(&new, None).await;
        let expected = if matches!(status, Stopped | Failed) { "ok" } else { "wrong-status" };
        assert_eq!(told(restarted), expected, "{status}");
    }
    let new = NewJobExecution { restart_of: Some(JobExecutionId(999)), ..new("nightly") };
    let error = store.create_execution(&new, None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no execution `999`");
}

pub async fn go_on_from_another_only_one_at_a_time(store: &dyn JobRepository) {
    with_instance(store).await;
    let (before, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
    let completed = StepExecution {
        status: BatchStatus::Completed,
        ended_at: Some(EARLIER),
        carried_from: Some(before.id),
        starts: 2,
        ..step()
    };
    let interrupted = StepExecution {
        position: 1,
        name: StepName::new("second").unwrap(),
        status: BatchStatus::Failed,
        ended_at: Some(EARLIER),
        checkpoint: Some(Checkpoint {
            reader: vec![0, 255],
            processors: vec![vec![]],
            writer: vec![1],
            rejected: vec![2],
        }),
        starts: 3,
        retries: 5,
        ..step()
    };
    let new = NewJobExecution {
        restart_of: Some(before.id),
        context: ExecutionContext([("k".to_owned(), json!(1))].into()),
        steps: vec![completed, interrupted],
        ..new("nightly")
    };
    let (second, lease) = store.create_execution(&new, Some(&claim("w-1", EARLIER))).await.unwrap();
    assert_eq!(second, stored(store, second.id).await);
    assert_eq!((second.restart_of, &second.context), (Some(before.id), &new.context));
    assert_eq!(second.steps, new.steps, "with checkpoints, starts and retries");

    let error = store.create_execution(&new, None).await.unwrap_err();
    let user = format!("execution {}, which continues it", second.id);
    assert_eq!(error.to_string(), format!("the execution `{}` is used by {user}", before.id));

    let mut ended = second;
    move_to(store, &lease.unwrap(), &mut ended, BatchStatus::Failed).await;
    let error = store.create_execution(&new, None).await.unwrap_err();
    assert_eq!(error.code(), "in-use", "the chain goes on at its end: {error}");
    store.create_execution(&NewJobExecution { restart_of: Some(ended.id), ..new }, None).await.unwrap();
}

pub async fn come_newest_first_and_filtered(store: &dyn JobRepository) {
    for code in ["nightly", "weekly"] {
        store.create_instance(&instance(code), &by(NOW)).await.unwrap();
    }
    let mut ids = Vec::new();
    for (position, code) in ["nightly", "weekly", "nightly", "weekly"].into_iter().enumerate() {
        let name = if position < 3 { "greet" } else { "leave" };
        let new = NewJobExecution { by: by(Timestamp(position as i64)), job: job("acme", name), ..new(code) };
        ids.push(store.create_execution(&new, None).await.unwrap().0.id);
    }
    store.request_stop(&tenant(), ids[1], &by(NOW)).await.unwrap();

    let all = ExecutionFilter::default();
    let rows = [
        (all.clone(), vec![3, 2, 1, 0]),
        (ExecutionFilter { instance: Some(code("nightly")), ..all.clone() }, vec![2, 0]),
        (ExecutionFilter { instance: Some(code("never")), ..all.clone() }, vec![]),
        (ExecutionFilter { statuses: vec![BatchStatus::Stopped], ..all.clone() }, vec![1]),
        (ExecutionFilter { job: Some(named("greet")), ..all.clone() }, vec![2, 1, 0]),
        (ExecutionFilter { job: Some(named("leave")), ..all.clone() }, vec![3]),
        (ExecutionFilter { job: Some(named("never")), ..all.clone() }, vec![]),
        (ExecutionFilter { created_before: Some(Timestamp(2)), ..all.clone() }, vec![1, 0]),
        (ExecutionFilter { created_since: Some(Timestamp(2)), ..all.clone() }, vec![3, 2]),
        (ExecutionFilter { before: Some(ids[2]), ..all.clone() }, vec![1, 0]),
        (ExecutionFilter { limit: 3, ..all.clone() }, vec![3, 2, 1]),
        (ExecutionFilter { before: Some(ids[3]), limit: 1, ..all.clone() }, vec![2]),
        (
            ExecutionFilter {
                instance: Some(code("weekly")),
                job: Some(named("leave")),
                statuses: vec![BatchStatus::Starting, BatchStatus::Failed],
                hidden: vec![code("nightly")],
                created_since: Some(Timestamp(3)),
                created_before: Some(Timestamp(9)),
                narrowing: Default::default(),
                before: Some(JobExecutionId(u64::MAX)),
                after: Some(JobExecutionId(0)),
                is_oldest_first: false,
                limit: 9,
            },
            vec![3],
        ),
        (ExecutionFilter { after: Some(ids[1]), ..all.clone() }, vec![3, 2]),
        (ExecutionFilter { after: Some(ids[3]), ..all.clone() }, vec![]),
        (ExecutionFilter { after: Some(ids[0]), is_oldest_first: true, limit: 2, ..all.clone() }, vec![1, 2]),
        (ExecutionFilter { after: Some(ids[0]), before: Some(ids[2]), ..all.clone() }, vec![1]),
        (
            ExecutionFilter {
                statuses: vec![BatchStatus::Starting, BatchStatus::Stopped],
                is_oldest_first: true,
                limit: 3,
                ..all.clone()
            },
            vec![0, 1, 2],
        ),
        (
            ExecutionFilter {
                narrowing: Narrowing { warnings: Range { min: None, max: Some(0) }, ..Narrowing::default() },
                is_oldest_first: true,
                limit: 2,
                ..all.clone()
            },
            vec![0, 1],
        ),
    ];
    for (filter, expected) in rows {
        let expected: Vec<_> = expected.into_iter().map(|index: usize| ids[index]).collect();
        assert_eq!(listed(store, &filter).await, expected, "{filter:?}");
    }
    assert_eq!(store.execution(&tenant(), JobExecutionId(u64::MAX)).await.unwrap(), None);
}

fn named(job: &str) -> JobName {
    JobName::new(job).unwrap()
}

/// Each page begins after the last execution of the page before, whatever their statuses are.
pub async fn in_several_statuses_come_page_by_page(store: &dyn JobRepository) {
    use BatchStatus::*;
    with_instance(store).await;
    let mut wanted = Vec::new();
    for status in [Failed, Completed, Stopped, Failed, Failed, Completed, Stopped, Started, Failed] {
        let (execution, _) = in_status(store, status, Hold::Free).await;
        if matches!(status, Failed | Stopped) {
            wanted.insert(0, execution.id);
        }
    }
    for statuses in [vec![Failed, Stopped], vec![Stopped, Failed, Abandoned, Stopped]] {
        for job in [None, Some(named("greet"))] {
            let mut filter =
                ExecutionFilter { statuses: statuses.clone(), job, limit: 2, ..Default::default() };
            let mut found = Vec::new();
            loop {
                let page = listed(store, &filter).await;
                let Some(last) = page.last() else { break };
                filter.before = Some(*last);
                found.extend(page);
            }
            assert_eq!(found, wanted, "{filter:?}");
            let all = ExecutionFilter { before: None, limit: 0, ..filter };
            assert_eq!(listed(store, &all).await, wanted, "{all:?}");
        }
    }
    let purged = ExecutionFilter { statuses: vec![Failed, Stopped], limit: 3, ..Default::default() };
    let purged = store.purge(&tenant(), &purged, &by(NOW)).await.unwrap();
    wanted.reverse();
    assert_eq!(purged, wanted[..3], "the oldest first");
}

/// Not even a count tells of executions of hidden instances.
pub async fn of_hidden_instances_are_left_out(store: &dyn JobRepository) {
    let codes = ["nightly", "weekly", "a", "ab"];
    let mut ids = Vec::new();
    for name in codes {
        store.create_instance(&instance(name), &by(NOW)).await.unwrap();
        ids.push(store.create_execution(&new(name), None).await.unwrap().0.id);
    }
    let rows = [
        (vec![], "ab a weekly nightly"),
        (vec!["a"], "ab weekly nightly"),
        (vec!["ab", "never"], "a weekly nightly"),
        (vec!["nightly", "weekly", "a", "ab"], ""),
    ];
    let starting = vec![BatchStatus::Starting];
    let both = vec![BatchStatus::Starting, BatchStatus::Failed];
    for (hidden, expected) in rows {
        let hidden: Vec<_> = hidden.into_iter().map(code).collect();
        let expected: Vec<_> = expected.split_whitespace().collect();
        for statuses in [vec![], starting.clone(), both.clone()] {
            for job in [None, Some(named("greet"))] {
                let filter = ExecutionFilter {
                    hidden: hidden.clone(),
                    statuses: statuses.clone(),
                    job,
                    ..ExecutionFilter::default()
                };
                let found = listed(store, &filter).await;
                let at = |id: &JobExecutionId| codes[ids.iter().position(|known| known == id).unwrap()];
                assert_eq!(found.iter().map(at).collect::<Vec<_>>(), expected, "{filter:?}");
            }
        }
        let asked = ExecutionFilter { instance: Some(code("a")), hidden, ..ExecutionFilter::default() };
        let is_hidden = asked.hidden.contains(&code("a"));
        assert_eq!(listed(store, &asked).await.is_empty(), is_hidden, "also if it is asked for by name");
    }
}

pub async fn are_listed_without_context_and_checkpoints(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let context = ExecutionContext([("key".to_owned(), json!("value"))].into());
    let failure = Failure {
        code: "file-not-found".to_owned(),
        culprit: "reader `csv`".to_owned(),
        place: String::new(),
        message: "it is not there".to_owned(),
        help: String::new(),
        remedies: Vec::new(),
    };
    let step = StepExecution { failures: vec![failure.clone()], warning_count: 7, ..step() };
    let checkpoint = Checkpoint { reader: vec![1, 2, 3], ..Checkpoint::default() };
    execution.failures.push(failure);
    let save = Save {
        execution: Some(&execution),
        context: Some(&context),
        step: Some(&step),
        checkpoint: Some(&checkpoint),
        ..Save::default()
    };
    store.save(&lease, save).await.unwrap();
    waiting(store).await;
    let whole = stored(store, execution.id).await;
    assert_eq!((&whole.context, whole.steps[0].checkpoint.as_ref()), (&context, Some(&checkpoint)));
    let listed = store.executions(&tenant(), &ExecutionFilter::default()).await.unwrap();
    assert!(listed.damaged.is_empty());
    assert_eq!(listed[1], whole.summary());
    assert_eq!(listed[1].steps, [step]);
    let components: Vec<_> =
        listed[0].job.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!((listed[0].job.name.as_str(), components), ("greet", vec!["greet"]));
    let remains = store.remains(&tenant(), execution.id).await.unwrap().unwrap();
    assert_eq!(remains.damage, [""; 0]);
    assert!(
        remains.fields.iter().any(|(name, text)| name == "step 0 checkpoint" && text.ends_with(" bytes"))
    );
    assert_eq!(store.remains(&tenant(), JobExecutionId(999)).await.unwrap(), None);
}

pub async fn tell_what_they_go_on_from(store: &dyn JobRepository) {
    with_instance(store).await;
    let (first, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
    let restart = NewJobExecution { restart_of: Some(first.id), ..new("nightly") };
    let (second, lease) = store.create_execution(&restart, Some(&claim("w-2", EARLIER))).await.unwrap();
    let ids = async |id| {
        let line = store.ancestry(&tenant(), id).await.unwrap();
        line.into_iter().map(|ancestor| (ancestor.id, ancestor.restart_of)).collect::<Vec<_>>()
    };
    assert_eq!(ids(second.id).await, [(second.id, Some(first.id)), (first.id, None)]);
    assert_eq!(ids(first.id).await, [(first.id, None)]);
    assert_eq!(ids(JobExecutionId(999)).await, []);
    let mut second = second;
    move_to(store, &lease.unwrap(), &mut second, BatchStatus::Started).await;
    store.purge(&tenant(), &ExecutionFilter::default(), &by(NOW)).await.unwrap();
    assert_eq!(ids(second.id).await, [(second.id, Some(first.id))], "as far as it is there");
}

pub async fn keep_their_parameters_when_the_instance_changes(store: &dyn JobRepository) {
    with_instance(store).await;
    let execution = waiting(store).await;
    let changed = JobInstance { raw_parameters: json!({"greeting": "bye"}), ..instance("nightly") };
    store.update_instance(&changed, None, &by(NOW)).await.unwrap();
    store.put_connector(&tenant(), &connector("acme", "Acme", &["greet"]), &by(NOW)).await.unwrap();
    assert_eq!(stored(store, execution.id).await, execution);
}
