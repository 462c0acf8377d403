//! Bars on a terminal. They show [`Visible`] texts, on one line.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stepbox::batch::visible::Visible;
use stepbox_api::execution::Tracking;

/// All bars of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Bars(MultiProgress);

/// The bar of a step.
pub(super) struct Bar(ProgressBar);

impl Bars {
    /// A bar without a total.
    pub(super) fn begin(&self, title: &Visible) -> Bar {
        let bar = ProgressBar::new_spinner().with_style(style("{prefix} {spinner} {msg}"));
        let bar = self.0.add(bar.with_prefix(title.as_str().trim_end().to_owned()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Bar(bar)
    }

    /// Calls `act` while the bars are hidden.
    pub(super) fn suspended(&self, act: impl FnOnce()) {
        self.0.suspend(act);
    }
}

impl Bar {
    /// The progress, in numbers and words.
    pub(super) fn advance(&self, tracking: Tracking, words: &Visible) {
        if let Some(total) = tracking.total {
            self.0.set_style(style("{prefix} [{bar:24}] {msg}").progress_chars("=> "));
            self.0.set_length(total);
        }
        self.0.set_position(tracking.processed);
        self.0.set_message(words.as_str().trim_end().to_owned());
    }

    /// The result, in words.
    pub(super) fn end(self, words: &Visible) {
        self.0.set_style(style("{prefix} {msg}"));
        self.0.finish_with_message(words.as_str().trim_end().to_owned());
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is right")
}
