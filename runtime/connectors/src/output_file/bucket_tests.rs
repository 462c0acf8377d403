//! Outputs in a bucket. `tests/storages.rs` tests them against a real server.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepbox_batch::element::Opening;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::run_context::Attempt;
use stepbox_batch::step_context::StepContext;

use super::*;
use crate::folders::Folders;
use crate::storage::bucket::Bucket;
use crate::storage::{NamedStorage, Storages};

const PATH: &str = "out/products.csv";

/// A bucket, and the reach of an element that uses it.
struct World {
    bucket: Bucket,
    reach: Reach,
}

impl World {
    fn new() -> Self {
        let bucket = Bucket::in_memory();
        let mut storages = Storages::default();
        storages.add(NamedStorage::of_bucket("exchange", bucket.clone()));
        Self { bucket, reach: Reach::from(Folders::anywhere(".")).with_storages(storages) }
    }

    /// The names of the objects below `out`, and their contents.
    fn objects(&self) -> BTreeMap<String, String> {
        let found = self.bucket.list("out/").unwrap().into_iter();
        let read = |path: &str| {
            String::from_utf8(self.bucket.read(path, 1 << 20).unwrap().unwrap().to_vec()).unwrap()
        };
        found.map(|(path, _)| (path.strip_prefix("out/").unwrap().to_owned(), read(&path))).collect()
    }

    fn names(&self) -> Vec<String> {
        self.objects().into_keys().collect()
    }
}

/// A worker with a lease.
struct Worker<'a> {
    world: &'a World,
    context: StepContext,
    lines_max: Option<u64>,
}

impl<'a> Worker<'a> {
    fn with_token(world: &'a World, token: u64, lines_max: Option<u64>) -> Self {
        let attempt = Attempt { execution: JobExecutionId(118), token };
        Self { world, context: crate::testing::step_of(attempt), lines_max }
    }

    fn open(&self, state: Option<&[u8]>) -> Result<OutputFile> {
        let to = json!({"type": "s3", "storage": "exchange", "file_path": PATH});
        let to = Location::from_value("to", &to).unwrap();
        let opening = Opening { header: &[], state, context: &self.context, fragment: None };
        let layout = Layout { lines_max: self.lines_max, columns: Some(7) };
        OutputFile::open(&to, &self.world.reach, &opening, layout).map(|(output, _)| output)
    }
}

fn write(output: &mut OutputFile, lines: std::ops::Range<u32>) {
    for line in lines {
        if output.lines_left() == 0 {
            output.begin_next_file().unwrap();
        }
        output.buffer().extend_from_slice(format!("line {line}\n").as_bytes());
        output.add_lines(1);
        output.flush().unwrap();
    }
}

#[test]
fn is_what_an_undisturbed_run_leaves_wherever_it_breaks_off() {
    for lines_max in [None, Some(2), Some(3)] {
        let world = World::new();
        let worker = Worker::with_token(&world, 1, lines_max);
        let mut whole = worker.open(None).unwrap();
        write(&mut whole, 0..6);
        whole.complete(&worker.context).unwrap();
        let expected = world.objects();
        assert!(!expected.keys().any(|name| name.contains("part")), "{expected:?}");
        for (kept, lost) in (0..=6).flat_map(|kept| (kept..=6).map(move |lost| (kept, lost))) {
            let world = World::new();
            let worker = Worker::with_token(&world, 1, lines_max);
            let mut first = worker.open(None).unwrap();
            // A checkpoint after each line, so that there are many parts.
            for line in 0..kept {
                write(&mut first, line..line + 1);
                first.checkpoint().unwrap();
            }
            let state = first.checkpoint().unwrap();
            write(&mut first, kept..lost);
            first.checkpoint().unwrap();
            drop(first);
            assert!(world.names().iter().all(|name| name.starts_with('.')), "nothing is visible");
            let worker = Worker::with_token(&world, 2, lines_max);
            let mut second = worker.open(Some(&state)).unwrap();
            write(&mut second, kept..6);
            let last = second.checkpoint().unwrap();
            second.complete(&worker.context).unwrap();
            assert_eq!(world.objects(), expected, "{lines_max:?}, kept {kept}, lost {lost}");
            // The worker ended before it could store that the output was complete.
            let mut third = worker.open(Some(&last)).unwrap();
            third.complete(&worker.context).unwrap();
            assert_eq!(world.objects(), expected);
            third.buffer().push(b'x');
            assert_eq!(third.flush().unwrap_err().code(), "output-changed");
        }
    }
}

#[test]
fn a_worker_that_lost_its_lease_harms_nothing() {
    let world = World::new();
    let (old, new) = (Worker::with_token(&world, 1, None), Worker::with_token(&world, 2, None));
    let mut first = old.open(None).unwrap();
    write(&mut first, 0..2);
    let state = first.checkpoint().unwrap();
    let mut second = new.open(Some(&state)).unwrap();
    write(&mut second, 2..4);
    let state = second.checkpoint().unwrap();
    // The old worker writes on, makes a checkpoint that is never stored, opens the output again, and tries to complete
    // it.
    write(&mut first, 7..9);
    first.checkpoint().unwrap();
    assert_eq!(first.complete(&old.context).unwrap_err().code(), "output-taken-over");
    let mut again = old.open(None).unwrap();
    write(&mut again, 8..9);
    again.checkpoint().unwrap();
    assert_eq!(again.complete(&old.context).unwrap_err().code(), "output-taken-over");
    // The new worker has lost nothing, even if it must begin again from its checkpoint.
    drop(second);
    let mut second = new.open(Some(&state)).unwrap();
    write(&mut second, 4..5);
    second.complete(&new.context).unwrap();
    let expected = "line 0\nline 1\nline 2\nline 3\nline 4\n".to_owned();
    assert_eq!(world.objects(), BTreeMap::from([("products.csv".to_owned(), expected)]));
    // What the old worker writes after that stays hidden.
    write(&mut again, 9..10);
    let _ = again.checkpoint();
    assert!(world.objects()["products.csv"].ends_with("line 4\n"));
}

#[test]
fn tells_an_output_that_is_gone() {
    let world = World::new();
    let worker = Worker::with_token(&world, 1, None);
    let mut output = worker.open(None).unwrap();
    write(&mut output, 0..2);
    let state = output.checkpoint().unwrap();
    drop(output);
    let parts: Vec<_> = world.names().iter().map(|name| format!("out/{name}")).collect();
    world.bucket.remove(parts).unwrap();
    let error = worker.open(Some(&state)).unwrap_err();
    assert_eq!(error.code(), "output-changed");
    assert!(error.to_string().ends_with("`.products.csv.118.part` is gone"), "{error}");
}

#[test]
fn later_steps_find_its_address_and_its_bytes_are_counted() {
    let world = World::new();
    let worker = Worker::with_token(&world, 1, None);
    let mut output = worker.open(None).unwrap();
    write(&mut output, 0..2);
    output.complete(&worker.context).unwrap();
    let address = worker.context.get("export.file_path");
    assert_eq!(address, Some(Value::from("s3://acme/exchange/out/products.csv")));
    assert_eq!(worker.context.metering().usage().file_bytes_written, 14);
    // An empty output exists as well.
    let world = World::new();
    let worker = Worker::with_token(&world, 1, None);
    worker.open(None).unwrap().complete(&worker.context).unwrap();
    assert_eq!(world.objects(), BTreeMap::from([("products.csv".to_owned(), String::new())]));
}

#[test]
fn a_large_output_is_sent_before_a_checkpoint() {
    let world = World::new();
    let worker = Worker::with_token(&world, 1, None);
    let mut output = worker.open(None).unwrap();
    let line = "x".repeat((1 << 20) - 1) + "\n";
    for _ in 0..20 {
        output.buffer().extend_from_slice(line.as_bytes());
        output.flush_if_full().unwrap();
    }
    output.checkpoint().unwrap();
    assert_eq!(world.names().len(), 3);
    output.complete(&worker.context).unwrap();
    assert_eq!(world.objects()["products.csv"].len(), 20 << 20);
}
