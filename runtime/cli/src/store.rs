//! `stepbox store`: what everything is kept in, looked at and brought up to date.

use stepbox::{Finding, StorePlace, StoreReport, check_store, migrate_store, repair_store};

use crate::args::queue::Store;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::json::{MigratedView, StoreView};
use crate::output::words::counted;
use crate::output::{Answer, visible};

pub(crate) async fn carry_out(place: StorePlace<'_>, verb: Store) -> Result<Answer, CliError> {
    match verb {
        Store::Check { repair, format } => {
            let report = if repair { repair_store(place).await? } else { check_store(place).await? };
            let exit_code = match report.is_ready() {
                true => ExitCode::Completed,
                false => ExitCode::StoreUnavailable,
            };
            let answer = Answer::new(format.format, || checked(&report), || StoreView::of(&report));
            Ok(answer.with_exit_code(exit_code))
        }
        Store::Migrate(format) => {
            let before = migrate_store(place).await?;
            Ok(Answer::new(format.format, || migrated(&before), || MigratedView::of(&before)))
        }
    }
}

fn checked(report: &StoreReport) -> String {
    let StoreReport { store, server, version, known_version, problems, findings } = report;
    let schema = match version {
        version if version == known_version => format!("version {version}, up to date"),
        0 => "none yet; `stepbox store migrate` makes it".to_owned(),
        version if version > known_version => {
            format!("version {version} is newer than this program's {known_version}; use the newer program")
        }
        _ => format!("version {version}; `stepbox store migrate` brings it to {known_version}"),
    };
    let pages = match &problems[..] {
        [] => "whole".to_owned(),
        problems => {
            format!(
                "damaged; put back a copy of the data folder\n           {}",
                problems.join("\n           ")
            )
        }
    };
    let of_kind = match server {
        Some(server) => format!("server     {server}\n"),
        None => format!("contents   {pages}\n"),
    };
    format!("store      {store}\nschema     {schema}\n{of_kind}{}", found(findings))
}

/// What is wrong, each thing on a line of its own.
fn found(findings: &[Finding]) -> String {
    let lines =
        findings.iter().map(|finding| format!("           {}\n", visible::on_one_line(&finding.to_string())));
    let left = findings.iter().filter(|finding| finding.remedy.is_none()).count();
    let what = match (findings.len(), left) {
        (0, _) => return String::new(),
        (all, 0) => format!("{} mended", counted(all as u64, "finding")),
        (_, left) => format!(
            "{}; `stepbox store check --repair` mends what can be mended",
            counted(left as u64, "finding")
        ),
    };
    format!("findings   {what}\n{}", lines.collect::<String>())
}

fn migrated(before: &StoreReport) -> String {
    let StoreReport { store, version, known_version, .. } = before;
    match version {
        version if version == known_version => format!("{store} is at version {version} already\n"),
        0 => format!("{store} is new, at version {known_version}\n"),
        _ => format!("{store} was at version {version} and is at version {known_version} now\n"),
    }
}
