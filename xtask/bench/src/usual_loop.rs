//! Baseline (b): the loop that most people write, with a `String` for every cell of every row.

use std::fs::File;
use std::path::Path;

use csv::{Reader, StringRecord, WriterBuilder};

pub(crate) fn export(input: &Path, output: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = Reader::from_reader(File::open(input)?);
    let mut writer = WriterBuilder::new().delimiter(b';').from_writer(File::create(output)?);
    writer.write_record(reader.headers()?)?;
    for record in reader.records() {
        let record: StringRecord = record?;
        let mut row: Vec<String> = record.iter().map(str::to_owned).collect();
        for cell in row.iter_mut().skip(1) {
            if let Some(date) = date(cell) {
                *cell = date;
            } else if is_decimal(cell) {
                *cell = cell.replace('.', ",");
            }
        }
        writer.write_record(&row)?;
    }
    writer.flush()?;
    Ok(())
}

/// `2024-05-31` as `31.05.2024`.
fn date(cell: &str) -> Option<String> {
    let parts: Vec<&str> = cell.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
    let is_date = is_number(year, 4) && is_number(month, 2) && is_number(day, 2);
    is_date.then(|| format!("{day}.{month}.{year}"))
}

fn is_decimal(cell: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = cell.strip_prefix('-').unwrap_or(cell);
    unsigned.split_once('.').is_some_and(|(whole, fraction)| is_number(whole) && is_number(fraction))
}
