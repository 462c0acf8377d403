//! Abandoning an execution.

use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::execution::status::ExitStatus;
use stepbox_batch::execution::{JobExecution, Save, StepExecution};
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::JobRepository;

use crate::sample::*;

pub async fn what_has_not_begun_or_has_ended_badly_is_given_up(store: &dyn JobRepository) {
    with_instance(store).await;
    let rows = [
        (Starting, Hold::Free, "ok"),
        (Starting, Hold::Over, "ok"),
        (Starting, Hold::Held, "is STARTING: a worker has claimed it; stop it first"),
        (Started, Hold::Over, "is STARTED: a worker is on it; stop it first"),
        (Stopping, Hold::Held, "is STOPPING: a worker is on it; stop it first"),
        (Pausing, Hold::Held, "is PAUSING: a worker is on it; stop it first"),
        (Paused, Hold::Free, "ok"),
        (Paused, Hold::Held, "is PAUSED: a worker has claimed it; stop it first"),
        (Completed, Hold::Free, "is COMPLETED: there is nothing to give up"),
        (Stopped, Hold::Free, "ok"),
        (Failed, Hold::Free, "ok"),
        (Unknown, Hold::Free, "ok"),
        (Abandoned, Hold::Free, "is ABANDONED: it is given up already"),
    ];
    for (status, hold, expected) in rows {
        let (execution, _) = in_status(store, status, hold).await;
        let answer = store.abandon(&tenant(), execution.id, &by(NOW)).await;
        let then = if answer.is_ok() { Abandoned } else { status };
        let found = answer.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        assert!(found.ends_with(expected), "{status} {hold:?}: {found}");
        let found = stored(store, execution.id).await;
        assert_eq!((found.status, found.ended_at.is_some()), (then, then.has_ended()), "{status} {hold:?}");
    }
    let error = store.abandon(&tenant(), JobExecutionId(999), &by(NOW)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no execution `999`");
}

pub async fn giving_up_keeps_how_it_ended(store: &dyn JobRepository) {
    with_instance(store).await;
    let (failed, _) = in_status(store, Failed, Hold::Free).await;
    let later = NOW.plus_ms(5);
    store.abandon(&tenant(), failed.id, &by(later)).await.unwrap();
    let expected = JobExecution { status: Abandoned, updated_at: later, ..failed };
    assert_eq!(stored(store, expected.id).await, expected);

    let waiting = waiting(store).await;
    store.abandon(&tenant(), waiting.id, &by(NOW)).await.unwrap();
    let exit_status = ExitStatus::new(ExitStatus::STOPPED).with_description("given up before it ended");
    let expected =
        JobExecution { status: Abandoned, exit_status, ended_at: Some(NOW), updated_at: NOW, ..waiting };
    assert_eq!(stored(store, expected.id).await, expected);
}

pub async fn giving_up_leaves_nothing_open(store: &dyn JobRepository) {
    with_instance(store).await;
    let (mut execution, lease) = started(store).await;
    let paused = StepExecution { status: Paused, ..step() };
    execution.status = Paused;
    let save = Save { execution: Some(&execution), step: Some(&paused), is_last: true, ..Save::default() };
    store.save(&lease, save).await.unwrap();
    store.abandon(&tenant(), execution.id, &by(NOW)).await.unwrap();
    let found = stored(store, execution.id).await;
    let step = &found.steps[0];
    assert_eq!((found.status, found.ended_at), (Abandoned, Some(NOW)));
    assert_eq!((step.status, step.ended_at, &step.exit_status), (Abandoned, Some(NOW), &found.exit_status));
    let next = store.claim(&tenant(), execution.id, &claim("w-2", NOW), &by(NOW)).await;
    assert_eq!(told(next), "wrong-status");
}

pub async fn giving_up_takes_the_lease(store: &dyn JobRepository) {
    with_instance(store).await;
    let (execution, lease) = in_status(store, Starting, Hold::Over).await;
    store.abandon(&tenant(), execution.id, &by(NOW)).await.unwrap();
    assert_eq!(told(store.save(&lease, Save::default()).await), "lease-lost");
}
