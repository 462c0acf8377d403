//! The saves of a worker.

use serde_json::json;
use stepbox_batch::execution::status::{BatchStatus, ExitStatus};
use stepbox_batch::execution::{
    Checkpoint, Counts, ExecutionContext, Failure, JobExecution, Save, StepExecution, SummaryValue, Tracking,
};
use stepbox_batch::metering::ResourceUsage;
use stepbox_batch::name::{JobExecutionId, StepName, TenantId};
use stepbox_batch::ports::JobRepository;
use stepbox_batch::remedy::{HttpList, Remedy};

use crate::sample::*;

pub async fn move_only_where_the_state_machine_says_so(store: &dyn JobRepository) {
    with_instance(store).await;
    for status in BatchStatus::ALL.into_iter().filter(|status| *status != BatchStatus::Abandoned) {
        for next in BatchStatus::ALL {
            let (mut execution, lease) = in_status(store, status, Hold::Held).await;
            execution.status = next;
            let saved = store.save(&lease, Save { execution: Some(&execution), ..Save::default() }).await;
            let now = stored(store, execution.id).await.status;
            if next == status || status.may_become(next) {
                assert_eq!((told(saved), now), ("ok", next), "{status} → {next}");
            } else {
                let reason = format!("execution {} is {status}: it cannot become {next}", execution.id);
                assert_eq!((saved.unwrap_err().to_string(), now), (reason, status));
            }
        }
    }
}

pub async fn write_the_state_and_nothing_else(store: &dyn JobRepository) {
    with_instance(store).await;
    let (before, lease) = started(store).await;
    let state = JobExecution {
        status: BatchStatus::Failed,
        exit_status: ExitStatus::new("PARTIAL").with_description("three of four"),
        started_at: Some(EARLIER.plus_ms(1)),
        ended_at: Some(NOW),
        updated_at: NOW.plus_ms(1),
        failures: vec![failure("first"), failure("second")],
        ..before.clone()
    };
    let meddled = JobExecution {
        instance: code("weekly"),
        job: job("other", "other"),
        parameters: json!({}),
        user: None,
        created_at: NOW,
        worker: None,
        attempt: 9,
        stop_requested: true,
        pause_requested: true,
        restart_of: Some(JobExecutionId(1)),
        context: ExecutionContext([("k".to_owned(), json!(1))].into()),
        steps: vec![step()],
        ..state.clone()
    };
    store.save(&lease, Save { execution: Some(&meddled), ..Save::default() }).await.unwrap();
    assert_eq!(stored(store, before.id).await, state);

    let context = ExecutionContext([("k".to_owned(), odd_object())].into());
    store.save(&lease, Save { context: Some(&context), ..Save::default() }).await.unwrap();
    assert_eq!(stored(store, before.id).await, JobExecution { context, ..state });
}

fn failure(message: &str) -> Failure {
    Failure {
        code: "time-limit".to_owned(),
        culprit: "processor `normalise`".to_owned(),
        place: "item 41 (line 42)".to_owned(),
        message: message.to_owned(),
        help: "raise `limits.time_ms_max`".to_owned(),
        remedies: vec![
            Remedy::RestartExecution { execution: JobExecutionId(7) },
            Remedy::AllowRequests { list: HttpList::Hosts, value: "a.example".to_owned() },
        ],
    }
}

pub async fn always_set_an_end_time(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    execution.ended_at = Some(EARLIER);
    execution.updated_at = NOW;
    let step = StepExecution { ended_at: Some(EARLIER), updated_at: NOW, ..step() };
    let save = Save { execution: Some(&execution), step: Some(&step), ..Save::default() };
    store.save(&lease, save).await.unwrap();
    let found = stored(store, execution.id).await;
    assert_eq!((found.ended_at, found.steps[0].ended_at), (None, None), "what runs has not ended");

    execution.status = BatchStatus::Completed;
    execution.ended_at = None;
    let step = StepExecution { status: BatchStatus::Completed, ended_at: None, ..step };
    let save = Save { execution: Some(&execution), step: Some(&step), ..Save::default() };
    store.save(&lease, save).await.unwrap();
    let found = stored(store, execution.id).await;
    assert_eq!((found.ended_at, found.steps[0].ended_at), (Some(NOW), Some(NOW)));
}

pub async fn write_a_step_in_its_position(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let second = StepExecution { position: 1, name: StepName::new("second").unwrap(), ..step() };
    for step in [&second, &step()] {
        store.save(&lease, Save { step: Some(step), ..Save::default() }).await.unwrap();
    }
    assert_eq!(stored(store, execution.id).await.steps, [step(), second.clone()], "by position");

    let changed = StepExecution {
        status: BatchStatus::Failed,
        exit_status: ExitStatus::new("FAILED").with_description("no"),
        started_at: EARLIER.plus_ms(5),
        ended_at: Some(NOW),
        updated_at: NOW.plus_ms(1),
        counts: Counts { read: 10, written: 5, filtered: 3, skipped: 2 },
        tracking: Tracking { processed: 10, total: Some(20), is_estimate: true },
        summary: [
            ("notified".to_owned(), SummaryValue::Text("5".to_owned())),
            ("rows".to_owned(), SummaryValue::Count(5)),
        ]
        .into(),
        warning_count: 7,
        errors: vec!["один".to_owned(), String::new()],
        failures: vec![failure("broke")],
        starts: u32::MAX,
        retries: 2,
        usage: ResourceUsage { cpu_us: 1 << 40, http_requests: 3, ..ResourceUsage::default() },
        carried_from: Some(JobExecutionId(3)),
        ..second
    };
    store.save(&lease, Save { step: Some(&changed), ..Save::default() }).await.unwrap();
    assert_eq!(stored(store, execution.id).await.steps, [step(), changed], "every field");
}

pub async fn keep_a_checkpoint_until_the_next_one(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let first = Checkpoint { reader: vec![1], ..Checkpoint::default() };
    let second = Checkpoint {
        reader: vec![],
        processors: vec![vec![2; 9], vec![]],
        writer: vec![0; 70_000],
        rejected: vec![3],
    };
    let step = StepExecution { checkpoint: Some(second.clone()), ..step() };
    let rows =
        [(None, None), (Some(&first), Some(&first)), (None, Some(&first)), (Some(&second), Some(&second))];
    for (checkpoint, expected) in rows {
        let save = Save { step: Some(&step), checkpoint, ..Save::default() };
        store.save(&lease, save).await.unwrap();
        let found = stored(store, execution.id).await;
        assert_eq!(found.steps[0].checkpoint.as_ref(), expected, "the step's own is not looked at");
    }
}

pub async fn append_warnings(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let (other, other_lease) = started(store).await;
    let all: Vec<_> = (0..25).map(|n| warning(&format!("warning {n}"))).collect();
    for (index, some) in all.chunks(10).enumerate() {
        store.save(&lease, Save { warnings: some, ..Save::default() }).await.unwrap();
        let elsewhere = [warning(&format!("elsewhere {index}"))];
        store.save(&other_lease, Save { warnings: &elsewhere, ..Save::default() }).await.unwrap();
    }
    assert_eq!(store.warnings(&tenant(), execution.id).await.unwrap(), all);
    for (skip, limit, expected) in [
        (0, 4, 0..4),
        (0, 100, 0..25),
        (7, 4, 7..11),
        (23, 4, 23..25),
        (25, 4, 25..25),
        (u64::MAX, 4, 25..25),
    ] {
        let some = store.some_warnings(&tenant(), execution.id, skip, limit).await.unwrap();
        assert_eq!(some, all[expected].to_vec(), "{limit} after {skip}");
    }
    assert_eq!(
        store.some_warnings(&TenantId::new("stranger").unwrap(), execution.id, 0, 4).await.unwrap(),
        []
    );
    assert_eq!(store.warnings(&tenant(), other.id).await.unwrap().len(), 3);
    assert_eq!(store.warnings(&tenant(), JobExecutionId(999)).await.unwrap(), []);
}

pub async fn happen_as_a_whole_or_not_at_all(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    let before = stored(store, execution.id).await;

    execution.status = BatchStatus::Abandoned;
    let context = ExecutionContext([("k".to_owned(), json!(1))].into());
    let step = StepExecution { warning_count: 1, ..step() };
    let warnings = [warning("never")];
    let save = Save {
        execution: Some(&execution),
        context: Some(&context),
        step: Some(&step),
        checkpoint: Some(&Checkpoint::default()),
        warnings: &warnings,
        is_last: true,
    };
    assert_eq!(told(store.save(&lease, save).await), "wrong-status");
    assert_eq!(stored(store, execution.id).await, before);
    assert_eq!(store.warnings(&tenant(), execution.id).await.unwrap(), []);
    assert_eq!(told(store.heartbeat(&lease, NOW, LEASE_MS).await), "ok", "the lease was not given back");
}

pub async fn write_progress_alone(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let step = StepExecution { warning_count: 7, ..step() };
    let checkpoint = Checkpoint { reader: vec![1], ..Checkpoint::default() };
    let save = Save { step: Some(&step), checkpoint: Some(&checkpoint), ..Save::default() };
    store.save(&lease, save).await.unwrap();

    let tracking = Tracking { processed: 5, total: Some(9), is_estimate: true };
    store.save_tracking(&lease, 0, tracking, NOW).await.unwrap();
    let expected = StepExecution { tracking, updated_at: NOW, checkpoint: Some(checkpoint), ..step };
    assert_eq!(stored(store, execution.id).await.steps, [expected]);

    let error = store.save_tracking(&lease, 1, tracking, NOW).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no step `1 of execution {}`", execution.id));
}

/// Steps, items and files may hold any text, including NUL, which some databases do not accept.
pub async fn hold_any_text(store: &dyn JobRepository) {
    with_instance(store).await;
    for text in
        ["\0", "a\0b\0", "\u{1a}", "\u{1a}0\0\u{1a}1", "\\u0000 \\0 ' \" % :id $1", "🙂\u{feff}\u{fffd}\r\n"]
    {
        let (mut execution, lease) = started(store).await;
        let exit_status = ExitStatus { code: text.to_owned(), description: text.to_owned() };
        let failures = vec![failure(text)];
        let context = ExecutionContext([(text.to_owned(), json!({ text: text }))].into());
        (execution.exit_status, execution.failures) = (exit_status.clone(), failures.clone());
        let step = StepExecution {
            exit_status,
            failures,
            errors: vec![text.to_owned()],
            summary: [(text.to_owned(), SummaryValue::Text(text.to_owned()))].into(),
            ..step()
        };
        let mut warning = warning(text);
        warning.code = text.to_owned();
        warning.place = text.to_owned();
        warning.item = text.to_owned();
        let save = Save {
            execution: Some(&execution),
            context: Some(&context),
            step: Some(&step),
            warnings: std::slice::from_ref(&warning),
            ..Save::default()
        };
        store.save(&lease, save).await.unwrap();
        let expected = JobExecution { context, steps: vec![step], ..execution };
        assert_eq!(stored(store, expected.id).await, expected);
        assert_eq!(store.warnings(&tenant(), expected.id).await.unwrap(), [warning]);
    }
}

pub async fn hold_large_numbers(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = started(store).await;
    let most = i64::MAX as u64;
    let step = StepExecution {
        counts: Counts { read: most, written: most, filtered: most, skipped: most },
        tracking: Tracking { processed: most, total: Some(most), is_estimate: false },
        summary: [("all".to_owned(), SummaryValue::Count(u64::MAX))].into(),
        warning_count: most,
        ..step()
    };
    store.save(&lease, Save { step: Some(&step), ..Save::default() }).await.unwrap();
    assert_eq!(stored(store, execution.id).await.steps, [step]);
}
