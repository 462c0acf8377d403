//! The placeholders `%job_label%`, `%datetime%` and `%execution%` in the path of an output.

use stepbox_batch::clock::Timestamp;
use stepbox_batch::run_context::RunInfo;
use stepbox_batch::visible::steers;

/// All placeholders.
const PLACEHOLDERS: [&str; 3] = ["%datetime%", "%job_label%", "%execution%"];

/// Whether a path contains a placeholder.
pub(crate) fn are_in(path: &str) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| path.contains(placeholder))
}

/// Fills the placeholders of a path. Any other text between `%` stays as it is. Values cannot lead to another folder: a
/// part of the path that would consist of dots gets `_` in place of each dot.
///
/// `%job_label%` is the label of the job instance, with `_` for blanks, invisible characters, and every ASCII character
/// outside of `A–Z a–z 0–9 .`. `%datetime%` is the beginning of the run in UTC: `2024-03-05_14-07-09`. `%execution%` is
/// the number of the run's first execution, so no two runs of a store have the same name.
pub(crate) fn fill(path: &str, run: &RunInfo) -> String {
    let [datetime, label, execution] = [datetime(run.started_at), label(&run.job_label), run.id.to_string()];
    let fill = |part: &str| {
        let filled = part.replace("%datetime%", &datetime).replace("%execution%", &execution);
        // The label is filled in last. It contains no `%`, so no further placeholder can appear.
        let filled = filled.replace("%job_label%", &label);
        match filled.bytes().all(|byte| byte == b'.') {
            // A part that is empty or consists of dots is not a folder name of its own.
            true if filled != part => "_".repeat(filled.len().max(1)),
            _ => filled,
        }
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

fn label(text: &str) -> String {
    let is_kept = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '.',
        false => !c.is_whitespace() && !steers(c),
    };
    text.chars().map(|c| if is_kept(c) { c } else { '_' }).collect()
}

fn datetime(moment: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(moment.0) {
        Ok(moment) => moment.strftime("%Y-%m-%d_%H-%M-%S").to_string(),
        // Past the year 9999 there is no calendar date, but the name must still be valid.
        Err(_) => moment.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepbox_batch::name::JobExecutionId;

    fn check(path: &str, label: &str, expected: &str) {
        let started_at = Timestamp(1_709_647_629_999);
        let run = RunInfo { id: JobExecutionId(7), job_label: label.to_owned(), started_at };
        assert_eq!(fill(path, &run), expected);
    }

    #[test]
    fn fills_label_and_time_and_leaves_the_rest() {
        check("out/%job_label%_%datetime%.csv", "Été 2.0/x", "out/Été_2.0_x_2024-03-05_14-07-09.csv");
        check("%execution%/%job_label%_%execution%.csv", "%execution%", "7/_execution__7.csv");
        check("%fileNb%/100%", "x", "%fileNb%/100%");
        check("%job_label%%job_label%", "a%datetime%b", "a_datetime_ba_datetime_b");
        check("%job_label%", "../..", ".._..");
        check("out_%execution%.csv", "x", "out_7.csv");
    }

    /// Regression: every letter outside of ASCII became `_`, so different labels in other scripts became the same name.
    #[test]
    fn a_label_keeps_the_letters_of_any_script() {
        check("%job_label%", "商品 導出", "商品_導出");
        check("%job_label%", "हिन्दी", "हिन्दी");
        check("%job_label%", "e\u{301}tude №1", "e\u{301}tude_№1");
        check("%job_label%", "a\u{202e}b\u{a0}c\u{85}d", "a_b_c_d");
    }

    /// Regression: a label of dots led to the folder above.
    #[test]
    fn no_placeholder_changes_the_folder() {
        check("tenants/%job_label%/t.csv", "..", "tenants/__/t.csv");
        check("tenants/%job_label%/t.csv", ".", "tenants/_/t.csv");
        check("tenants/%job_label%/t.csv", "...", "tenants/___/t.csv");
        check("tenants/.%job_label%/t.csv", ".", "tenants/__/t.csv");
        check("tenants/%job_label%%job_label%/t.csv", ".", "tenants/__/t.csv");
        check("%job_label%", "..", "__");
        check("/srv/%job_label%", ".", "/srv/_");
        check("tenants/%job_label%/t.csv", "/", "tenants/_/t.csv");
        check("tenants/%job_label%/t.csv", "", "tenants/_/t.csv");
        check("tenants/%job_label%/t.csv", "..a", "tenants/..a/t.csv");
        // Dots in the path itself are not changed: the code that opens the path checks them.
        check("../%job_label%/./t.csv", "a", "../a/./t.csv");
    }

    #[test]
    fn a_moment_beyond_the_calendar_still_gives_a_name() {
        assert_eq!(datetime(Timestamp(i64::MAX)), "9223372036854775807");
        assert_eq!(datetime(Timestamp(0)), "1970-01-01_00-00-00");
    }
}
