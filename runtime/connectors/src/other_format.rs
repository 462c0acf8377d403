//! The formats and encodings that a file can have instead of the expected ones.

use std::fmt;

/// A format that none of the native readers reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherFormat {
    /// Data compressed by gzip.
    Gzip,
    /// Data compressed by bzip2.
    Bzip2,
    /// Data compressed by xz.
    Xz,
    /// Data compressed by zstd.
    Zstd,
    /// A zip archive. Excel workbooks are zip archives.
    Zip,
    /// A workbook of an old version of Excel.
    OldExcel,
    /// A PDF document.
    Pdf,
    /// A Parquet file.
    Parquet,
    /// A web page, often an error page instead of the file.
    Html,
    /// An XML document.
    Xml,
    /// JSON, where CSV is expected.
    Json,
    /// One JSON array with all items.
    JsonArray,
    /// One JSON object over several lines.
    JsonDocument,
}

impl OtherFormat {
    /// What a person can do about the format.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Gzip => "unpack it first: `gunzip -c in.gz > in.csv`",
            Self::Bzip2 => "unpack it first: `bunzip2 -c in.bz2 > in.csv`",
            Self::Xz => "unpack it first: `unxz -c in.xz > in.csv`",
            Self::Zstd => "unpack it first: `unzstd -c in.zst > in.csv`",
            Self::Zip => "save a workbook as `CSV UTF-8` in Excel; unpack an archive with `unzip`",
            Self::OldExcel => "save it as `CSV UTF-8` in Excel, or as CSV in LibreOffice",
            Self::Pdf | Self::Parquet => "export the data as CSV or JSON Lines",
            Self::Html => {
                "open it in a browser: often it is the page of a login or of an error; then fetch the file again"
            }
            Self::Xml => "export the data as CSV or JSON Lines",
            Self::Json => {
                "read it as JSON Lines, or convert it: `jq -r '.[] | [.a, .b] | @csv' in.json > in.csv`"
            }
            Self::JsonArray => "JSON Lines has one object a line: `jq -c '.[]' in.json > in.jsonl`",
            Self::JsonDocument => "JSON Lines has one object a line: `jq -c . in.json > in.jsonl`",
        }
    }
}

impl fmt::Display for OtherFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "a file that gzip compressed",
            Self::Bzip2 => "a file that bzip2 compressed",
            Self::Xz => "a file that xz compressed",
            Self::Zstd => "a file that zstd compressed",
            Self::Zip => "an Excel workbook or another zip archive",
            Self::OldExcel => "an Excel workbook (`.xls`)",
            Self::Pdf => "a PDF document",
            Self::Parquet => "a Parquet file",
            Self::Html => "an HTML page",
            Self::Xml => "an XML document",
            Self::Json => "JSON, not CSV",
            Self::JsonArray => "a JSON array, not JSON Lines",
            Self::JsonDocument => "a JSON document over several lines, not JSON Lines",
        })
    }
}

/// The width of the characters in a file that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// An encoding with single bytes, or a damaged file.
    Unknown,
    /// Characters of 16 bits.
    Utf16,
    /// Characters of 32 bits.
    Utf32,
}
