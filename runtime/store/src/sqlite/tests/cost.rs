//! Measures the cost of the lives of executions. `cargo test -p stepbox-store lives_cost -- --ignored --nocapture`
//! prints it. To compare two versions, run their test programs alternately.

use std::io::Write as _;

use stepbox_store_testing::cost::lives;
use stepbox_store_testing::sample::with_instance;

use super::empty_store;

#[tokio::test]
#[ignore = "it measures, and says nothing by itself"]
async fn lives_cost() {
    let store = empty_store().await;
    with_instance(&*store).await;
    lives(&*store, 100).await;
    let cost = lives(&*store, 2000).await;
    writeln!(std::io::stdout(), "cost of 2000 lives: {cost:?}").unwrap();
}
