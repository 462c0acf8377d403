//! Short numbers that tell two contents apart. They guard against mistakes, not against attackers.

/// FNV-1a: the same in every version of Rust and of Stepbox, as checkpoints hold it.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The fingerprint of a header: names and their order.
pub(crate) fn fingerprint_of_names(names: &[String]) -> u64 {
    fingerprint(names.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_function() {
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn tells_headers_apart() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(fingerprint_of_names(&names("a,b")), fingerprint_of_names(&names("a,b")));
        assert_ne!(fingerprint_of_names(&names("a,b")), fingerprint_of_names(&names("b,a")));
        assert_ne!(fingerprint_of_names(&names("a,b")), fingerprint_of_names(&names("ab")));
    }
}
