//! Finds the known name that a person may have meant.

/// How long a name may be to be compared, in bytes. The limit is needed because names come from outside, and a
/// comparison takes time and memory that grow with the product of the two lengths.
const COMPARED_BYTES_MAX: usize = 200;

/// The known name that is most similar to `name`; `None` if no name is similar.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_comparable = |name: &str| name.len() <= COMPARED_BYTES_MAX;
    if !is_comparable(name) {
        return None;
    }
    known
        .into_iter()
        .filter(|candidate| is_comparable(candidate))
        .map(|candidate| {
            (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn names_what_was_meant_and_nothing_far_fetched() {
        let known = ["delimiter", "enclosure", "to"];
        let rows = [
            ("delimeter", Some("delimiter")),
            ("DELIMITER", Some("delimiter")),
            ("ot", Some("to")),
            ("colour", None),
            ("", None),
        ];
        for (name, expected) in rows {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    /// Regression: a comparison of two names of 100 KB asked for 80 GB.
    #[test]
    fn long_names_are_not_compared() {
        let long = "x".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("delimeter", [&long, "delimiter"]), Some("delimiter"));
    }
}
