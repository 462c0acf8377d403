//! The identity of the installation that a store belongs to.

use stepbox_batch::ports::JobRepository;

pub async fn is_the_same_each_time(store: &dyn JobRepository) {
    let first = store.installation().await.unwrap();
    assert_eq!(store.installation().await.unwrap(), first);
}
