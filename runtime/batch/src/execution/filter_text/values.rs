//! The values of qualifiers: days, durations, ranges.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};

use crate::clock::Timestamp;
use crate::execution::filter::Range;

/// `yes` or `no`.
pub(super) fn yes(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// A whole number.
pub(super) fn count(value: &str) -> Option<u64> {
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok())?
}

/// A duration in milliseconds: `500ms`, `10s`, `5m`, `2h`, `7d`, `2w`.
pub(super) fn span_ms(value: &str) -> Option<u64> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

/// A range of numbers: `>10`, `>=10`, `<10`, `<=10`, `1..10` and, if that makes sense, `10`.
pub(super) fn range(value: &str, read: fn(&str) -> Option<u64>, takes_one: bool) -> Option<Range> {
    if let Some((from, to)) = value.split_once("..") {
        let (min, max) = (read(from)?, read(to)?);
        return (min <= max).then_some(Range { min: Some(min), max: Some(max) });
    }
    let bound = |min, max| Some(Range { min, max });
    match comparison(value) {
        (">=", rest) => bound(Some(read(rest)?), None),
        (">", rest) => bound(Some(read(rest)?.checked_add(1)?), None),
        ("<=", rest) => bound(None, Some(read(rest)?)),
        ("<", rest) => bound(None, Some(read(rest)?.checked_sub(1)?)),
        (_, one) if takes_one => bound(Some(read(one)?), Some(read(one)?)),
        _ => None,
    }
}

fn comparison(value: &str) -> (&'static str, &str) {
    [">=", "<=", ">", "<"]
        .into_iter()
        .find_map(|sign| value.strip_prefix(sign).map(|rest| (sign, rest)))
        .unwrap_or(("", value))
}

/// From which moment, and before which one.
type Since = (Option<Timestamp>, Option<Timestamp>);

/// When something was created: `7d` (the last 7 days), `2026-11-01` (that day), `>2026-11-01` (after that day),
/// `2026-11-01..2026-11-30` (both days within). A time may follow the day: `2026-11-01T14:30`.
pub(super) fn created(value: &str, now: Timestamp, zone: &TimeZone) -> Option<Since> {
    if let Some(ms) = span_ms(value) {
        return Some((Some(Timestamp(now.0.saturating_sub_unsigned(ms))), None));
    }
    if let Some((from, to)) = value.split_once("..") {
        let (from, to) = (moment(from, zone)?, moment(to, zone)?);
        return (from.0 < to.1).then_some((Some(from.0), Some(to.1)));
    }
    let (sign, rest) = comparison(value);
    let (begins, ends) = moment(rest, zone)?;
    Some(match sign {
        ">=" => (Some(begins), None),
        ">" => (Some(ends), None),
        "<=" => (None, Some(ends)),
        "<" => (None, Some(begins)),
        _ => (Some(begins), Some(ends)),
    })
}

/// When a day or a minute begins, and when the next one does.
fn moment(text: &str, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let is_plain = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, place)| match place {
                b'0' => byte.is_ascii_digit(),
                sign => byte == sign,
            })
    };
    let (from, length): (DateTime, Span) = if is_plain(text, "0000-00-00") {
        (text.parse::<Date>().ok()?.at(0, 0, 0, 0), 1.day())
    } else if is_plain(text, "0000-00-00T00:00") {
        (text.parse().ok()?, 1.minute())
    } else {
        return None;
    };
    let at = |moment: DateTime| {
        let zoned = moment.to_zoned(zone.clone()).ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    };
    Some((at(from)?, at(from.checked_add(length).ok()?)?))
}
