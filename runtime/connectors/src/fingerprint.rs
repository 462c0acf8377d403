//! Values that show whether two contents differ. Short numbers protect against mistakes. Digests also protect against
//! the keeper of the content, such as a bucket.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// FNV-1a. Checkpoints contain it, so it must be the same in every version of Rust and of Stepbox.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The first half of a SHA-256 over bytes that arrive in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// 32 hexadecimal digits: the digest of all bytes so far.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.clone().finalize()[..16].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The fingerprint of a header: its names and their order.
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
    fn a_digest_is_that_of_all_pieces() {
        let mut digest = Digest::default();
        digest.add(b"a");
        digest.add(b"bc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn tells_headers_apart() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(fingerprint_of_names(&names("a,b")), fingerprint_of_names(&names("a,b")));
        assert_ne!(fingerprint_of_names(&names("a,b")), fingerprint_of_names(&names("b,a")));
        assert_ne!(fingerprint_of_names(&names("a,b")), fingerprint_of_names(&names("ab")));
    }
}
