//! Moments, durations, numbers and sizes, as people read them.

use stepbox::batch::clock::Timestamp;

/// The time between two moments; `-` while the later one is not known.
pub(crate) fn between(earlier: Option<&str>, later: Option<&str>) -> String {
    match (earlier.and_then(moment), later.and_then(moment)) {
        (Some(earlier), Some(later)) => duration(later.ms_since(earlier)),
        _ => "-".to_owned(),
    }
}

/// A moment as it is written on every wire, see the `Display` of [`Timestamp`].
fn moment(text: &str) -> Option<Timestamp> {
    let outside_of_calendars = || text.strip_suffix(" ms")?.parse().ok();
    let moment: Option<jiff::Timestamp> = text.parse().ok();
    moment.map(|moment| moment.as_millisecond()).or_else(outside_of_calendars).map(Timestamp)
}

/// Milliseconds: `85 ms`, `1.2 s`, `2 min 5 s`, `1 h 3 min`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number with its thousands apart: `1,239`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 step`, `2 steps`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(count))
}

/// Bytes: `800 bytes`, `256 KiB`, `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let in_units = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        if tenths.is_multiple_of(10) {
            number(tenths / 10)
        } else {
            format!("{}.{}", number(tenths / 10), tenths % 10)
        }
    };
    match bytes {
        0..1024 => counted(bytes, "byte"),
        1024..1_048_576 => format!("{} KiB", in_units(1 << 10)),
        1_048_576..1_073_741_824 => format!("{} MiB", in_units(1 << 20)),
        _ => format!("{} GiB", in_units(1 << 30)),
    }
}

/// The beginning of a text that is too long to show, at most `characters` of it.
pub(crate) fn beginning(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The difference of a clock, from the milliseconds by which it is ahead: `3600.0 s ahead of`.
pub(crate) fn skew(ms: i64) -> String {
    let way = if ms < 0 { "behind" } else { "ahead of" };
    format!("{:.1} s {way}", ms.unsigned_abs() as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_people_say_it() {
        let durations = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (59_990, "59.9 s"),
            (125_000, "2 min 5 s"),
            (3_780_000, "1 h 3 min"),
        ];
        for (ms, expected) in durations {
            assert_eq!(duration(ms), expected);
        }
        for (value, expected) in [(0, "0"), (999, "999"), (1239, "1,239"), (10_000_000, "10,000,000")] {
            assert_eq!(number(value), expected);
        }
        for (value, expected) in [
            (1, "1 byte"),
            (800, "800 bytes"),
            (256 << 10, "256 KiB"),
            (3 << 19, "1.5 MiB"),
            (1 << 31, "2 GiB"),
        ] {
            assert_eq!(bytes(value), expected);
        }
        let rows = [
            (Some(1_700_000_000_000), Some(1_700_000_001_200), "1.2 s"),
            (Some(-1), Some(1), "2 ms"),
            (Some(i64::MAX - 5), Some(i64::MAX), "5 ms"),
            (Some(5), Some(3), "0 ms"),
            (Some(0), None, "-"),
            (None, Some(0), "-"),
        ];
        for (earlier, later, expected) in rows {
            let [earlier, later] = [earlier, later].map(|ms| ms.map(|ms| Timestamp(ms).to_string()));
            assert_eq!(between(earlier.as_deref(), later.as_deref()), expected);
        }
        assert_eq!((beginning("héllo", 2), beginning("héllo", 5)), ("hé…".to_owned(), "héllo".to_owned()));
    }
}
