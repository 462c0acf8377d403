//! A short version of `cargo xtask fuzz` for every test run: kept inputs unchanged, and changed in ways that are the
//! same each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stepbox_fuzz::mutate::{Numbers, change};
use stepbox_fuzz::{TARGETS, Target};

/// For each target, at most.
const CHANGED: usize = 4000;
/// For each target; a slower machine tries fewer.
const TIME: Duration = Duration::from_secs(2);
/// For one input. The slowest takes a hundredth of it.
const TIME_MAX: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 16 << 10;

#[test]
fn buckets() {
    check("bucket");
}

#[test]
fn connector_files() {
    check("connector_file");
}

#[test]
fn csv() {
    check("csv");
}

#[test]
fn forms() {
    check("forms");
}

#[test]
fn grants() {
    check("grants");
}

#[test]
fn json_lines() {
    check("jsonl");
}

#[test]
fn parameters() {
    check("parameters");
}

#[test]
fn rows() {
    check("rows");
}

#[test]
fn templates() {
    check("templates");
}

#[test]
fn uploads() {
    check("upload");
}

#[test]
fn every_target_has_inputs_and_a_test() {
    let mut folders: Vec<_> =
        fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    folders.sort();
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(folders, names);
    let tests = include_str!("kept_inputs.rs");
    assert!(names.iter().all(|name| tests.contains(&format!("check(\"{name}\")"))));
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let mut kept: Vec<PathBuf> =
        fs::read_dir(corpus().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    kept.sort();
    let mut inputs: Vec<Vec<u8>> = kept.iter().map(|path| fs::read(path).unwrap()).collect();
    inputs.extend((target.seeds)());
    for (number, input) in inputs.iter().enumerate() {
        let input_name = kept.get(number).map_or("a seed".into(), |path| path.display().to_string());
        run(target, input, &input_name);
    }
    let (begin, mut numbers) = (Instant::now(), Numbers::new(1));
    for number in 0..CHANGED {
        if begin.elapsed() > TIME {
            break;
        }
        let mut input = inputs[numbers.below(inputs.len())].clone();
        change(&mut input, &inputs[numbers.below(inputs.len())], &mut numbers);
        input.truncate(BYTES_MAX);
        run(target, &input, &format!("changed input {number}"));
    }
}

/// Saves an input that is a finding.
fn run(target: &Target, input: &[u8], input_name: &str) {
    let begin = Instant::now();
    if std::panic::catch_unwind(|| (target.run)(input)).is_err() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-finding", target.name));
        fs::write(&path, input).unwrap();
        panic!("{input_name} is a finding; it lies in {}", path.display());
    }
    assert!(begin.elapsed() < TIME_MAX, "{input_name} takes {:?}", begin.elapsed());
}
