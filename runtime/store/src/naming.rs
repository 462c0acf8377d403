//! How a refusal names the things in its way.

use stepbox_batch::ports::Result;

use crate::record::Row;

/// The most names in one message.
const NAMES_MAX: usize = 5;

/// ``instances `a`, `b` and 3 more``: enough to act on, short enough to read.
pub(crate) fn some_of(kind: &str, names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{kind}{plural} {}{rest}", shown.join(", "))
}

/// `execution 118 (STARTED)`: the execution because of which an instance cannot be deleted.
pub(crate) fn running(id: i64, status: i64) -> Result<String> {
    let status = Row(format!("execution {id}")).status(status)?;
    Ok(format!("execution {id} ({status})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_few_and_counts_the_rest() {
        let rows = [
            (1, "instance `0`"),
            (2, "instances `0`, `1`"),
            (7, "instances `0`, `1`, `2`, `3`, `4` and 2 more"),
        ];
        for (count, expected) in rows {
            let names: Vec<_> = (0..count).map(|n: u32| n.to_string()).collect();
            assert_eq!(some_of("instance", &names), expected);
        }
    }
}
