//! A generated catalogue, the same every time: 12 columns, unicode, quotes, line breaks.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

use crate::numbers::Numbers;

const WORDS: [&str; 16] = [
    "lantern",
    "kettle",
    "étagère",
    "bench",
    "notebook",
    "Kompaß",
    "blanket",
    "mug",
    "ladder",
    "telescope",
    "tent",
    "clock",
    "größer",
    "amber",
    "olive",
    "woven",
];

/// Writes the catalogue, without the `sku` in each row of this number if wanted. Returns its bytes.
pub fn write(path: &Path, rows: u32, bad_every: Option<u32>) -> Result<u64> {
    let mut numbers = Numbers::from_state(0x5EED);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(
        file,
        "sku,name,brand,categories,enabled,price,weight,released_on,ean,colour,keywords,description"
    )?;
    for row in 0..rows {
        let mut word = || WORDS[numbers.below(16) as usize];
        let (name, brand, colour) = (word(), word(), word());
        let keywords = [word(), word(), word()].join(",");
        let description: Vec<&str> = (0..18).map(|_| word()).collect();
        let mut description = description.join(" ");
        if row % 50 == 0 {
            description = description.replacen(' ', "\n", 1);
        }
        let price = format!("{}.{:02}", numbers.below(900), numbers.below(100));
        let weight = format!("{}.{}", numbers.below(90), numbers.below(10));
        let date =
            format!("20{:02}-{:02}-{:02}", numbers.below(26), numbers.below(12) + 1, numbers.below(28) + 1);
        let is_bad = bad_every.is_some_and(|every| row % every == 0);
        let sku = if is_bad { String::new() } else { format!("sku-{row:07}") };
        let enabled = u64::from(numbers.below(10) > 0);
        let ean = 4_000_000_000_000 + numbers.below(999_999_999);
        writeln!(
            file,
            "{sku},{name} {row},{brand},\"a,b\",{enabled},{price},{weight},{date},{ean},{colour},\
             \"{keywords}\",\"The \"\"{name}\"\": {description}.\""
        )?;
    }
    file.flush()?;
    Ok(std::fs::metadata(path)?.len())
}
