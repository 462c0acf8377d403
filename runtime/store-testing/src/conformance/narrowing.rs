//! What people narrow the list of executions by.

use stepbox_batch::actor::Actor;
use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::status::BatchStatus;
use stepbox_batch::execution::{
    Choice, ExecutionFilter, Narrowing, NewJobExecution, Range, Save, StepExecution, Took,
};
use stepbox_batch::job::{Job, JobInstance, Step};
use stepbox_batch::name::{ConnectorCode, InstanceCode, JobExecutionId, JobName, StepName};
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

fn any_of<T>(values: Vec<T>) -> Choice<T> {
    Choice { any_of: values, none_of: Vec::new() }
}

fn none_of<T>(values: Vec<T>) -> Choice<T> {
    Choice { any_of: Vec::new(), none_of: values }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn step_names(names: &[&str]) -> Vec<StepName> {
    names.iter().map(|name| StepName::new(*name).unwrap()).collect()
}

fn filter(narrowing: Narrowing) -> ExecutionFilter {
    ExecutionFilter { narrowing, ..ExecutionFilter::default() }
}

/// An execution of a job with these steps.
async fn created(store: &dyn JobRepository, new: NewJobExecution) -> JobExecutionId {
    store.create_execution(&new, None).await.unwrap().0.id
}

fn job_of(connector: &str, name: &str, job_type: &str, steps: &[&str]) -> Job {
    let job = job(connector, name);
    let step = |step: &&str| Step { name: StepName::new(*step).unwrap(), ..job.steps[0].clone() };
    Job { steps: steps.iter().map(step).collect(), job_type: job_type.to_owned(), ..job.clone() }
}

fn asked_by(user: Option<&str>, at: i64) -> Actor {
    Actor::new(user, Timestamp(at))
}

/// The places of what a filter lists and counts, oldest first.
async fn places(store: &dyn JobRepository, ids: &[JobExecutionId], filter: &ExecutionFilter) -> Vec<usize> {
    let mut found = listed(store, filter).await;
    let counted = store.count_executions(&tenant(), filter, 100).await.unwrap();
    assert_eq!(counted, found.len() as u64, "{filter:?}");
    assert!(found.is_sorted_by(|one, next| one > next), "{found:?}");
    let page = ExecutionFilter { limit: 1, ..filter.clone() };
    assert_eq!(listed(store, &page).await, found.iter().copied().take(1).collect::<Vec<_>>(), "{filter:?}");
    found.reverse();
    found.iter().map(|id| ids.iter().position(|known| known == id).unwrap()).collect()
}

pub async fn goes_by_what_an_execution_was_accepted_with(store: &dyn JobRepository) {
    for name in ["nightly", "weekly"] {
        store.create_instance(&instance(name), &by(NOW)).await.unwrap();
    }
    let rows = [
        ("nightly", job_of("acme", "greet", "export", &["read", "greet"]), Some("julia")),
        ("weekly", job_of("acme", "leave", "import", &["leave"]), Some("token ci")),
        ("weekly", job_of("other", "leave", "export", &["greet"]), None),
        ("nightly", job_of("acme", "greet", "weird \"type\" \0", &["greet_2"]), Some("schedule")),
    ];
    let mut ids = Vec::new();
    for (number, (code, job, user)) in rows.into_iter().enumerate() {
        ids.push(
            created(store, NewJobExecution { job, by: asked_by(user, number as i64), ..new(code) }).await,
        );
    }
    let all = Narrowing::default;
    let codes = |codes: &[&str]| codes.iter().map(|text| code(text)).collect::<Vec<InstanceCode>>();
    let jobs = |names: &[&str]| names.iter().map(|name| JobName::new(*name).unwrap()).collect::<Vec<_>>();
    let connector = |code: &str| ConnectorCode::new(code).unwrap();
    let rows = [
        (all(), vec![0, 1, 2, 3]),
        (Narrowing { ids: vec![ids[1], ids[3], JobExecutionId(999)], ..all() }, vec![1, 3]),
        (Narrowing { instances: any_of(codes(&["nightly", "never"])), ..all() }, vec![0, 3]),
        (Narrowing { instances: none_of(codes(&["nightly"])), ..all() }, vec![1, 2]),
        (Narrowing { jobs: any_of(jobs(&["greet", "never"])), ..all() }, vec![0, 3]),
        (Narrowing { jobs: none_of(jobs(&["greet"])), ..all() }, vec![1, 2]),
        (Narrowing { types: any_of(texts(&["export"])), ..all() }, vec![0, 2]),
        (Narrowing { types: any_of(texts(&["weird \"type\" \0"])), ..all() }, vec![3]),
        (Narrowing { types: none_of(texts(&["export", "import"])), ..all() }, vec![3]),
        (Narrowing { connectors: any_of(vec![connector("other")]), ..all() }, vec![2]),
        (Narrowing { connectors: none_of(vec![connector("other")]), ..all() }, vec![0, 1, 3]),
        (Narrowing { steps: any_of(step_names(&["greet"])), ..all() }, vec![0, 2]),
        (Narrowing { steps: any_of(step_names(&["leave", "greet_2"])), ..all() }, vec![1, 3]),
        (Narrowing { steps: none_of(step_names(&["greet", "leave"])), ..all() }, vec![3]),
        (Narrowing { users: any_of(texts(&["julia", "token ci"])), ..all() }, vec![0, 1]),
        (Narrowing { users: none_of(texts(&["schedule"])), ..all() }, vec![0, 1, 2]),
        (Narrowing { not_statuses: vec![BatchStatus::Starting], ..all() }, vec![]),
        (Narrowing { not_statuses: vec![BatchStatus::Failed], ..all() }, vec![0, 1, 2, 3]),
        (Narrowing { types: any_of(texts(&["export"])), users: any_of(texts(&["julia"])), ..all() }, vec![0]),
    ];
    for (narrowing, expected) in rows {
        let whole = filter(narrowing);
        assert_eq!(places(store, &ids, &whole).await, expected, "{whole:?}");
        // Together with what has an index of its own.
        let also = [
            ExecutionFilter { statuses: vec![BatchStatus::Starting], ..whole.clone() },
            ExecutionFilter { statuses: vec![BatchStatus::Starting, BatchStatus::Failed], ..whole.clone() },
            ExecutionFilter { created_since: Some(Timestamp(0)), ..whole.clone() },
        ];
        for filter in also {
            assert_eq!(places(store, &ids, &filter).await, expected, "{filter:?}");
        }
        let without_nightly = |places: &[usize]| -> Vec<usize> {
            places.iter().copied().filter(|place| matches!(place, 1 | 2)).collect()
        };
        let hidden = ExecutionFilter { hidden: vec![code("nightly")], ..whole.clone() };
        assert_eq!(places(store, &ids, &hidden).await, without_nightly(&expected), "{hidden:?}");
        let weekly = ExecutionFilter { instance: Some(code("weekly")), ..whole.clone() };
        assert_eq!(places(store, &ids, &weekly).await, without_nightly(&expected), "{weekly:?}");
        let after = ExecutionFilter { before: Some(ids[2]), ..whole };
        let older: Vec<_> = expected.into_iter().filter(|place| *place < 2).collect();
        assert_eq!(places(store, &ids, &after).await, older, "{after:?}");
    }
}

pub async fn goes_by_how_long_it_took(store: &dyn JobRepository) {
    with_instance(store).await;
    let waits = waiting(store).await.id;
    let (running, _) = started(store).await;
    let mut ids = vec![waits, running.id];
    for ms in [0, 1000, 90_000] {
        let (mut execution, lease) = started(store).await;
        execution.status = BatchStatus::Completed;
        execution.ended_at = Some(EARLIER.plus_ms(ms));
        store.save(&lease, Save { execution: Some(&execution), ..Save::default() }).await.unwrap();
        ids.push(execution.id);
    }
    let range = |min, max| {
        filter(Narrowing { took: Some(Took { ms: Range { min, max }, now: NOW }), ..Narrowing::default() })
    };
    // The running one has taken a minute.
    let rows = [
        (range(None, None), vec![0, 1, 2, 3, 4]),
        (range(Some(0), None), vec![1, 2, 3, 4]),
        (range(Some(60_000), None), vec![1, 4]),
        (range(Some(60_001), None), vec![4]),
        (range(None, Some(1000)), vec![2, 3]),
        (range(Some(1), Some(1000)), vec![3]),
        (range(Some(u64::MAX), None), vec![]),
    ];
    for (filter, expected) in rows {
        assert_eq!(places(store, &ids, &filter).await, expected, "{filter:?}");
    }
}

/// However often a step is saved, its warnings count once; those of its parts count when the step has them.
pub async fn goes_by_the_warnings_of_all_steps(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let ids = [execution.id, waiting(store).await.id];
    let carried =
        StepExecution { status: BatchStatus::Completed, ended_at: Some(EARLIER), warning_count: 4, ..step() };
    let (failed, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
    let restart = NewJobExecution { restart_of: Some(failed.id), steps: vec![carried], ..new("nightly") };
    let ids = [ids[0], ids[1], failed.id, created(store, restart).await];
    let range = |min, max| filter(Narrowing { warnings: Range { min, max }, ..Narrowing::default() });
    let exactly = |count| range(Some(count), Some(count));

    assert_eq!(places(store, &ids, &range(Some(1), None)).await, [3], "those that a restart brings");
    let second = StepExecution { position: 1, name: StepName::new("second").unwrap(), ..step() };
    for (position, count, expected) in [(0, 2, 2), (0, 2, 2), (0, 5, 5), (1, 3, 8), (1, 0, 5), (0, 1, 1)] {
        let step = if position == 0 { step() } else { second.clone() };
        let step = StepExecution { warning_count: count, ..step };
        store.save(&lease, Save { step: Some(&step), ..Save::default() }).await.unwrap();
        assert_eq!(places(store, &ids, &exactly(expected)).await, [0], "{position} {count}");
    }
    let most = StepExecution { warning_count: u64::MAX, ..step() };
    for step in [&most, &most] {
        store.save(&lease, Save { step: Some(step), ..Save::default() }).await.unwrap();
    }
    assert_eq!(places(store, &ids, &range(Some(1_000), None)).await, [0]);
    assert_eq!(places(store, &ids, &range(None, Some(0))).await, [1, 2]);
}

pub async fn tells_continued_ones_from_others(store: &dyn JobRepository) {
    with_instance(store).await;
    let (first, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
    let (second, _) = in_status(store, BatchStatus::Failed, Hold::Free).await;
    let (stopped, _) = in_status(store, BatchStatus::Stopped, Hold::Free).await;
    let restart = NewJobExecution { restart_of: Some(first.id), ..new("nightly") };
    let ids = [first.id, second.id, stopped.id, created(store, restart).await];
    let is = |is_restarted| filter(Narrowing { is_restarted: Some(is_restarted), ..Narrowing::default() });
    let failed = |filter| ExecutionFilter { statuses: vec![BatchStatus::Failed], ..filter };
    let both =
        |filter| ExecutionFilter { statuses: vec![BatchStatus::Failed, BatchStatus::Stopped], ..filter };
    let rows = [
        (is(true), vec![0]),
        (is(false), vec![1, 2, 3]),
        (failed(is(false)), vec![1]),
        (failed(is(true)), vec![0]),
        (both(is(false)), vec![1, 2]),
    ];
    for (filter, expected) in rows {
        assert_eq!(places(store, &ids, &filter).await, expected, "{filter:?}");
    }
}

pub async fn searches_codes_and_labels(store: &dyn JobRepository) {
    let labelled = [("print_catalogue", "Catalogue for Print"), ("shop_prices", "100 % off_ 'x' \\ Ü")];
    let mut ids = Vec::new();
    for (text, label) in labelled {
        let instance = JobInstance { label: label.to_owned(), ..instance(text) };
        store.create_instance(&instance, &by(NOW)).await.unwrap();
        let (execution, lease) =
            store.create_execution(&new(text), Some(&claim("w-1", EARLIER))).await.unwrap();
        let mut execution = execution;
        move_to(store, &lease.unwrap(), &mut execution, BatchStatus::Failed).await;
        ids.push(execution.id);
    }
    let text = |text: &str| filter(Narrowing { text: Some(text.to_owned()), ..Narrowing::default() });
    let rows = [
        ("print", vec![0]),
        ("CATALOGUE FOR", vec![0]),
        ("shop_", vec![1]),
        ("shop%", vec![]),
        ("% off_", vec![1]),
        ("'x' \\", vec![1]),
        ("Ü", vec![1]),
        ("pri", vec![0, 1]),
        ("never", vec![]),
    ];
    for (word, expected) in rows {
        assert_eq!(places(store, &ids, &text(word)).await, expected, "{word}");
    }
    let hidden = ExecutionFilter { hidden: vec![code("shop_prices")], ..text("pri") };
    assert_eq!(places(store, &ids, &hidden).await, [0]);
    store.delete_instance(&tenant(), &code("print_catalogue"), None, &by(NOW)).await.unwrap();
    assert_eq!(places(store, &ids, &text("catalogue")).await, [0], "by its code");
    assert_eq!(places(store, &ids, &text("for print")).await, [0; 0], "the label is gone");
}

pub async fn counts_up_to_a_bound(store: &dyn JobRepository) {
    with_instance(store).await;
    for _ in 0..3 {
        waiting(store).await;
    }
    let all = ExecutionFilter::default();
    let starting = ExecutionFilter { statuses: vec![BatchStatus::Starting], ..all.clone() };
    let several =
        ExecutionFilter { statuses: vec![BatchStatus::Starting, BatchStatus::Failed], ..all.clone() };
    let of_instance = ExecutionFilter { instance: Some(code("nightly")), ..all.clone() };
    let julia = filter(Narrowing { users: any_of(texts(&["julia"])), ..Narrowing::default() });
    for filter in [all, starting, several, of_instance, julia] {
        for (max, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (10_001, 3)] {
            // The limit is that of the page, which is not what is counted.
            let page = ExecutionFilter { limit: 1, ..filter.clone() };
            assert_eq!(store.count_executions(&tenant(), &page, max).await.unwrap(), expected, "{filter:?}");
        }
    }
}
