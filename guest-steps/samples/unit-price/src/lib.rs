//! Calculates the price of one unit of weight: the price divided by the weight, to the hundredth.
//!
//! - The processor reads `price` and `weight`, and writes `unit_price`. However many columns the items have,
//!   only these three cross between it and the runtime.
//! - Without a price or a weight, or with a weight of zero, the unit price is null.
//! - An item whose price or weight is not a decimal number of at most nine characters, `digits` or
//!   `digits.digits`, is skipped as `no-number`.

use stepbox_step::{Column, Description, Item, NoParameters, Opening, Processor, StepError, Verdict};

/// The processor.
pub struct UnitPrice {
    price: Column,
    weight: Column,
    unit_price: Column,
}

impl Processor for UnitPrice {
    type Parameters = NoParameters;

    fn describe(about: Description) -> Description {
        about.reads(&["price", "weight"]).writes(&["unit_price"]).stateless()
    }

    fn open(_: NoParameters, opening: &mut Opening) -> Result<Self, StepError> {
        let columns = &mut opening.columns;
        let (price, weight) = (columns.find("price")?, columns.find("weight")?);
        // These columns are only read. They stay with the item unchanged, so they need not be sent back.
        columns.remove(price);
        columns.remove(weight);
        Ok(UnitPrice { price, weight, unit_price: columns.add("unit_price")? })
    }

    fn process(&mut self, item: &mut Item<'_>) -> Result<Verdict, StepError> {
        let (price, weight) = match (number(item, self.price), number(item, self.weight)) {
            (Ok(price), Ok(weight)) => (price, weight),
            (Err(skip), _) | (_, Err(skip)) => return Ok(skip),
        };
        if let Some(hundredths) = price.zip(weight).and_then(|(price, weight)| divide(price, weight)) {
            let (whole, hundredths) = (hundredths / 100, hundredths % 100);
            item.set_fmt(self.unit_price, format_args!("{whole}.{hundredths:02}"));
        }
        Ok(Verdict::Keep)
    }
}

stepbox_step::export_processor!(UnitPrice);

/// `12.50` is 1250 with two places. This is exact, and a floating-point number would not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    digits: u64,
    places: u32,
}

/// The number in a cell; `None` if the cell is null or empty.
fn number(item: &Item<'_>, column: Column) -> Result<Option<Decimal>, Verdict> {
    let cell = item.bytes(column).unwrap_or_default();
    if cell.is_empty() {
        return Ok(None);
    }
    parse(cell).map(Some).ok_or_else(|| {
        let (name, text) = (item.columns().name(column), item.text(column));
        Verdict::skip(
            "no-number",
            format!("column `{name}` says `{text}`, which is no decimal number of at most 9 characters"),
        )
    })
}

/// Reads a number of at most nine characters, so that all products here fit into 64 bits.
fn parse(cell: &[u8]) -> Option<Decimal> {
    let point = cell.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = point.map_or((cell, None), |at| (&cell[..at], Some(&cell[at + 1..])));
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) || cell.len() > 9 {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    let mut digits = 0;
    for byte in whole.iter().chain(fraction) {
        digits = digits * 10 + u64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    Some(Decimal { digits, places: fraction.len() as u32 })
}

/// The quotient in hundredths, rounded half up; `None` for a division by zero.
fn divide(price: Decimal, weight: Decimal) -> Option<u64> {
    let above = price.digits * 10_u64.pow(weight.places) * 100;
    let below = weight.digits * 10_u64.pow(price.places);
    (2 * above + below).checked_div(2 * below)
}

#[cfg(test)]
mod tests;
