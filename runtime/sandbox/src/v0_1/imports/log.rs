//! `stepbox:step/log`: messages for the execution's log, within the step's allowance.

use stepbox_batch::log::LogLevel;

use crate::lengths::LOG_MESSAGE;
use crate::state::StepState;
use crate::v0_1::bindings::stepbox::step::log::{Host, Level};

impl Host for StepState {
    fn log(&mut self, level: Level, message: String) {
        let level = match level {
            Level::Error => LogLevel::Error,
            Level::Warning => LogLevel::Warning,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
        };
        self.journal.log(level, LOG_MESSAGE.cut(&message));
    }
}
