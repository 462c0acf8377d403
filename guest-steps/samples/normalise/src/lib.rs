//! Writes decimal numbers with a chosen separator and dates in a chosen format, and gives columns other names.
//!
//! - `mapping` lists columns that get another name, or are left out. All other columns stay.
//! - If a whole cell is a decimal number, `-?digits.digits`, `decimalSeparator` replaces its point.
//! - If a whole cell is a calendar date, `YYYY-MM-DD`, it is written in `dateFormat`.
//! - The first column, which identifies the item, and all other cells are not changed.
//! - An item whose first cell is empty is skipped as `missing-identifier`. An item with a cell that has the
//!   form of a date but is not a date, such as `2024-02-31`, is skipped as `impossible-date`.

mod date;
mod form;

use serde::Deserialize;
use stepbox_step::{Column, Columns, Description, Item, Opening, Processor, StepError, Verdict, json};

use date::{Date, DateFormat};

/// The processor.
pub struct Normalise {
    /// `None` for a point, which decimal numbers already have.
    decimal_separator: Option<String>,
    date_format: DateFormat,
    /// The current date; the buffer is reused.
    written: String,
}

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Parameters {
    decimal_separator: String,
    date_format: String,
    mapping: Vec<Mapping>,
}

/// What becomes of a column.
#[derive(Debug, Deserialize)]
struct Mapping {
    from: String,
    to: String,
    #[serde(default = "yes")]
    keep: bool,
}

fn yes() -> bool {
    true
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            decimal_separator: ".".to_owned(),
            date_format: "yyyy-MM-dd".to_owned(),
            mapping: Vec::new(),
        }
    }
}

impl Processor for Normalise {
    type Parameters = Parameters;

    fn describe(about: Description) -> Description {
        let schema = json!({
            "type": "object",
            "properties": {
                "decimalSeparator": { "type": "string", "default": ".", "minLength": 1, "maxLength": 1 },
                "dateFormat": { "type": "string", "default": "yyyy-MM-dd" },
                "mapping": {
                    "type": "array",
                    "default": [],
                    "items": {
                        "type": "object",
                        "required": ["from", "to"],
                        "properties": {
                            "from": { "type": "string" },
                            "to": { "type": "string", "minLength": 1 },
                            "keep": { "type": "boolean", "default": true },
                        },
                    },
                },
            },
        });
        about.parameters(schema).stateless()
    }

    fn open(parameters: Parameters, opening: &mut Opening) -> Result<Self, StepError> {
        map(&parameters.mapping, &mut opening.columns)?;
        let date_format = DateFormat::parse(&parameters.date_format)
            .map_err(|problem| StepError::parameter("dateFormat", problem))?;
        Ok(Normalise {
            decimal_separator: separator(parameters.decimal_separator)?,
            date_format,
            written: String::new(),
        })
    }

    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError> {
        let mut cells = item.cells().enumerate();
        if cells.next().is_none_or(|(_, identifier)| identifier.unwrap_or_default().is_empty()) {
            let column = item.columns().name(0);
            return Ok(Verdict::skip(
                "missing-identifier",
                format!("column `{column}`, which identifies the item, is empty"),
            ));
        }
        for (position, cell) in cells {
            let cell = cell.unwrap_or_default();
            match shape(cell) {
                Shape::Other => {}
                Shape::Decimal { point } => self.write_decimal(item, position.into(), cell.split_at(point)),
                Shape::Date => match Date::parse(cell) {
                    Some(date) => self.write_date(item, position.into(), date),
                    None => return Ok(impossible_date(item, position.into())),
                },
            }
        }
        Ok(Verdict::Keep)
    }
}

stepbox_step::export_processor!(Normalise);
stepbox_step::export_form!(Normalise);

/// Every column is found before any gets another name: two columns may exchange theirs.
fn map(mapping: &[Mapping], columns: &mut Columns) -> Result<(), StepError> {
    let mut found: Vec<Column> = Vec::with_capacity(mapping.len());
    for Mapping { from, .. } in mapping {
        let column = columns.find(from)?;
        if found.contains(&column) {
            return Err(StepError::parameter("mapping", format_args!("the column `{from}` is there twice")));
        }
        found.push(column);
    }
    for (Mapping { to, keep, .. }, column) in mapping.iter().zip(found) {
        match keep {
            true => columns.rename(column, to),
            false => columns.remove(column),
        }
    }
    Ok(())
}

impl Normalise {
    fn write_decimal(&self, item: &mut Item<'_>, column: Column, (whole, fraction): (&[u8], &[u8])) {
        if let Some(separator) = &self.decimal_separator {
            // All bytes except the separator are digits, so the text need not be checked again.
            item.set_bytes(column, &[whole, separator.as_bytes(), &fraction[1..]]);
        }
    }

    fn write_date(&mut self, item: &mut Item<'_>, column: Column, date: Date) {
        if !self.date_format.is_iso() {
            self.written.clear();
            self.date_format.write(date, &mut self.written);
            item.set(column, &self.written);
        }
    }
}

fn impossible_date(item: &Item<'_>, column: Column) -> Verdict {
    let (name, value) = (item.columns().name(column), item.text(column));
    Verdict::skip(
        "impossible-date",
        format!("column `{name}` says `{value}`, which is no date of the calendar"),
    )
}

fn separator(text: String) -> Result<Option<String>, StepError> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some('.'), None) => Ok(None),
        (Some(one), None) if !one.is_ascii_digit() && !one.is_control() && one != '-' => Ok(Some(text)),
        _ => {
            let problem = format_args!(
                "`{text}` cannot separate decimals; give one character that is no digit, such as `,`"
            );
            Err(StepError::parameter("decimalSeparator", problem))
        }
    }
}

/// The form of a cell, from its bytes alone.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// `-?digits.digits`, with the point at this byte.
    Decimal {
        point: usize,
    },
    /// `dddd-dd-dd`, with any digits.
    Date,
    Other,
}

/// The first byte is enough for most cells. For the others, one pass over their digits is enough.
fn shape(cell: &[u8]) -> Shape {
    let sign = match cell {
        [b'0'..=b'9', ..] => 0,
        [b'-', b'0'..=b'9', ..] => 1,
        _ => return Shape::Other,
    };
    let whole = sign + digits(&cell[sign..]);
    match &cell[whole..] {
        [b'.', fraction @ ..] if !fraction.is_empty() && digits(fraction) == fraction.len() => {
            Shape::Decimal { point: whole }
        }
        [b'-', m1, m2, b'-', d1, d2] if whole == 4 && sign == 0 && digits(&[*m1, *m2, *d1, *d2]) == 4 => {
            Shape::Date
        }
        _ => Shape::Other,
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests;
