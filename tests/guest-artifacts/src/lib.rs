//! The guests, as components: built together with this crate. Their constants are the paths of their files.
//!
//! ```no_run
//! use stepbox_guest_artifacts::{hostile, steps};
//!
//! let normalise = std::fs::read(steps::NORMALISE)?;
//! for (name, path) in hostile::ALL {
//!     println!("{name}: {path}");
//! }
//! # std::io::Result::Ok(())
//! ```
//!
//! For tests and benchmarks only. The build script finds a toolchain, or fails with the ways to get one. If no guest
//! has changed, the script does not run.

include!(concat!(env!("OUT_DIR"), "/artifacts.rs"));

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_guest_is_a_component() {
        const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 13, 0, 1, 0];
        for (name, path) in super::steps::ALL.iter().chain(super::hostile::ALL) {
            let bytes = fs::read(path).unwrap();
            assert!(bytes.starts_with(&COMPONENT), "{name}");
        }
    }

    #[test]
    fn every_guest_is_told_of() {
        check("guest-steps/README.md", super::steps::ALL, |name| {
            format!("| `samples/{}/` |", name.replace('_', "-"))
        });
        check("tests/guests/README.md", super::hostile::ALL, |name| format!("| `{name}` |"));

        fn check(readme: &str, guests: &[(&str, &str)], row_of: impl Fn(&str) -> String) {
            let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
            let text = fs::read_to_string(repository.join(readme)).unwrap();
            for (name, _) in guests {
                assert!(text.contains(&row_of(name)), "`{name}` has no row in {readme}");
            }
        }
    }
}
