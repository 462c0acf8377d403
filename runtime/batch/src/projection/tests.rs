//! A projected processor's behaviour as rows. Batches are written as `a,b c,d`, null as `∅`.

use super::*;
use crate::element::SkippedRow;
use crate::testing::Bench;

/// Returns the columns that it announces.
///
/// For a column that it reads, it returns the cell with `'` added (null stays null). For another column, it returns
/// the cells that it read of the row, joined by `+`. The first cell that it reads may be `skip`, `filter` or
/// `lose`.
struct Primes {
    announced: Vec<String>,
    header: Vec<String>,
}

#[async_trait]
impl ItemProcessor for Primes {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        self.header = opening.header.to_vec();
        Ok(self.announced.clone())
    }

    async fn process(&mut self, rows: &Rows, output: &mut Rows) -> Result<SetAside, Halt> {
        assert_eq!((rows.columns(), output.columns()), (self.header.len(), self.announced.len()));
        let mut set_aside = SetAside::default();
        for row in 0..rows.len() {
            let number = row as u32;
            match rows.cell(row, 0) {
                Some("skip") => {
                    let (code, reason) = ("bad".to_owned(), String::new());
                    set_aside.skipped.push(SkippedRow { row: number, code, reason });
                }
                Some("filter") => set_aside.filtered.push(number),
                Some("lose") => {}
                _ => self.announced.iter().for_each(|name| self.push_cell(rows, row, name, output)),
            }
        }
        Ok(set_aside)
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(b"inner".to_vec())
    }
}

impl Primes {
    fn push_cell(&self, rows: &Rows, row: usize, name: &str, output: &mut Rows) {
        match self.header.iter().position(|known| known == name) {
            Some(column) => match rows.cell(row, column) {
                Some(text) => output.push(&format!("{text}'")),
                None => output.push_null(),
            },
            None => output.push(&rows.row(row).map(|cell| cell.unwrap_or("∅")).collect::<Vec<_>>().join("+")),
        }
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn batch(columns: usize, text: &str) -> Rows {
    let mut rows = Rows::new(columns);
    for cell in text.split_whitespace().flat_map(|row| row.split(',')) {
        if cell == "∅" { rows.push_null() } else { rows.push(cell) }
    }
    rows
}

fn lines(rows: &Rows) -> String {
    let line = |row| rows.row(row).map(|cell| cell.unwrap_or("∅")).collect::<Vec<_>>().join(",");
    (0..rows.len()).map(line).collect::<Vec<_>>().join(" ")
}

/// The output of a processor that reads and returns these columns, or why it fails.
async fn outcome(header: &str, reads: &str, returns: &str, batches: &[&str]) -> Result<String, Halt> {
    let inner = Box::new(Primes { announced: names(returns), header: Vec::new() });
    let mut processor = Projected::new(inner, names(reads));
    let (header, bench) = (names(header), Bench::new(true));
    let opening = Opening { header: &header, state: None, context: &bench.context, fragment: None };
    let announced = processor.open(opening).await?;
    let mut found = vec![announced.join(",")];
    let mut output = Rows::default();
    for text in batches {
        let rows = batch(header.len(), text);
        output.reset(announced.len());
        let set_aside = processor.process(&rows, &mut output).await?;
        let (data, ends, nulls) = (output.data().to_vec(), output.ends().to_vec(), output.nulls().to_vec());
        assert!(Rows::from_parts(announced.len(), data, ends, nulls).is_ok(), "it is a good batch");
        found.push(lines(&output));
        found.extend(set_aside.skipped.iter().map(|skipped| format!("!{}", skipped.row)));
        found.extend(set_aside.filtered.iter().map(|row| format!("-{row}")));
    }
    Ok(found.join(" "))
}

async fn check(header: &str, reads: &str, returns: &str, text: &str, expected: &str) {
    let found = outcome(header, reads, returns, &[text]).await;
    let found = found.unwrap_or_else(|error| error.to_string());
    assert_eq!(found, expected, "{header}: reads {reads}, returns {returns}: {text}");
}

#[tokio::test]
async fn returned_columns_take_their_places() {
    check("a,b,c", "b", "b", "1,2,3 4,5,6", "a,b,c 1,2',3 4,5',6").await;
    check("a,b,c", "a", "a", "1,2,3 4,5,6", "a,b,c 1',2,3 4',5,6").await;
    check("a,b,c", "c", "c", "1,2,3 4,5,6", "a,b,c 1,2,3' 4,5,6'").await;
    check("a,b,c,d,e", "b,d", "b,d", "1,2,3,4,5 6,7,8,9,0", "a,b,c,d,e 1,2',3,4',5 6,7',8,9',0").await;
    check("a,b,c", "a,b,c", "a,b,c", "1,2,3 4,5,6", "a,b,c 1',2',3' 4',5',6'").await;
    check("a", "a", "a", "1 2", "a 1' 2'").await;
}

#[tokio::test]
async fn new_columns_stand_at_the_end() {
    check("a,b,c", "b", "sum", "1,2,3 4,5,6", "a,b,c,sum 1,2,3,2 4,5,6,5").await;
    check("a,b,c", "c,a", "c,sum,more", "1,2,3", "a,b,c,sum,more 1,2,3',3+1,3+1").await;
    check("a,b,c", "a", "sum,a,more", "1,2,3 4,5,6", "a,b,c,sum,more 1',2,3,1,1 4',5,6,4,4").await;
}

#[tokio::test]
async fn columns_cross_in_the_declared_order_and_come_back_in_the_announced_one() {
    check("a,b,c", "c,a", "sum", "1,2,3 4,5,6", "a,b,c,sum 1,2,3,3+1 4,5,6,6+4").await;
    check("a,b,c", "c,b,a", "b,a,c", "1,2,3 4,5,6", "a,b,c 1',2',3' 4',5',6'").await;
    check("a,b,c", "b,c,a", "c,a", "1,2,3", "a,b,c 1',2,3'").await;
}

#[tokio::test]
async fn a_column_that_is_not_returned_stays_and_one_that_was_not_read_may_be_returned() {
    check("a,b,c", "a,b", "b", "1,2,3", "a,b,c 1,2',3").await;
    check("a,b,c", "a", "c", "1,2,3 4,5,6", "a,b,c 1,2,1 4,5,4").await;
}

#[tokio::test]
async fn skipped_and_filtered_rows_are_gone_with_all_their_columns() {
    check("a,b", "b", "b", "1,2 3,skip 4,5 6,filter 7,8", "a,b 1,2' 4,5' 7,8' !1 -3").await;
    check("a,b", "b", "sum", "1,filter 2,skip 3,4", "a,b,sum 3,4,4 !1 -0").await;
    check("a,b", "a", "b", "filter,1 filter,2", "a,b  -0 -1").await;
    check(
        "a,b",
        "b",
        "b",
        "1,2 3,lose",
        "returned an impossible batch: 1 rows, 0 skipped and 0 filtered ones came back for 2",
    )
    .await;
}

#[tokio::test]
async fn nulls_keep_their_places() {
    check("a,b,c", "b", "b", "∅,2,∅ 4,∅,6", "a,b,c ∅,2',∅ 4,∅,6").await;
    check("a,b,c", "c,a", "sum,a", "∅,2,∅ 4,∅,6", "a,b,c,sum ∅,2,∅,∅+∅ 4',∅,6,6+4").await;
    check("a,b", "b", "b", "∅,filter ∅,2 3,skip ∅,∅", "a,b ∅,2' ∅,∅ !2 -0").await;
}

#[tokio::test]
async fn an_empty_chunk_comes_out_empty_and_the_next_is_not_disturbed() {
    let found = outcome("a,b", "b", "b", &["", "∅,2 3,4", "", "5,∅"]).await.unwrap();
    assert_eq!(found, "a,b  ∅,2' 3,4'  5,∅");
}

#[tokio::test]
async fn says_which_column_is_missing() {
    check(
        "sku,name,price",
        "sku,prise",
        "sku",
        "",
        "reads the column `prise`, which is not one of `sku`, `name`, `price`; did you mean `price`?",
    )
    .await;
    check("a,b", "colour", "a", "", "reads the column `colour`, which is not one of `a`, `b`").await;
    let many: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let error = outcome(&many.join(","), "colour", "x", &[]).await.unwrap_err();
    assert!(error.to_string().ends_with("`c28`, `c29` and 10 more"), "{error}");
    assert!(matches!(error, Halt::Failed(ElementError { code, .. }) if code == "missing-column"));
}

#[tokio::test]
async fn refuses_columns_that_cannot_be_told_apart() {
    check("a,b", "a", "b,b", "", "returned an impossible batch: it has two columns called `b`").await;
    check("a,b", "a", "", "", "returned an impossible batch: it has no columns").await;
    check("a,b", "", "a", "", "returned an impossible batch: it has no columns").await;
    check("a,b", "a,a", "a", "", "returned an impossible batch: it has two columns called `a`").await;
}

#[tokio::test]
async fn its_state_is_the_inner_ones() {
    let mut processor =
        Projected::new(Box::new(Primes { announced: Vec::new(), header: Vec::new() }), names("a"));
    assert_eq!(processor.state().await.unwrap(), b"inner");
}
