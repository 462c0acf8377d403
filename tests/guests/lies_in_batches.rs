//! A processor whose batches break the contract. The parameter `lie` selects how.
//!
//! Each lie but `truth` and the two of `open` starts from a true batch, so that nothing else is wrong.

#![cfg(target_family = "wasm")] // the raw contract is there for components alone

use std::cell::RefCell;

use stepbox_step::json;
use stepbox_step::raw::types::{Description, Rows, Setup, Skipped, StepError};
use stepbox_step::raw::{describe, processor};

struct LiesInBatches;

describe::export!(LiesInBatches with_types_in describe);
processor::export!(LiesInBatches with_types_in processor);

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { lie: String::new(), columns: 0 }) };
}

struct State {
    lie: String,
    columns: usize,
}

impl describe::Guest for LiesInBatches {
    fn describe() -> Description {
        Description {
            name: "lies-in-batches".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Returns batches that break the contract".to_owned(),
            parameters: json!({ "properties": { "lie": { "type": "string" } } }).to_string(),
            grants: Vec::new(),
            columns_in: None,
            columns_out: None,
            stateless: true,
        }
    }
}

impl processor::Guest for LiesInBatches {
    fn open(setup: Setup) -> Result<Vec<String>, StepError> {
        let lie = lie_of(&setup.parameters);
        let header = match lie.as_str() {
            "no-columns" => Vec::new(),
            "twice-the-column" => [&setup.header[..], &setup.header[..1]].concat(),
            _ => setup.header.clone(),
        };
        STATE.set(State { lie, columns: setup.header.len() });
        Ok(header)
    }

    fn process(rows: Rows) -> Result<processor::Outcome, StepError> {
        STATE.with_borrow(|state| lie(&state.lie, state.columns, rows))
    }

    fn checkpoint() -> Result<Vec<u8>, StepError> {
        Ok(Vec::new())
    }

    fn close() -> Result<(), StepError> {
        Ok(())
    }
}

fn lie(lie: &str, columns: usize, mut rows: Rows) -> Result<processor::Outcome, StepError> {
    let (mut skipped, mut filtered) = (Vec::new(), Vec::new());
    let cells = rows.ends.len();
    let row_count = (cells / columns) as u32;
    match lie {
        "truth" => {}
        "descending" => {
            // The first end is past the second: cell 0 is whole, cell 1 ends before it starts.
            rows.ends[0] = rows.ends[cells - 1];
        }
        "past-end" => rows.ends[cells - 1] += 1000,
        "not-utf8" => rows.data[0] = 0xff,
        // The two bytes of one character, in two cells: the whole is UTF-8, and its cells are not.
        "split-character" => {
            rows.data[..2].copy_from_slice("é".as_bytes());
            rows.ends[0] = 1;
        }
        "partial-row" => {
            rows.ends.pop();
        }
        "too-many-rows" => {
            let moved = *rows.ends.last().unwrap_or(&0);
            rows.data.extend_from_within(..);
            rows.ends.extend_from_within(..);
            rows.ends[cells..].iter_mut().for_each(|end| *end += moved);
        }
        // The last row is missing, and is not named.
        "lost-row" => keep(&mut rows, cells - columns),
        // Here and in the next three, as many rows are named as are missing, but not the missing ones.
        "bad-skip-row" => {
            keep(&mut rows, cells - columns);
            skipped.push(skip(row_count));
        }
        "bad-filter-row" => {
            keep(&mut rows, cells - columns);
            filtered.push(row_count);
        }
        "duplicate-skip" => {
            keep(&mut rows, cells - 2 * columns);
            skipped.extend([skip(0), skip(0)]);
        }
        "skipped-and-filtered" => {
            keep(&mut rows, cells - 2 * columns);
            skipped.push(skip(0));
            filtered.push(0);
        }
        "kept-and-skipped" => skipped.push(skip(0)),
        "kept-and-filtered" => filtered.push(0),
        "null-out-of-range" => rows.nulls.push(cells as u32),
        "null-with-bytes" => rows.nulls = vec![0],
        "descending-nulls" => {
            rows.data.clear();
            rows.ends.fill(0);
            rows.nulls = vec![1, 0];
        }
        "no-columns" | "twice-the-column" => {} // these two lie in `open`
        unknown => {
            let message = format!("parameter `lie`: there is no lie `{unknown}`");
            return Err(StepError { code: "bad-parameter".to_owned(), message, retryable: false });
        }
    }
    Ok(processor::Outcome { rows, skipped, filtered })
}

/// Drops all cells from this one on.
fn keep(rows: &mut Rows, cells: usize) {
    rows.ends.truncate(cells);
    rows.data.truncate(rows.ends.last().map_or(0, |end| *end as usize));
    rows.nulls.retain(|null| (*null as usize) < cells);
}

fn skip(row: u32) -> Skipped {
    Skipped { row, code: "a-lie".to_owned(), reason: "this item was never looked at".to_owned() }
}

/// The value of `lie` in `{"lie":"past-end"}`.
fn lie_of(parameters: &str) -> String {
    let parameters: serde_json::Value = serde_json::from_str(parameters).unwrap_or_default();
    parameters["lie"].as_str().unwrap_or("truth").to_owned()
}
