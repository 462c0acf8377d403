//! The result, in few lines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

const LINES_SHOWN: usize = 5;
const CHARACTERS_SHOWN: usize = 140;

/// Prints the beginnings of a file's first lines.
pub(super) fn show_first_lines(path: &Path) -> anyhow::Result<()> {
    println!("  {}", path.display());
    for line in open(path)?.lines().take(LINES_SHOWN) {
        let line = line.with_context(|| format!("`{}` cannot be read", path.display()))?;
        match line.char_indices().nth(CHARACTERS_SHOWN) {
            Some((end, _)) => println!("  | {}…", &line[..end]),
            None => println!("  | {line}"),
        }
    }
    Ok(())
}

/// The number of columns in the header of a CSV file.
pub(super) fn columns(path: &Path, delimiter: &str) -> anyhow::Result<usize> {
    let mut header = String::new();
    let mut reader = open(path)?;
    // A quoted name may continue on the next line.
    while header.matches('"').count() % 2 == 1 || header.is_empty() {
        let read =
            reader.read_line(&mut header).with_context(|| format!("`{}` cannot be read", path.display()))?;
        ensure!(read > 0, "`{}` has no header", path.display());
    }
    let outside_of_quotes = header.split('"').step_by(2);
    Ok(1 + outside_of_quotes.map(|part| part.matches(delimiter).count()).sum::<usize>())
}

/// `240 items of 10 columns read = 237 written + 0 filtered + 3 skipped`; an error if the numbers do not add up, or
/// if the execution is not COMPLETED.
pub(super) fn account(execution: &Value, columns: usize) -> anyhow::Result<String> {
    ensure!(execution["status"] == "COMPLETED", "the execution is {}", execution["status"]);
    let steps = execution["steps"].as_array().context("the execution has no steps")?;
    let export = steps.iter().find(|step| step["name"] == "export").context("no step `export` ran")?;
    let count = |name: &str| export["counts"][name].as_u64().with_context(|| format!("no count `{name}`"));
    let (read, written) = (count("read")?, count("written")?);
    let (filtered, skipped) = (count("filtered")?, count("skipped")?);
    let account = format!(
        "{read} items of {columns} columns read = {written} written + {filtered} filtered + {skipped} skipped"
    );
    ensure!(read == written + filtered + skipped, "items are missing: {account}");
    Ok(account)
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    Ok(BufReader::new(file))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_columns_outside_of_quotes() {
        let path = std::env::temp_dir().join(format!("xtask-columns-{}.csv", std::process::id()));
        for (text, delimiter, expected) in
            [("a\n1,2\n", ",", 1), ("a,b,c\n", ",", 3), ("a;\"b;\"\"\n;\";c\n1;2;3\n", ";", 3)]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(columns(&path, delimiter).unwrap(), expected, "{text}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_item_that_is_missing_is_noticed() {
        let execution = |written: u64| {
            let counts = json!({ "read": 3, "written": written, "filtered": 0, "skipped": 1 });
            json!({ "status": "COMPLETED", "steps": [{ "name": "export", "counts": counts }] })
        };
        let expected = "3 items of 2 columns read = 2 written + 0 filtered + 1 skipped";
        assert_eq!(account(&execution(2), 2).unwrap(), expected);
        assert!(account(&execution(1), 2).is_err());
    }
}
