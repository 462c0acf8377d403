//! Calendar dates and their formats.

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    year: u16,
    month: u16,
    day: u16,
}

impl Date {
    /// Reads `YYYY-MM-DD`. The caller has checked the digits and the hyphens. `None` if the calendar has no
    /// such day.
    pub(crate) fn parse(cell: &[u8]) -> Option<Date> {
        let (year, month, day) = (number(&cell[..4]), number(&cell[5..7]), number(&cell[8..]));
        (1..=days_in(year, month)).contains(&day).then_some(Date { year, month, day })
    }
}

fn number(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
}

fn days_in(year: u16, month: u16) -> u16 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// A format of dates, such as `dd/MM/yyyy`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DateFormat(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Year4,
    Year2,
    Month2,
    Month,
    Day2,
    Day,
    Literal(char),
}

impl DateFormat {
    /// Reads a format. An error says which part is unknown. Letters are `yyyy`, `yy`, `MM`, `M`, `dd` and
    /// `d`; other letters are errors, and all other characters are copied.
    pub(crate) fn parse(format: &str) -> Result<DateFormat, String> {
        let mut pieces = Vec::new();
        let mut rest = format;
        while let Some(letter) = rest.chars().next() {
            let run = rest.len() - rest.trim_start_matches(letter).len();
            let taken = if letter.is_alphabetic() { run } else { letter.len_utf8() };
            pieces.push(piece(letter, &rest[..taken])?);
            rest = &rest[taken..];
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
            return Err(format!("`{format}` writes nothing of a date; {KNOWN}"));
        }
        Ok(DateFormat(pieces))
    }

    /// Whether a date in this format is the same as in the input.
    pub(crate) fn is_iso(&self) -> bool {
        use Piece::{Day2, Literal, Month2, Year4};
        self.0 == [Year4, Literal('-'), Month2, Literal('-'), Day2]
    }

    pub(crate) fn write(&self, date: Date, text: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Year4 => {
                    push_two(text, date.year / 100);
                    push_two(text, date.year % 100);
                }
                Piece::Year2 => push_two(text, date.year % 100),
                Piece::Month2 => push_two(text, date.month),
                Piece::Month => push_short(text, date.month),
                Piece::Day2 => push_two(text, date.day),
                Piece::Day => push_short(text, date.day),
                Piece::Literal(character) => text.push(*character),
            }
        }
    }
}

const KNOWN: &str = "use `yyyy`, `yy`, `MM`, `M`, `dd` and `d` with separators, such as `dd/MM/yyyy`";

fn piece(letter: char, run: &str) -> Result<Piece, String> {
    match run {
        "yyyy" => Ok(Piece::Year4),
        "yy" => Ok(Piece::Year2),
        "MM" => Ok(Piece::Month2),
        "M" => Ok(Piece::Month),
        "dd" => Ok(Piece::Day2),
        "d" => Ok(Piece::Day),
        _ if !letter.is_alphabetic() => Ok(Piece::Literal(letter)),
        unknown => Err(format!("`{unknown}` is not a part of a date; {KNOWN}")),
    }
}

/// Does not use Rust's formatting, because formatting would take half of the time of a date.
fn push_two(text: &mut String, number: u16) {
    push_digit(text, number / 10);
    push_digit(text, number % 10);
}

fn push_short(text: &mut String, number: u16) {
    if number >= 10 {
        push_digit(text, number / 10);
    }
    push_digit(text, number % 10);
}

fn push_digit(text: &mut String, digit: u16) {
    text.push(char::from(b'0' + digit as u8));
}
