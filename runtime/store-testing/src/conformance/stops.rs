//! Stop requests: they come from another process than the worker, and no save overwrites them.

use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{Save, StepExecution, StopRequest};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

pub async fn are_requested_of_workers_and_done_where_there_is_none(store: &dyn JobRepository) {
    with_instance(store).await;
    let rows = [
        (Starting, Hold::Free, "StoppedAtOnce", Stopped),
        (Starting, Hold::Over, "StoppedAtOnce", Stopped),
        (Starting, Hold::Held, "Requested", Starting),
        (Started, Hold::Held, "Requested", Started),
        (Started, Hold::Over, "Requested", Started),
        (Stopping, Hold::Held, "Requested", Stopping),
        (Pausing, Hold::Held, "Requested", Pausing),
        (Paused, Hold::Free, "StoppedAtOnce", Stopped),
        (Paused, Hold::Held, "Requested", Paused),
        (Completed, Hold::Free, "wrong-status", Completed),
        (Stopped, Hold::Free, "wrong-status", Stopped),
        (Failed, Hold::Free, "wrong-status", Failed),
        (Abandoned, Hold::Free, "wrong-status", Abandoned),
        (Unknown, Hold::Free, "wrong-status", Unknown),
    ];
    for (status, hold, expected, then) in rows {
        let (execution, _) = in_status(store, status, hold).await;
        let answer = store.request_stop(&tenant(), execution.id, &by(NOW)).await;
        let is_requested = answer.is_ok();
        let found = answer.map_or_else(|error| error.code().to_owned(), |stop| format!("{stop:?}"));
        assert_eq!(found, expected, "{status} {hold:?}");
        let found = stored(store, execution.id).await;
        assert_eq!((found.status, found.stop_requested), (then, is_requested), "{status} {hold:?}");
    }
    let error = store.request_stop(&tenant(), JobExecutionId(999), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no execution `999`");
}

pub async fn are_refused_where_the_job_is_not_stoppable(store: &dyn JobRepository) {
    with_instance(store).await;
    let mut new = new("nightly");
    new.job.stoppable = false;
    for first in [None, Some(&claim("w-1", EARLIER))] {
        let (execution, _) = store.create_execution(&new, first).await.unwrap();
        let error = store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap_err();
        let expected = format!("execution {} is STARTING: its job is not stoppable", execution.id);
        assert_eq!(error.to_string(), expected);
        assert_eq!(stored(store, execution.id).await, execution);
    }
}

pub async fn survive_a_save(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert!(!execution.stop_requested, "the worker does not know yet");
    move_to(store, &lease, &mut execution, Started).await;
    store.save(&lease, Save { step: Some(&step()), ..Save::default() }).await.unwrap();
    assert!(store.requests(&lease).await.unwrap().stop);

    move_to(store, &lease, &mut execution, Stopping).await;
    let again = store.request_stop(&tenant(), execution.id, &by(NOW.plus_ms(1))).await.unwrap();
    assert_eq!(again, StopRequest::Requested, "asking twice does no harm");
    move_to(store, &lease, &mut execution, Stopped).await;
    assert!(stored(store, execution.id).await.stop_requested);
}

pub async fn at_once_leave_nothing_open(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let paused = StepExecution { status: Paused, ..step() };
    let done = StepExecution {
        position: 1,
        status: Completed,
        exit_status: ExitStatus::new(ExitStatus::COMPLETED),
        ended_at: Some(EARLIER),
        ..step()
    };
    for step in [&paused, &done] {
        store.save(&lease, Save { step: Some(step), ..Save::default() }).await.unwrap();
    }
    move_to(store, &lease, &mut execution, Paused).await;

    let stop = store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert_eq!(stop, StopRequest::StoppedAtOnce, "its lease has just run out");
    let found = stored(store, execution.id).await;
    let exit_status = ExitStatus::new(ExitStatus::STOPPED);
    assert_eq!((found.ended_at, &found.exit_status), (Some(NOW), &exit_status));
    let stopped =
        StepExecution { status: Stopped, exit_status, ended_at: Some(NOW), updated_at: NOW, ..paused };
    assert_eq!(found.steps, [stopped, done]);

    let late = store.save(&lease, Save { execution: Some(&execution), ..Save::default() }).await;
    assert_eq!(told(late), "lease-lost", "the worker that was too slow");
    let next = store.claim(&tenant(), execution.id, &claim("w-2", NOW), &by(NOW)).await;
    assert_eq!(told(next), "wrong-status");
}

pub async fn are_remembered_until_a_worker_comes(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = in_status(store, Starting, Hold::Held).await;
    let stop = store.request_stop(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert_eq!(stop, StopRequest::Requested, "its lease holds for one more millisecond");
    move_to(store, &lease, &mut execution, Started).await;
    move_to(store, &lease, &mut execution, Paused).await;
    store.save(&lease, Save { is_last: true, ..Save::default() }).await.unwrap();
    let next = store.claim(&tenant(), execution.id, &claim("w-2", NOW), &by(NOW)).await.unwrap();
    assert!(store.requests(&next).await.unwrap().stop);
}
