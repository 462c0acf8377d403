//! The temporary names of the files of an output on this machine: `.products.csv.118.120-3.part`.
//!
//! Such a name contains the run to which the file belongs (`118`), and the attempt that made it (execution 120 under
//! the lease with token 3). No two attempts ever make a file of the same name. So a worker that lost its lease, and
//! does not know yet, replaces no file of the worker that has the lease now. That worker can recognise what earlier
//! attempts left.

use serde::{Deserialize, Serialize};
use stepbox_batch::cut::cut;
use stepbox_batch::element::Fragment;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::run_context::Attempt;

/// How many bytes of the final name a temporary name keeps. File systems allow 255 bytes in all.
const NAME_BYTES_MAX: usize = 150;

/// The files of a series that an attempt made: from this one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The number of the first file; 1 for a single file.
    pub(crate) from: u64,
    /// The attempt's execution.
    pub(crate) execution: u64,
    /// The token of the attempt's lease.
    pub(crate) token: u64,
}

impl Begun {
    pub(crate) fn new(from: u64, by: Attempt) -> Self {
        Self { from, execution: by.execution.0, token: by.token }
    }

    pub(crate) fn by(self) -> Attempt {
        Attempt { execution: JobExecutionId(self.execution), token: self.token }
    }
}

/// The temporary name of an output or of its fragment, from which the names of its files are made:
/// `.products.csv.118.part`. It is the name of the file itself if the file was begun before names contained the
/// attempt. It is also the name of the folder of parts in a bucket.
pub(crate) fn temporary_name(name: &str, run: impl std::fmt::Display, fragment: Option<Fragment>) -> String {
    let name = cut(name, NAME_BYTES_MAX);
    match fragment {
        Some(Fragment { number }) => format!(".{name}.{run}.p{number}.part"),
        None => format!(".{name}.{run}.part"),
    }
}

/// The temporary name of a file. A single file has no number. The files of a series are numbered from 1.
pub(crate) fn temporary_of(temporary: &str, begun: &[Begun], number: Option<u64>) -> String {
    let stem = stem_of(temporary);
    let by = match by(begun, number) {
        Some(Attempt { execution, token }) => format!(".{execution}-{token}"),
        None => String::new(),
    };
    match number {
        Some(number) => format!("{stem}{by}.{number}.part"),
        None => format!("{stem}{by}.part"),
    }
}

/// The attempt that made a file; `None` if the file was begun before names contained the attempt.
pub(crate) fn by(begun: &[Begun], number: Option<u64>) -> Option<Attempt> {
    let number = number.unwrap_or(1);
    begun.iter().rev().find(|begun| begun.from <= number).map(|begun| begun.by())
}

/// The beginning of all temporary names of an output, also of those of its fragments.
pub(crate) fn stem_of(temporary: &str) -> &str {
    temporary.strip_suffix(".part").unwrap_or(temporary)
}

/// The information in the name of an unfinished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// A file of the output, made by the attempt `by`.
    Own { by: Attempt, number: Option<u64> },
    /// A file of one of the output's fragments.
    Fragment,
}

/// Reads a name of the output with this temporary name; `None` if the name belongs to another output.
pub(crate) fn read(temporary: &str, name: &str) -> Option<Unfinished> {
    let middle = name.strip_prefix(stem_of(temporary))?.strip_prefix('.')?.strip_suffix(".part")?;
    let mut segments = middle.split('.');
    let first = segments.next()?;
    if let Some(by) = attempt(first) {
        let number = segments.next().map(str::parse).transpose().ok()?;
        return segments.next().is_none().then_some(Unfinished::Own { by, number });
    }
    let is_fragment = first.strip_prefix('p').is_some_and(|number| number.parse::<u32>().is_ok());
    let is_known = match segments.next() {
        None => true,
        Some(by) => attempt(by).is_some() && segments.next().is_none(),
    };
    (is_fragment && is_known).then_some(Unfinished::Fragment)
}

/// Reads `120-3`; another `-` and further text may follow.
pub(crate) fn attempt(text: &str) -> Option<Attempt> {
    let mut numbers = text.split('-');
    let execution = JobExecutionId(numbers.next()?.parse().ok()?);
    Some(Attempt { execution, token: numbers.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = ".out.csv.118.part";

    fn of(execution: u64, token: u64) -> Attempt {
        Attempt { execution: JobExecutionId(execution), token }
    }

    #[test]
    fn a_name_tells_who_made_the_file() {
        let begun = [Begun::new(1, of(118, 1)), Begun::new(3, of(120, 4))];
        let check = |begun: &[Begun], number, expected: &str| {
            assert_eq!(temporary_of(NAME, begun, number), expected);
        };
        check(&begun[..1], None, ".out.csv.118.118-1.part");
        check(&begun, Some(2), ".out.csv.118.118-1.2.part");
        check(&begun, Some(3), ".out.csv.118.120-4.3.part");
        check(&begun, Some(9), ".out.csv.118.120-4.9.part");
        check(&[], None, ".out.csv.118.part");
        check(&[], Some(2), ".out.csv.118.2.part");
    }

    #[test]
    fn a_name_is_read_as_it_was_made() {
        let own = |by, number| Some(Unfinished::Own { by, number });
        let check = |name: &str, expected| assert_eq!(read(NAME, name), expected, "{name}");
        check(".out.csv.118.120-4.part", own(of(120, 4), None));
        check(".out.csv.118.120-4.7.part", own(of(120, 4), Some(7)));
        check(".out.csv.118.p3.part", Some(Unfinished::Fragment));
        check(".out.csv.118.p3.121-1.part", Some(Unfinished::Fragment));
        for other in [
            ".out.csv.118.part",
            ".out.csv.118.2.part",
            ".out.csv.1180.120-4.part",
            // Names of an output `out.csv.118` in run 120, and of its fragment.
            ".out.csv.118.120.part",
            ".out.csv.118.120.120-4.part",
            ".out.csv.118.120.p1.120-4.part",
            ".out.csv.118.p3.120.120-4.part",
            ".out.csv.118.120-4.7.8.part",
            ".out.csv.118.120-4.csv",
            "out.csv",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn a_name_is_never_longer_than_file_systems_allow() {
        let temporary = temporary_name(&"é".repeat(127), u64::MAX, Some(Fragment { number: u32::MAX }));
        let begun = [Begun::new(1, of(u64::MAX, u64::MAX))];
        assert!(temporary_of(&temporary, &begun, Some(u64::MAX)).len() <= 255);
    }
}
