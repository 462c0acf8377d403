use stepbox_step::contract::Rows;
use stepbox_step::testing::{Value, process, setup};
use stepbox_step::{ProcessorDriver, json};

use super::*;

/// Checks the result of one item with the columns `sku`, `price` and `since`.
fn check(separator: &str, format: &str, item: [&str; 3], expected: &str) {
    let parameters = json!({ "decimalSeparator": separator, "dateFormat": format });
    let done = process::<Normalise>(parameters, &["sku", "price", "since"], &[&item]).unwrap();
    let outcome = match (done.lines().as_slice(), done.skipped.as_slice()) {
        ([kept], []) => kept.clone(),
        ([], [skipped]) => format!("{}: {}", skipped.code, skipped.reason),
        other => format!("{other:?}"),
    };
    assert_eq!(outcome, expected, "{item:?} with {separator:?} and {format:?}");
}

#[test]
fn decimals_get_the_separator() {
    check(",", "yyyy-MM-dd", ["a", "12.50", ""], "a|12,50|");
    check(",", "yyyy-MM-dd", ["a", "-0.5", "7.25"], "a|-0,5|7,25");
    check("٫", "yyyy-MM-dd", ["a", "12.50", ""], "a|12٫50|");
    check(".", "yyyy-MM-dd", ["a", "12.50", ""], "a|12.50|");
}

#[test]
fn what_is_not_wholly_a_decimal_stays() {
    for cell in [
        "12", "12.", ".5", "-", "-.5", "--1.5", "1.2.3", "1.5 EUR", " 1.5", "+1.5", "1e3.0", "v1.5", "1,5",
        "１.５",
    ] {
        check(",", "yyyy-MM-dd", ["a", cell, ""], &format!("a|{cell}|"));
    }
}

#[test]
fn dates_are_written_in_the_format() {
    check(".", "dd/MM/yyyy", ["a", "", "2024-02-29"], "a||29/02/2024");
    check(".", "d.M.yy", ["a", "", "2005-03-07"], "a||7.3.05");
    check(".", "yyyyMMdd", ["a", "", "0999-12-31"], "a||09991231");
    check(".", "yyyy-MM-dd", ["a", "", "2024-02-29"], "a||2024-02-29");
}

#[test]
fn the_first_column_stays() {
    check(",", "dd/MM/yyyy", ["1.5", "1.5", ""], "1.5|1,5|");
    check(",", "dd/MM/yyyy", ["2024-02-31", "", ""], "2024-02-31||");
}

#[test]
fn bad_items_are_skipped_with_their_reason() {
    check(
        ",",
        "yyyy-MM-dd",
        ["", "1.5", ""],
        "missing-identifier: column `sku`, which identifies the item, is empty",
    );
    let impossible =
        |date| format!("impossible-date: column `since` says `{date}`, which is no date of the calendar");
    for date in
        ["2024-02-31", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "2024-01-00"]
    {
        check(",", "yyyy-MM-dd", ["a", "1.5", date], &impossible(date));
    }
    check(",", "yyyy-MM-dd", ["a", "1.5", "2000-02-29"], "a|1,5|2000-02-29");
}

#[test]
fn refuses_parameters_it_does_not_understand() {
    check("decimalSeparator", json!({ "decimalSeparator": "" }));
    check("decimalSeparator", json!({ "decimalSeparator": ",," }));
    check("decimalSeparator", json!({ "decimalSeparator": "5" }));
    check("decimalSeparator", json!({ "decimalSeparator": "-" }));
    check("dateFormat", json!({ "dateFormat": "" }));
    check("dateFormat", json!({ "dateFormat": "--" }));
    check("dateFormat", json!({ "dateFormat": "yyy-MM-dd" }));
    check("dateFormat", json!({ "dateFormat": "dd MMM yyyy" }));
    check("dateFormat", json!({ "dateFormat": "yyyy-MM-ddTHH" }));
    check("dateFormat", json!({ "dateFormat": 5 }));

    fn check(named: &str, parameters: Value) {
        let refusal = process::<Normalise>(parameters, &["sku"], &[]).unwrap_err();
        assert_eq!(refusal.code, "bad-parameter");
        assert!(refusal.message.starts_with(&format!("parameter `{named}`: ")), "{}", refusal.message);
    }
}

#[test]
fn a_batch_that_nothing_changes_goes_out_as_it_came() {
    let (mut driver, header) =
        ProcessorDriver::<Normalise>::open(setup(json!({}), &["sku", "price"])).unwrap();
    let mut rows = Rows::default();
    for sku in ["a", "b"] {
        rows.push(sku.as_bytes());
        rows.push_null();
    }
    let outcome = driver.process(rows.clone()).unwrap();

    assert_eq!(header, ["sku", "price"]);
    assert_eq!(outcome.rows, rows);
}

#[test]
fn says_that_it_is_stateless() {
    assert!(Normalise::describe(Description::default()).stateless);
}

#[test]
fn columns_get_other_names() {
    let check = |mapping: Value, expected: &str| {
        let parameters = json!({ "mapping": mapping, "decimalSeparator": "," });
        let found = match process::<Normalise>(parameters, &["sku", "price"], &[&["a", "1.5"]]) {
            Ok(done) => format!("{}: {}", done.header.join("|"), done.lines().join("; ")),
            Err(error) => error.code,
        };
        assert_eq!(found, expected, "{mapping}");
    };
    check(json!([]), "sku|price: a|1,5");
    check(json!([{ "from": "sku", "to": "identifier" }]), "identifier|price: a|1,5");
    let exchanged = json!([{ "from": "sku", "to": "price" }, { "from": "price", "to": "sku", "keep": true }]);
    check(exchanged, "price|sku: a|1,5");
    check(json!([{ "from": "sku", "to": "x", "keep": false }]), "price: 1,5");
    check(json!([{ "from": "gone", "to": "x" }]), "missing-column");
    check(json!([{ "from": "sku", "to": "price" }]), "duplicate-column");
    check(json!([{ "from": "sku", "to": "x" }, { "from": "sku", "to": "y" }]), "bad-parameter");
    check(json!([{ "from": "sku" }]), "bad-parameter");
}
