//! The help of errors, grouped by subject.

use stepbox_batch::nearest::nearest;

use super::ConnectorError;
use crate::other_format::Encoding;

impl ConnectorError {
    /// What a person can do about the error.
    pub fn help(&self) -> String {
        match self {
            Self::UnknownOption { .. }
            | Self::MissingOption { .. }
            | Self::BadOption { .. }
            | Self::UnknownStorage { .. }
            | Self::NoStorage { .. }
            | Self::OtherStorage { .. }
            | Self::BadPath { .. } => self.help_on_options(),
            Self::NoFolder { .. }
            | Self::UnusableStorage { .. }
            | Self::StorageOverlaps { .. }
            | Self::StorageTaken { .. }
            | Self::BadStorage { .. }
            | Self::ClosedEndpoint { .. } => self.help_on_storages(),
            Self::EmptyFile { .. }
            | Self::EmptyColumnName { .. }
            | Self::DuplicateColumnName { .. }
            | Self::TooManyColumns { .. }
            | Self::NotUtf8 { .. }
            | Self::OtherFormat { .. }
            | Self::DelimiterUnclear { .. }
            | Self::UnclosedEnclosure { .. }
            | Self::RowTooLong { .. }
            | Self::InputChanged { .. } => self.help_on_inputs(),
            Self::UnnamedOutputColumn { .. }
            | Self::NeedsEnclosure { .. }
            | Self::OutputChanged { .. }
            | Self::OutputNotKept { .. }
            | Self::OutputTakenOver { .. }
            | Self::ColumnsChanged { .. }
            | Self::RejectedTooLarge { .. }
            | Self::ContextFull { .. } => self.help_on_outputs(),
            Self::Bucket { problem, .. } => problem.help().to_owned(),
            Self::File { problem, .. } => problem.help().to_owned(),
            Self::BadState { .. } => {
                "start a new execution, or restart with the version of Stepbox that began this one".to_owned()
            }
            Self::NotOpen => "report this as a defect of Stepbox".to_owned(),
        }
    }

    /// The help for an option, and for the storage or the path that the option names.
    fn help_on_options(&self) -> String {
        match self {
            Self::UnknownOption { option, known } => {
                format!("{}the options are {}", did_you_mean(option, known), quoted(known))
            }
            Self::MissingOption { option } => format!("add `{option}` to the element in the connector file"),
            Self::BadOption { .. } => "correct the option, or the parameter that it takes".to_owned(),
            Self::UnknownStorage { available, .. } => format!("a storage is written {}", written(available)),
            Self::NoStorage { given, available, .. } if !available.is_empty() => {
                format!("{}the storages are {}", did_you_mean(given, available), quoted(available))
            }
            Self::NoStorage { .. } => String::new(),
            Self::OtherStorage { found, .. } => format!("write `\"type\": \"{found}\"`"),
            Self::BadPath { .. } => "name a file, such as `out/products.csv`".to_owned(),
            _ => String::new(),
        }
    }

    /// The help for a storage, written for its operator.
    fn help_on_storages(&self) -> String {
        match self {
            Self::NoFolder { .. } => "make the folder, or take the storage out".to_owned(),
            Self::UnusableStorage { help, .. } => help.clone(),
            Self::StorageOverlaps { .. } => {
                "give each of the two a prefix, a folder or a bucket of its own: a job could read and write what is in both"
                    .to_owned()
            }
            Self::StorageTaken { .. } => {
                "give each installation a prefix, or a folder, of its own: both count their executions from 1, and \
                 would write over each other's logs. If the other one is gone for good, remove all that it has left \
                 there, the object `installation` as the last"
                    .to_owned()
            }
            Self::BadStorage { .. } => "correct the settings of the storage".to_owned(),
            Self::ClosedEndpoint { network, .. } => format!("use an `endpoint` with TLS, or open {}", network.in_words()),
            _ => String::new(),
        }
    }

    /// The help for an input.
    fn help_on_inputs(&self) -> String {
        match self {
            Self::EmptyFile { .. } => {
                "check that the file is the right one and was written to its end: CSV without items still has \
                 its header, and JSON Lines has an object on each line"
                    .to_owned()
            }
            Self::EmptyColumnName { .. } => {
                "name every column, or set `unnamed_columns` to `name` or `drop`; does the header end in a \
                 delimiter too many?"
                    .to_owned()
            }
            Self::DuplicateColumnName { .. } => {
                "give each column a name of its own, or set `repeated_columns` to `name` or `drop`".to_owned()
            }
            Self::TooManyColumns { .. } => {
                "check the delimiter; for JSON Lines, list the `columns` to be read".to_owned()
            }
            Self::NotUtf8 { encoding, .. } => {
                let from = match encoding {
                    Encoding::Unknown => "WINDOWS-1252",
                    Encoding::Utf16 => "UTF-16",
                    Encoding::Utf32 => "UTF-32",
                };
                format!("save the file as UTF-8, or convert it: `iconv -f {from} -t UTF-8 old.csv > new.csv`")
            }
            Self::OtherFormat { found, .. } => found.help().to_owned(),
            Self::DelimiterUnclear { likely, .. } => {
                let likely: Vec<_> = likely.iter().map(|c| format!("`{}`", c.escape_default())).collect();
                format!(
                    "set the delimiter ({}), as an option of the reader or by the parameter that it takes; if the \
                     character belongs to a name, enclose the name",
                    likely.join(" or ")
                )
            }
            Self::UnclosedEnclosure { .. } => {
                "close it, or set `enclosure` to the character that this file uses, `none` if it uses none"
                    .to_owned()
            }
            Self::RowTooLong { .. } => {
                "look for an enclosure that is opened and not closed; check `enclosure`, which may be `none`"
                    .to_owned()
            }
            Self::InputChanged { .. } => {
                "let a file lie still while it is read (it may grow at its end); then put the first one back and \
                 restart, or start a new execution"
                    .to_owned()
            }
            _ => String::new(),
        }
    }

    /// The help for an output.
    fn help_on_outputs(&self) -> String {
        match self {
            Self::UnnamedOutputColumn { .. } => "give the column a name before it is written".to_owned(),
            Self::NeedsEnclosure { .. } => {
                "set another `delimiter`, or an `enclosure`; or rename the column".to_owned()
            }
            Self::OutputChanged { .. } => {
                "put the unfinished output back, or start a new execution instead of restarting this one"
                    .to_owned()
            }
            Self::OutputNotKept { .. } => {
                "look what answers at the storage's `endpoint`, and who else writes there; then restart the execution: \
                 its parts are there"
                    .to_owned()
            }
            Self::OutputTakenOver { .. } => {
                "look whether another worker runs the execution, or another Stepbox writes the same file; if \
                 neither does, start a new execution"
                    .to_owned()
            }
            Self::ColumnsChanged { .. } => {
                "start a new execution, or install the components that this one began with and restart it with the \
                 newest components"
                    .to_owned()
            }
            Self::RejectedTooLarge { .. } => {
                "correct the input, or set `skip.limit` so that the step ends sooner".to_owned()
            }
            Self::ContextFull { .. } => "keep fewer or smaller values in the execution context".to_owned(),
            _ => String::new(),
        }
    }
}

/// How a job writes a storage, for each type. Only the first type needs no name.
fn written(types: &[&str]) -> String {
    let one = |(at, name): (usize, &&str)| match at {
        0 => format!(r#"`{{"type": "{name}", "file_path": "…"}}`"#),
        _ => format!(r#"`{{"type": "{name}", "storage": "…", "file_path": "…"}}`"#),
    };
    types.iter().enumerate().map(one).collect::<Vec<_>>().join(", or ")
}

/// `` did you mean `delimiter`? ``, or an empty text if no known name is similar.
fn did_you_mean(given: &str, known: &[impl AsRef<str>]) -> String {
    let near = nearest(given, known.iter().map(AsRef::as_ref));
    near.map_or_else(String::new, |name| format!("did you mean `{name}`? "))
}

/// The first 20 names, in backticks.
fn quoted(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<_> = names.iter().take(20).map(|name| format!("`{}`", name.as_ref())).collect();
    let rest = if names.len() > 20 { " …" } else { "" };
    shown.join(", ") + rest
}
