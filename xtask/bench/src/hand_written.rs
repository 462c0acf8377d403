//! Baseline (a): the loop of a programmer who wants only this export to be fast.
//!
//! It reads into one `csv::ByteRecord` and writes from another one. Decimals get a comma, and dates the German form.
//! It checks and counts nothing, and cannot resume. Its output is the same as that of the jobs.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};

pub(crate) fn export(input: &Path, output: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let input = BufReader::with_capacity(1 << 16, File::open(input)?);
    let mut reader = ReaderBuilder::new().from_reader(input);
    let output = BufWriter::with_capacity(1 << 16, File::create(output)?);
    let mut writer = WriterBuilder::new().delimiter(b';').from_writer(output);
    writer.write_byte_record(reader.byte_headers()?)?;
    let (mut read, mut written, mut cell) = (ByteRecord::new(), ByteRecord::new(), Vec::new());
    while reader.read_byte_record(&mut read)? {
        written.clear();
        for (column, field) in read.iter().enumerate() {
            if column > 0 && normalise(field, &mut cell) {
                written.push_field(&cell);
            } else {
                written.push_field(field);
            }
        }
        writer.write_byte_record(&written)?;
    }
    writer.flush()?;
    writer.into_inner().map_err(|error| error.into_error())?.flush()?;
    Ok(())
}

/// Writes a decimal or a date to `cell`; false for any other text.
fn normalise(field: &[u8], cell: &mut Vec<u8>) -> bool {
    let [first, ..] = field else { return false };
    if !(first.is_ascii_digit() || *first == b'-') {
        return false;
    }
    if let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = field
        && [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(u8::is_ascii_digit)
    {
        cell.clear();
        cell.extend_from_slice(&[d1, d2, b'.', m1, m2, b'.', y1, y2, y3, y4]);
        return true;
    }
    let unsigned = field.strip_prefix(b"-").unwrap_or(field);
    let Some(point) = unsigned.iter().position(|byte| !byte.is_ascii_digit()) else { return false };
    let fraction = &unsigned[point + 1..];
    if point == 0
        || unsigned[point] != b'.'
        || fraction.is_empty()
        || !fraction.iter().all(u8::is_ascii_digit)
    {
        return false;
    }
    cell.clear();
    cell.extend_from_slice(field);
    let point = field.len() - fraction.len() - 1;
    cell[point] = b',';
    true
}
