//! The progress of an upload: a bar on a terminal, and nothing elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use stepbox::batch::visible::Visible;
use stepbox_client::Outgoing;

use super::words::bytes;

/// Files that are shorter are sent before a bar could be seen.
const BYTES_MIN: u64 = 1 << 20;

/// The same file, with a bar for its upload if there is somebody to see it.
pub(crate) fn shown(file: Outgoing, name: &str) -> Outgoing {
    let is_terminal =
        io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let length = file.length();
    if !is_terminal || length < BYTES_MIN {
        return file;
    }
    let style =
        ProgressStyle::with_template("sending {prefix} [{bar:24}] {msg}").expect("the template is right");
    let bar = ProgressBar::new(length).with_style(style.progress_chars("=> "));
    bar.set_prefix(Visible::line(name).as_str().trim_end().to_owned());
    file.told_to(Arc::new(move |sent| {
        bar.set_position(sent);
        bar.set_message(format!("{} of {}", bytes(sent), bytes(length)));
        if sent == length {
            bar.finish_and_clear();
        }
    }))
}
