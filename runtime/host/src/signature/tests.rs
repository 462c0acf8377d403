//! The keys and signatures in this file were made with `minisign` 0.11.

use super::*;

const BYTES: &[u8] = b"the component";

const ACME: &str = "RWSRZx0VI4kuZ4lciSqZLxjyd8ncJbbFhw3VRYESz3bRSF76K60A1M/U";
const BOLT: &str = "RWSQUze6JWE5jpHkYyXfImYmaP52zIxLtc+WZa5NpqWdsfPssP6beskg";

const BY_ACME: &str = "\
untrusted comment: signature from minisign secret key
RUSRZx0VI4kuZyk90uouA14iKtj/UjEKeOSHZ+J/NQRVgLx4RsSOyjwhjSC54OGcgSZXCaJh3E2Y8mUAssgU95TEnXrkB6IPSgI=
trusted comment: first release
KaxarqJX39XmQLv4+hSDF8h8jiYK0MsLLk9nPN9UkSbgni9Z/DX/JZv9c4kl0eWZ2kpLiX7YmpZ0v1sAf8xuAg==
";

const BY_ACME_LEGACY: &str = "\
untrusted comment: signature from minisign secret key
RWSRZx0VI4kuZ2MYF523zOdRhzh2p+N0JxsDH6poAxXrBZL3j5pRbZQ9DIubmKZCYQfXJLkucxQWhLKnEc5JVgqToV39Rw/vEw0=
trusted comment: old
md8zMqMyhGktNZRDDFPl4jYIh4S4qJHxM5P4/qBrjjZ9HuBhxIWI6RMoUuikaoXtyW2t7PfEPoluYq9zTsuCCA==
";

const BY_BOLT: &str = "\
untrusted comment: signature from minisign secret key
RUSQUze6JWE5jhjJVijEWvUXkSJwv4i1W3EKUpHXP+K3WLaoYPG1ZzQvxcLw3jX9q+UML3qI4nPDKz3JITLtAreTx4gSDQThEwg=
trusted comment: b
Bh2BHRcMoqH72t+lRH0164ig+jBaRZSs9QxB5pQ7svJevFCtiB3UqvhN5cEeaTBE3vbc+5HkSgQ6pSjgiN3SAg==
";

fn keys(listed: &[(&str, &str)]) -> Vec<SigningKey> {
    listed.iter().map(|(name, key)| SigningKey::new(name, key).unwrap()).collect()
}

fn check(listed: &[(&str, &str)], bytes: &[u8], signature: &str, expected: &str) {
    let found = match verify(&keys(listed), bytes, "c.minisig", signature) {
        Ok(signer) => format!("{} {}", signer.name, &signer.key[..6]),
        Err(error) => format!("{}: {error}", error.code()),
    };
    assert_eq!(found, expected);
}

#[test]
fn says_which_key_made_a_signature() {
    let (acme, bolt) = (("acme", ACME), ("bolt", BOLT));
    check(&[acme], BYTES, BY_ACME, "acme RWSRZx");
    check(&[acme, bolt], BYTES, BY_BOLT, "bolt RWSQUz");
    let windows = BY_ACME.replace('\n', "\r\n");
    check(&[acme], BYTES, &windows, "acme RWSRZx");
}

#[test]
fn refuses_every_other_signature() {
    let (acme, bolt) = (("acme", ACME), ("bolt", BOLT));
    let is = |problem: &str| format!("component-signature-wrong: its signature `c.minisig` {problem}");
    let other_key = is("was made with a key that is not accepted");
    check(&[acme], BYTES, BY_BOLT, &other_key);
    check(&[], BYTES, BY_ACME, &other_key);
    let other_bytes = is("is not of these bytes");
    check(&[acme, bolt], b"the components", BY_ACME, &other_bytes);
    check(&[acme], b"", BY_ACME, &other_bytes);
    // The trusted comment is also signed.
    check(&[acme], BYTES, &BY_ACME.replace("first", "other"), &other_bytes);
    // A signature of one key under the number of another key.
    let forged = BY_BOLT.replace("RUSQUze6JWE5jh", "RUSRZx0VI4kuZx");
    check(&[acme], BYTES, &forged, &other_bytes);
    check(&[acme, bolt], BYTES, BY_ACME_LEGACY, &is("is of the legacy form, which is not taken"));

    let malformed = is("is not one of minisign's");
    let long = format!("{BY_ACME}{}", "\n".repeat(SIGNATURE_BYTES_MAX));
    for text in ["", "signed", ACME, &BY_ACME.replace("RUSR", "AASR"), &long] {
        check(&[acme], BYTES, text, &malformed);
    }
    let lines: Vec<_> = BY_ACME.lines().collect();
    for length in 0..lines.len() {
        check(&[acme], BYTES, &lines[..length].join("\n"), &malformed);
    }
}

#[test]
fn takes_public_keys_alone_and_repeats_no_secret() {
    let secret = "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAkWcdFSOJLmf+ie8NHD0rdJZz\
                  oG61vhNbCFLhinCT762SXmUJc4btNIlciSqZLxjyd8ncJbbFhw3VRYESz3bRSF76K60A1M/UAAAAAAAAAAAAAAAAAAAAAAAA\
                  AAAAAAAAAAAAAAAAAAAAAAA=";
    let name = "the name of a key has 1 to 100 bytes, without control characters";
    let malformed = "the key of `acme` is no public key of minisign";
    let rows = [
        ("acme", ACME, "`acme` (RWSRZx0VI4kuZ4lciSqZLxjyd8ncJbbFhw3VRYESz3bRSF76K60A1M/U)"),
        ("acme", secret, "the key of `acme` is a secret key"),
        ("acme", "", malformed),
        ("acme", &ACME[1..], malformed),
        ("acme", &ACME[..52], malformed),
        ("", ACME, name),
        ("a\nb", ACME, name),
        (&"a".repeat(101), ACME, name),
    ];
    for (called, text, expected) in rows {
        let found =
            SigningKey::new(called, text).map_or_else(|error| error.to_string(), |key| key.to_string());
        assert_eq!(found, expected);
    }
}

#[test]
fn judges_kept_components_by_the_keys_of_today() {
    let signer = |name: &str, key: &str| Some(Signer { name: name.to_owned(), key: key.to_owned() });
    let rows = [
        (signer("acme", ACME), "fine"),
        (signer("called otherwise then", ACME), "fine"),
        (None, "component-unsigned: it is not signed"),
        (
            signer("acme", BOLT),
            "component-signature-wrong: it is signed by `acme`, whose key \
             RWSQUze6JWE5jpHkYyXfImYmaP52zIxLtc+WZa5NpqWdsfPssP6beskg is not accepted any more",
        ),
    ];
    for (signer, expected) in rows {
        let found = match judge(&keys(&[("acme", ACME)]), signer.as_ref()) {
            Ok(()) => "fine".to_owned(),
            Err(error) => format!("{}: {error}", error.code()),
        };
        assert_eq!(found, expected);
    }
}
