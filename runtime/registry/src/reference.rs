//! References to artifacts: `oci://registry.example.com/acme/normalise@sha256:…`.

use std::net::IpAddr;

use oci_spec::distribution::Reference;

use crate::PullError;

const SCHEME: &str = "oci://";

/// Parses a reference with a registry. A reference without a digest is refused later, with the digest that its tag
/// means today.
pub(super) fn parse(text: &str) -> Result<Reference, PullError> {
    let malformed = |problem: String| PullError::Reference { reference: text.to_owned(), problem };
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return Err(malformed(format!("it does not begin with `{SCHEME}`")));
    };
    let image = Reference::try_from(rest).map_err(|error| malformed(error.to_string()))?;
    // Docker would look for a name without a registry in its own registry.
    if rest.split('/').next() != Some(image.registry()) {
        return Err(malformed("it names no registry".to_owned()));
    }
    match image.digest() {
        Some(digest) if !digest.starts_with("sha256:") => {
            Err(malformed("its digest is no SHA-256".to_owned()))
        }
        _ => Ok(image),
    }
}

/// The reference in the form in which it was given.
pub(super) fn text(image: &Reference) -> String {
    format!("{SCHEME}{}", image.whole())
}

/// The reference with a digest in place of its tag.
pub(super) fn pinned(image: &Reference, digest: &str) -> String {
    format!("{SCHEME}{}/{}@{digest}", image.registry(), image.repository())
}

/// Whether a registry is on this machine: no other machine can listen, and there is usually no TLS.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn need_a_registry_and_no_digest_but_a_sha_256() {
        let digest = "b".repeat(64);
        let check = |reference: &str, expected: &str| {
            let found = match parse(reference) {
                Ok(image) => {
                    format!("{} {} {:?}", image.registry(), image.repository(), image.digest().is_some())
                }
                Err(error) => error.to_string().replace(&digest, "B"),
            };
            assert_eq!(found, expected);
        };
        let pinned = |name: &str| format!("oci://{name}@sha256:{digest}");
        check(&pinned("registry.example.com/acme/normalise"), "registry.example.com acme/normalise true");
        check(
            &pinned("registry.example.com/acme/normalise:1.2.0"),
            "registry.example.com acme/normalise true",
        );
        check(&pinned("127.0.0.1:5000/normalise"), "127.0.0.1:5000 normalise true");
        check("oci://localhost:5000/normalise:1.2.0", "localhost:5000 normalise false");
        check("oci://localhost:5000/normalise", "localhost:5000 normalise false");
        check(
            &pinned("acme/normalise"),
            "`oci://acme/normalise@sha256:B` is no reference: it names no registry",
        );
        check("normalise.wasm", "`normalise.wasm` is no reference: it does not begin with `oci://`");
        check("oci://", "`oci://` is no reference: repository name must have at least one component");
        check(
            "oci://a.example/b@sha256:123",
            "`oci://a.example/b@sha256:123` is no reference: invalid reference format",
        );
        let long = "b".repeat(128);
        let reference = format!("oci://a.example/b@sha512:{long}");
        check(&reference, "`oci://a.example/b@sha512:BB` is no reference: its digest is no SHA-256");
    }

    #[test]
    fn only_this_machine_needs_no_tls() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com:5000", false),
            ("10.0.0.1:5000", false),
            ("registry.example.com", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry}");
        }
    }
}
