use stepbox_step::json;
use stepbox_step::testing::{lines, process};

use super::*;

fn check(price: &str, weight: &str, expected: &str) {
    let done = process::<UnitPrice>(json!({}), &["price", "weight"], &[&[price, weight]]).unwrap();
    let outcome = match done.skipped.as_slice() {
        [] => done.lines().join(" "),
        [skipped, ..] => format!("{}: {}", skipped.code, skipped.reason),
    };
    assert_eq!(outcome, expected, "{price} by {weight}");
    assert_eq!(done.header, ["unit_price"]);
}

#[test]
fn divides_to_the_hundredth() {
    check("12.50", "2.5", "5.00");
    check("10", "3", "3.33");
    check("20", "3", "6.67");
    check("0.01", "2", "0.01");
    check("0.01", "2.1", "0.00");
    check("0", "5", "0.00");
    check("1", "0.001", "1000.00");
    check("999999999", "0.0000001", "9999999990000000.00");
    check("0.0000001", "999999999", "0.00");
}

#[test]
fn without_a_price_or_a_weight_there_is_no_unit_price() {
    check("", "2", "NULL");
    check("2", "", "NULL");
    check("2", "0.0", "NULL");
}

#[test]
fn what_is_no_number_is_skipped_with_its_reason() {
    let told = |name, text| {
        format!(
            "no-number: column `{name}` says `{text}`, which is no decimal number of at most 9 characters"
        )
    };
    for text in ["12.", ".5", "-1", "1,5", "1.2.3", "1e3", "12 kg", "1234567890"] {
        check(text, "2", &told("price", text));
        check("2", text, &told("weight", text));
    }
}

#[test]
fn says_which_columns_it_reads_and_writes() {
    let about = UnitPrice::describe(Description::default());
    assert_eq!(about.columns_in.unwrap(), ["price", "weight"]);
    assert_eq!(about.columns_out.unwrap(), ["unit_price"]);
    assert!(about.stateless);
    let rows: &[&[&str]] = &[&["1", "2"], &["", "2"]];
    let done = process::<UnitPrice>(json!({}), &["price", "weight"], rows).unwrap();
    assert_eq!(lines(&done.rows, 1), ["0.50", "NULL"]);
}
