//! The outgoing rows are the same as those of a plain table. This holds for all rows and cells that are kept,
//! set, added and removed, and for all ways in which the batch joins the cells that it copies.

use serde::Deserialize;
use serde_json::json;

use crate::contract::Rows;
use crate::testing::{lines, process, setup};
use crate::{Column, Item, Opening, Processor, ProcessorDriver, StepError, Verdict};

/// Changes each item as its own first cell says, with one letter for each change.
struct Scripted {
    target: Column,
    added: Option<Column>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    adds: bool,
    #[serde(default)]
    removes: Vec<usize>,
}

impl Processor for Scripted {
    type Parameters = Parameters;

    fn open(parameters: Parameters, opening: &mut Opening) -> Result<Self, StepError> {
        let target = opening.columns.find("target")?;
        let added = parameters.adds.then(|| opening.columns.add("added")).transpose()?;
        for column in parameters.removes {
            opening.columns.remove(column.into());
        }
        Ok(Scripted { target, added })
    }

    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError> {
        let script = item.text(0);
        for act in script.chars() {
            match act {
                'k' => {}
                's' => item.set(self.target, "set"),
                'e' => item.set(self.target, ""),
                'n' => item.set_null(self.target),
                '0' => item.set_parts(0, &["zero", ":", script]),
                'l' => item.set_fmt(2, format_args!("{:.1}", 0.25)),
                'a' => self.added.iter().for_each(|added| item.set(*added, "new")),
                'f' => return Ok(Verdict::Filter),
                'x' => return Ok(Verdict::skip("bad", "said so")),
                other => panic!("no act {other}"),
            }
        }
        Ok(Verdict::Keep)
    }
}

fn check(parameters: serde_json::Value, scripts: &str, expected: &str) {
    let items: Vec<[&str; 3]> = scripts.split(' ').map(|script| [script, "t", "l"]).collect();
    let items: Vec<&[&str]> = items.iter().map(|item| item.as_slice()).collect();
    let done = process::<Scripted>(parameters, &["script", "target", "last"], &items).unwrap();
    let skipped = done.skipped.iter().map(|skipped| format!("!{}", skipped.row));
    let filtered = done.filtered.iter().map(|row| format!("-{row}"));
    let all: Vec<String> = done.lines().into_iter().chain(skipped).chain(filtered).collect();
    assert_eq!(all.join(" "), expected, "{scripts}");
}

#[test]
fn keeps_sets_filters_and_skips() {
    check(json!({}), "k k k", "k|t|l k|t|l k|t|l");
    check(json!({}), "s", "s|set|l");
    check(json!({}), "k s k k e k", "k|t|l s|set|l k|t|l k|t|l e||l k|t|l");
    check(json!({}), "f k", "k|t|l -0");
    check(json!({}), "k f", "k|t|l -1");
    check(json!({}), "f x f", "!1 -0 -2");
    check(json!({}), "k x k s f x n", "k|t|l k|t|l s|set|l n|NULL|l !1 !5 -4");
}

#[test]
fn the_last_word_on_a_cell_counts_and_the_order_does_not() {
    check(json!({}), "se es sn l0", "se||l es|set|l sn|NULL|l zero:l0|t|0.2");
    check(json!({}), "ls0 0sl s0ls", "zero:ls0|set|0.2 zero:0sl|set|0.2 zero:s0ls|set|0.2");
}

#[test]
fn added_columns_stand_last_and_are_null_until_set() {
    check(json!({ "adds": true }), "k a sa0", "k|t|l|NULL a|t|l|new zero:sa0|set|l|new");
}

#[test]
fn removed_columns_can_be_read_and_do_not_go_out() {
    check(json!({ "removes": [0] }), "k s 0 l", "t|l set|l t|l t|0.2");
    check(json!({ "removes": [1] }), "k s ls0", "k|l s|l zero:ls0|0.2");
    check(json!({ "removes": [0, 2] }), "k s l", "t set t");
    check(json!({ "removes": [0, 1], "adds": true }), "k sa la", "l|NULL l|new 0.2|new");
}

#[test]
fn nulls_keep_their_places() {
    for scripts in ["kkkk", "kskk", "fkkk", "kknk", "ssss", "xfks"] {
        let mut rows = Rows::default();
        let mut expected = Vec::new();
        for (row, script) in scripts.chars().enumerate() {
            rows.push(script.to_string().as_bytes());
            rows.push(b"t");
            if row % 2 == 0 {
                rows.push_null()
            } else {
                rows.push(b"")
            }
            let last = if row % 2 == 0 { "NULL" } else { "" };
            match script {
                'k' => expected.push(format!("k|t|{last}")),
                's' => expected.push(format!("s|set|{last}")),
                'n' => expected.push(format!("n|NULL|{last}")),
                _ => {}
            }
        }
        let header = ["script", "target", "last"];
        let (mut driver, _) = ProcessorDriver::<Scripted>::open(setup(json!({}), &header)).unwrap();
        let outcome = driver.process(rows).unwrap();

        assert_eq!(lines(&outcome.rows, 3), expected, "{scripts}");
        assert!(outcome.rows.nulls.is_sorted());
    }
}

#[test]
fn refuses_columns_that_make_no_sense() {
    check(json!({ "removes": [0, 1, 2] }), &["script", "target", "last"], "no-columns");
    check(json!({ "adds": true }), &["target", "added"], "duplicate-column");
    check(json!({}), &["script"], "missing-column");
    check(json!({}), &[], "no-columns");

    fn check(parameters: serde_json::Value, header: &[&str], code: &str) {
        assert_eq!(process::<Scripted>(parameters, header, &[]).unwrap_err().code, code);
    }
}
