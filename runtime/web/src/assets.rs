//! The files that pages load: the style sheet, the scripts and the icon. Their names have a digest, so that browsers keep
//! them for ever.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// A file that pages load.
#[derive(Debug)]
pub struct Asset {
    /// Its name in an address, with a digest of its bytes.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// The files, by the names that pages know.
static ASSETS: LazyLock<Vec<(&str, Asset)>> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    let files: [(&str, &str, &[u8]); 5] = [
        ("style.css", "text/css; charset=utf-8", include_bytes!("../assets/style.css")),
        ("htmx.js", script, include_bytes!("../assets/htmx-4.0.1.min.js")),
        ("hx-sse.js", script, include_bytes!("../assets/hx-sse-4.0.1.min.js")),
        ("stepbox.js", script, include_bytes!("../assets/stepbox.js")),
        ("favicon.svg", "image/svg+xml", include_bytes!("../assets/favicon.svg")),
    ];
    let asset = |(known, media_type, bytes): (&'static str, _, &'static [u8])| {
        let (stem, ending) = known.rsplit_once('.').unwrap_or((known, ""));
        (known, Asset { name: format!("{stem}.{}.{ending}", &digest(bytes)[..12]), media_type, bytes })
    };
    files.map(asset).into()
});

/// The SHA-256 of a file, in hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The file with that name in an address.
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().map(|(_, asset)| asset).find(|asset| asset.name == name)
}

/// The address of a file, by the name that pages know.
pub(crate) fn address(base: &str, known: &str) -> String {
    let found = ASSETS.iter().find(|(name, _)| *name == known);
    found.map_or_else(String::new, |(_, asset)| format!("{base}/assets/{}", asset.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_what_was_looked_at() {
        let readme = include_str!("../assets/README.md");
        for known in ["htmx.js", "hx-sse.js"] {
            let found = ASSETS.iter().find(|(name, _)| *name == known).unwrap();
            assert!(readme.contains(&digest(found.1.bytes)), "{known}: {}", digest(found.1.bytes));
        }
    }

    #[test]
    fn a_file_is_found_by_the_address_that_pages_have() {
        let address = address("/x", "style.css");
        let name = address.strip_prefix("/x/assets/").unwrap();
        assert_eq!(asset(name).unwrap().media_type, "text/css; charset=utf-8");
        assert!(asset("style.css").is_none() && asset("../style.css").is_none());
    }
}
