//! How numbers, times and sizes are written for the person who reads: in their zone, with the separators of their language.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use maud::{Markup, html};

/// Light, dark, or what the system of the reader says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// What the system says.
    #[default]
    System,
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
}

impl Theme {
    /// All themes, in the order of the menu.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its word, in cookies and forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of a word. Every other word is the system's.
    pub fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.as_str() == word).unwrap_or_default()
    }
}

/// The person who reads, as far as that changes what is written.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The zone of their clock.
    pub zone: TimeZone,
    /// What separates thousands.
    pub separator: &'static str,
    /// What separates the fraction.
    pub point: &'static str,
    /// The tag of their first language (BCP 47): `en`, `de-CH`.
    pub language: String,
    /// The theme that they have chosen.
    pub theme: Theme,
    /// The time of the request.
    pub now: Timestamp,
}

impl Reader {
    /// A reader of a zone and a language: `Europe/Berlin`, `de-CH, en;q=0.5`. What is not known is UTC and English.
    pub fn new(zone: &str, languages: &str, theme: Theme, now: Timestamp) -> Self {
        let (separator, point) = separators(languages);
        let is_name = |zone: &&str| zone.len() <= 64 && zone.is_ascii();
        let zone = Some(zone).filter(is_name).and_then(|zone| TimeZone::get(zone).ok());
        Self {
            zone: zone.unwrap_or(TimeZone::UTC),
            separator,
            point,
            language: language(languages),
            theme,
            now,
        }
    }

    /// A whole number with all its digits: `12,431`.
    pub fn number(&self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() * 2);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push_str(self.separator);
            }
            text.push(digit);
        }
        text
    }

    /// A number with one digit after the point: `4.2`.
    fn tenths(&self, tenths: u64) -> String {
        format!("{}{}{}", self.number(tenths / 10), self.point, tenths % 10)
    }

    /// A length in bytes: `812 B`, `4.2 kB`, `1.3 GB`. Steps of 1000.
    pub fn bytes(&self, bytes: u64) -> String {
        let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
        match units.into_iter().find(|(unit, _)| bytes >= *unit) {
            Some((unit, name)) => format!("{} {name}", self.tenths(bytes / (unit / 10))),
            None => format!("{bytes} B"),
        }
    }

    /// A length of memory in bytes: `64 MiB`. Steps of 1024.
    pub fn memory(&self, bytes: u64) -> String {
        let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(unit, _)| bytes >= *unit) {
            Some((unit, name)) if bytes.is_multiple_of(unit) => {
                format!("{} {name}", self.number(bytes / unit))
            }
            Some((unit, name)) => format!("{} {name}", self.tenths(bytes / (unit / 10).max(1))),
            None => format!("{bytes} B"),
        }
    }

    /// A span of time: `12 ms`, `4.2 s`, `1 min 10 s`, `3 h 5 min`, `2 d 4 h`.
    pub fn span(&self, ms: u64) -> String {
        let pair = |(one, name): (u64, &str), (other, short): (u64, &str)| match other {
            0 => format!("{one} {name}"),
            _ => format!("{one} {name} {other} {short}"),
        };
        let seconds = ms / 1000;
        match seconds {
            0 => format!("{ms} ms"),
            1..60 => format!("{} s", self.tenths(ms / 100)),
            60..3600 => pair((seconds / 60, "min"), (seconds % 60, "s")),
            3600..86_400 => pair((seconds / 3600, "h"), (seconds % 3600 / 60, "min")),
            _ => pair((seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h")),
        }
    }

    /// How long something took that began and ended at these times (RFC 3339), or goes on.
    pub fn took(&self, began: &str, ended: Option<&str>) -> Option<String> {
        let began: Timestamp = began.parse().ok()?;
        let ended = ended.map_or(Some(self.now), |ended| ended.parse().ok())?;
        Some(self.span(ended.duration_since(began).as_millis().try_into().unwrap_or(0)))
    }

    /// A time (RFC 3339), as people say it; the exact one with its zone on hover.
    pub fn moment(&self, at: &str) -> Markup {
        let Ok(at) = at.parse::<Timestamp>() else { return html! { (at) } };
        html! { time datetime=(at) title=(self.exactly(at)) { (self.said(at)) } }
    }

    /// A time in full: `30 November 2026, 14:31:44 CET · 13:31:44 UTC`.
    pub fn exactly(&self, at: Timestamp) -> String {
        let here = at.to_zoned_datetime(self.zone.clone());
        let text = here.strftime("%-d %B %Y, %H:%M:%S %Z").to_string();
        match self.zone == TimeZone::UTC {
            true => text,
            false => format!("{text} · {} UTC", at.to_zoned_datetime(TimeZone::UTC).strftime("%H:%M:%S")),
        }
    }

    /// A time as people say it: `23 s ago`, `2 h ago`, `yesterday`, `in 5 min`, `12 Nov`, `12 Nov 2024`.
    fn said(&self, at: Timestamp) -> String {
        let seconds = self.now.duration_since(at).as_secs();
        let distance = |seconds: u64| match seconds {
            0..60 => format!("{seconds} s"),
            60..3600 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        };
        let (then, now) =
            (at.to_zoned_datetime(self.zone.clone()), self.now.to_zoned_datetime(self.zone.clone()));
        let days = then.date().until((Unit::Day, now.date())).map_or(0, |span| span.get_days());
        match seconds {
            -86_400..0 => format!("in {}", distance(seconds.unsigned_abs())),
            0..5 => "just now".to_owned(),
            5..43_200 => format!("{} ago", distance(seconds.unsigned_abs())),
            _ if days == 0 => then.strftime("today, %H:%M").to_string(),
            _ if days == 1 => then.strftime("yesterday, %H:%M").to_string(),
            _ if then.year() == now.year() => then.strftime("%-d %b, %H:%M").to_string(),
            _ => then.strftime("%-d %b %Y").to_string(),
        }
    }

    /// The name of the reader's zone, as times have it.
    pub fn zone_name(&self) -> String {
        self.now.to_zoned_datetime(self.zone.clone()).strftime("%Z").to_string()
    }
}

/// The tag of the first language, if it is one.
fn language(languages: &str) -> String {
    let first = languages.split([',', ';']).next().unwrap_or_default().trim();
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match first.len() <= 35 && first.split('-').all(is_part) {
        true => first.to_owned(),
        false => "en".to_owned(),
    }
}

/// The separators of thousands and fractions in the first language that is known.
fn separators(languages: &str) -> (&'static str, &'static str) {
    let tags =
        languages.split(',').map(|tag| tag.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    for tag in tags {
        let primary = tag.split('-').next().unwrap_or_default();
        return match (tag.as_str(), primary) {
            ("de-ch" | "de-li" | "it-ch", _) => ("\u{2019}", "."),
            (_, "de" | "nl" | "es" | "it" | "pt" | "tr" | "id" | "da" | "el" | "hr" | "sl" | "ro" | "vi") => {
                (".", ",")
            }
            (
                _,
                "fr" | "ru" | "uk" | "pl" | "cs" | "sk" | "sv" | "nb" | "nn" | "no" | "fi" | "hu" | "bg"
                | "et" | "lv" | "lt",
            ) => ("\u{202f}", ","),
            (_, "en" | "ja" | "zh" | "ko" | "th" | "he") => (",", "."),
            _ => continue,
        };
    }
    (",", ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(zone: &str, languages: &str) -> Reader {
        Reader::new(zone, languages, Theme::System, "2026-11-30T13:31:44Z".parse().unwrap())
    }

    #[test]
    fn numbers_have_the_separators_of_the_language() {
        let rows = [
            ("en", 0, "0"),
            ("en-GB,de;q=0.5", 12_431, "12,431"),
            ("de", 1_234_567, "1.234.567"),
            ("de-CH", 1000, "1’000"),
            ("xx, fr", 999_999, "999\u{202f}999"),
            ("", 18_446_744_073_709_551_615, "18,446,744,073,709,551,615"),
        ];
        for (languages, number, expected) in rows {
            assert_eq!(reader("", languages).number(number), expected, "{languages}");
        }
    }

    #[test]
    fn spans_and_sizes_have_their_unit() {
        let reader = reader("", "en");
        let spans =
            [(0, "0 ms"), (999, "999 ms"), (4_210, "4.2 s"), (70_000, "1 min 10 s"), (120_000, "2 min")];
        for (ms, expected) in spans.into_iter().chain([(11_100_000, "3 h 5 min"), (187_200_000, "2 d 4 h")]) {
            assert_eq!(reader.span(ms), expected);
        }
        for (bytes, expected) in [(812, "812 B"), (4_200, "4.2 kB"), (1_300_000_000, "1.3 GB")] {
            assert_eq!(reader.bytes(bytes), expected);
        }
        for (bytes, expected) in [(64 << 20, "64 MiB"), (1536, "1.5 KiB"), (12, "12 B")] {
            assert_eq!(reader.memory(bytes), expected);
        }
    }

    #[test]
    fn a_moment_is_said_and_is_exact_on_hover() {
        let rows = [
            ("2026-11-30T13:31:42Z", "just now"),
            ("2026-11-30T13:31:21Z", "23 s ago"),
            ("2026-11-30T11:05:02Z", "2 h ago"),
            ("2026-11-30T13:36:44Z", "in 5 min"),
            ("2026-11-29T14:00:00Z", "yesterday, 15:00"),
            ("2026-11-12T14:00:00Z", "12 Nov, 15:00"),
            ("2024-11-12T14:00:00Z", "12 Nov 2024"),
        ];
        let reader = reader("Europe/Berlin", "en");
        for (at, expected) in rows {
            let shown = reader.moment(at).into_string();
            assert!(shown.contains(&format!(">{expected}</time>")), "{shown}");
        }
        let exact = reader.exactly("2026-11-30T13:31:44Z".parse().unwrap());
        assert_eq!(exact, "30 November 2026, 14:31:44 CET · 13:31:44 UTC");
        assert_eq!(reader.moment("<b>").into_string(), "&lt;b&gt;");
    }

    #[test]
    fn a_zone_that_is_not_known_is_utc() {
        for zone in ["", "Nowhere/Nothing", "../../etc/passwd", "Европа"] {
            assert_eq!(reader(zone, "en").zone_name(), "UTC", "{zone}");
        }
    }
}
