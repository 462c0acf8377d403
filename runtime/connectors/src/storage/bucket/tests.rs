use std::io::{Read, Seek, SeekFrom};

use super::input::BucketInput;
use super::*;

#[test]
fn a_path_stays_below_the_prefix() {
    let bucket = Bucket::in_memory();
    let check = |path: &str, expected: &str| {
        let found = bucket.check_path(path).map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert!(found.ends_with(expected), "{path}: {found}");
    };
    check("a.csv", "fine");
    check("out/été 2024/a..b.csv", "fine");
    check("", "is empty");
    check("/a.csv", "begins with `/`, which a path in a bucket does not");
    check("a/", "names a folder, not a file");
    let part = "has a part that is empty, `.` or `..`";
    ["..", "../a", "a/../b", "a/..", "./a", "a//b", "a/./b"].iter().for_each(|path| check(path, part));
    check("a/ b", "has white space around one of its parts");
    check("a\u{2028}", "has white space around one of its parts");
    check("a\nb", "holds a character that does not print");
    check("a\0", "holds a character that does not print");
    check(&"x".repeat(850), "fine");
    check(&"x".repeat(1000), "is longer than a path may be");
}

#[test]
fn an_object_reads_like_a_file() {
    let bucket = Bucket::in_memory();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    bucket.begin_write("in.csv", content.clone()).wait().unwrap();
    let mut input = BucketInput::open(&bucket, "in.csv").unwrap();
    assert_eq!(input.length(), content.len() as u64);
    let mut all = Vec::new();
    input.read_to_end(&mut all).unwrap();
    assert!(all == content);
    for offset in [0, 1, 262_143, 262_144, 2_999_999, 5, 6, 300_000, 3_000_000] {
        input.seek(SeekFrom::Start(offset)).unwrap();
        let mut few = vec![0; 1000.min(content.len() - offset as usize)];
        input.read_exact(&mut few).unwrap();
        assert!(few == content[offset as usize..][..few.len()], "{offset}");
    }
    let missing = BucketInput::open(&bucket, "gone.csv").err().unwrap();
    assert_eq!(missing.code(), "object-not-found");
    assert_eq!(missing.to_string(), "cannot open `gone.csv` in the storage `exchange`: no such object");
}
