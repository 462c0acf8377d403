//! Workers: which are alive, and what each holds.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::execution::queue::QueueFilter;
use stepbox_batch::execution::status::BatchStatus::*;
use stepbox_batch::name::{JobName, TenantId};
use stepbox_batch::ports::JobRepository;
use stepbox_batch::worker::{Held, Worker};

use crate::sample::*;

fn worker(name: &str) -> Worker {
    Worker {
        name: name.to_owned(),
        started_at: EARLIER,
        seen_at: NOW,
        concurrency: 4,
        filter: QueueFilter { jobs: vec![JobName::new("greet").unwrap()], types: vec!["export".to_owned()] },
        tenants: vec![tenant(), TenantId::new("other").unwrap()],
        is_stopping: false,
        clock_skew_ms: Some(-3_600_000),
    }
}

pub async fn are_listed_as_they_said_last(store: &dyn JobRepository) {
    let (one, mut two) = (worker("w-1"), worker("w-2"));
    two.filter = QueueFilter::default();
    store.worker_beat(&two).await.unwrap();
    store.worker_beat(&one).await.unwrap();
    assert_eq!(store.workers().await.unwrap(), [one.clone(), two.clone()]);
    two = Worker { seen_at: NOW.plus_ms(5), is_stopping: true, concurrency: 2, ..two };
    store.worker_beat(&two).await.unwrap();
    assert_eq!(store.workers().await.unwrap(), [one.clone(), two]);
    store.forget_worker("w-2").await.unwrap();
    store.forget_worker("w-2").await.unwrap();
    assert_eq!(store.workers().await.unwrap(), [one]);
}

pub async fn are_forgotten_after_a_day_of_silence(store: &dyn JobRepository) {
    let day = 24 * 3_600_000;
    let (silent, quiet) = (worker("silent"), Worker { seen_at: NOW.plus_ms(1), ..worker("quiet") });
    let living = Worker { seen_at: NOW.plus_ms(day + 1), ..worker("living") };
    for worker in [&silent, &quiet, &living] {
        store.worker_beat(worker).await.unwrap();
    }
    assert_eq!(store.workers().await.unwrap(), [living, quiet]);
}

pub async fn what_they_hold_is_told(store: &dyn JobRepository) {
    with_instance(store).await;
    let (running, _) = in_status(store, Started, Hold::Held).await;
    for (status, hold) in [(Started, Hold::Over), (Starting, Hold::Free), (Completed, Hold::Held)] {
        in_status(store, status, hold).await;
    }
    let held = Held {
        worker: "w-1".to_owned(),
        tenant: tenant(),
        id: running.id,
        instance: running.instance.clone(),
    };
    assert_eq!(store.held(NOW).await.unwrap(), [held]);
    assert_eq!(store.held(Timestamp(NOW.0 + 1)).await.unwrap(), []);
}
