//! How values are drawn: the closed lists of widgets, icons and widths, and which widget fits which value.

use serde::{Deserialize, Serialize};

/// Makes an enum whose members have names, in kebab case.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {$(
            $(#[$member_doc])*
            #[serde(rename = $text)]
            $member,
        )+}

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The name in a connector file.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$member => $text),+}
            }
        }
    };
}

named! {
    /// How a value is drawn.
    Widget {
        /// One line of text.
        Text = "text",
        /// Several lines of text, or a list with one entry on each line.
        Textarea = "textarea",
        /// A number, written as text so that it keeps its digits.
        Number = "number",
        /// On or off.
        Switch = "switch",
        /// A box to tick.
        Checkbox = "checkbox",
        /// One value of a list.
        Select = "select",
        /// One value of a few, all in view.
        Radio = "radio",
        /// Several values of a list.
        MultiSelect = "multi-select",
        /// Short texts, one beside the other.
        Tags = "tags",
        /// A day.
        Date = "date",
        /// A moment.
        DateTime = "date-time",
        /// A length of time, as ISO 8601 writes it.
        Duration = "duration",
        /// An address.
        Url = "url",
        /// Text of a fixed width.
        Code = "code",
        /// One character, with names for those that are not seen: `⇥` is a tab.
        Character = "character",
        /// Where a file lies: type, named storage, path.
        Storage = "storage",
        /// The name of one of the tenant's secrets.
        Secret = "secret",
        /// Rows with columns.
        Table = "table",
        /// Any value, as JSON.
        Json = "json",
    }
}

named! {
    /// How wide a field is drawn.
    Width {
        /// A few characters.
        Short = "short",
        /// The whole line.
        Full = "full",
    }
}

named! {
    /// The pictures that a tab may have.
    Icon {
        /// A bell.
        Bell = "bell",
        /// A calendar.
        Calendar = "calendar",
        /// A clock.
        Clock = "clock",
        /// A gear.
        Gear = "gear",
        /// A file.
        File = "file",
        /// A folder.
        Folder = "folder",
        /// A funnel.
        Filter = "filter",
        /// A key.
        Key = "key",
        /// Two arrows.
        Mapping = "mapping",
        /// An envelope.
        Mail = "mail",
        /// A globe.
        Globe = "globe",
        /// A table.
        Table = "table",
        /// A tag.
        Tag = "tag",
        /// A shield.
        Shield = "shield",
    }
}

/// What the value of a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of a few values.
    Choice,
    /// A list of these.
    List(ItemKind),
    /// A list of flat objects.
    Table,
    /// An object that says where a file lies: the other members depend on its type.
    Storage,
    /// Anything else.
    Json,
}

/// What the entries of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// Texts.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// Some of a few values.
    Choice,
}

impl ValueKind {
    /// The word for it in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "`true` or `false`",
            Self::Choice => "one of a few values",
            Self::List(ItemKind::Choice) => "a list of a few values",
            Self::List(_) => "a list",
            Self::Table => "a table",
            Self::Storage => "a storage",
            Self::Json => "any JSON",
        }
    }

    /// The widgets that fit; the first one is the default, unless the format of a text says another.
    pub const fn widgets(self) -> &'static [Widget] {
        use Widget as W;
        match self {
            Self::Text => &[
                W::Text,
                W::Textarea,
                W::Url,
                W::Date,
                W::DateTime,
                W::Duration,
                W::Code,
                W::Character,
                W::Secret,
            ],
            Self::Integer | Self::Number => &[W::Number, W::Text],
            Self::Boolean => &[W::Checkbox, W::Switch],
            Self::Choice => &[W::Select, W::Radio],
            Self::List(ItemKind::Choice) => &[W::MultiSelect, W::Tags, W::Json],
            Self::List(_) => &[W::Tags, W::Textarea, W::Json],
            Self::Table => &[W::Table, W::Json],
            Self::Storage => &[W::Storage, W::Json],
            Self::Json => &[W::Json],
        }
    }
}

/// The widget for a text of that format.
pub(super) fn of_format(format: &str) -> Option<Widget> {
    match format {
        "uri" | "iri" => Some(Widget::Url),
        "date" => Some(Widget::Date),
        "date-time" => Some(Widget::DateTime),
        "duration" => Some(Widget::Duration),
        _ => None,
    }
}

impl Widget {
    /// Whether it fits a value of that kind, and for a text of that format.
    pub fn fits(self, kind: ValueKind, format: Option<&str>) -> bool {
        let of_its_format = match self {
            // Each of these draws one format only.
            Self::Date | Self::DateTime | Self::Duration | Self::Url => {
                format.is_none_or(|format| of_format(format) == Some(self))
            }
            _ => true,
        };
        of_its_format && kind.widgets().contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_widget_fits_its_kind_and_its_format() {
        let rows = [
            (Widget::Date, ValueKind::Text, Some("date"), true),
            (Widget::Date, ValueKind::Text, None, true),
            (Widget::Date, ValueKind::Text, Some("uri"), false),
            (Widget::Text, ValueKind::Text, Some("uri"), true),
            (Widget::Switch, ValueKind::Text, None, false),
            (Widget::Radio, ValueKind::Choice, None, true),
            (Widget::Json, ValueKind::Table, None, true),
            (Widget::Table, ValueKind::Json, None, false),
        ];
        for (widget, kind, format, expected) in rows {
            assert_eq!(widget.fits(kind, format), expected, "{widget:?} {kind:?} {format:?}");
        }
    }
}
