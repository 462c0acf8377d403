//! `stepbox store`: checks the store and updates its schema.

use stepbox::batch::visible::{Visible, on_one_line};
use stepbox::{Finding, StorePlace, StoreReport, check_store, migrate_store, repair_store};
use stepbox_api::exit_code::ExitCode;
use stepbox_api::store;

use crate::args::queue::Store;
use crate::error::CliError;
use crate::output::Answer;
use crate::output::table::pairs;
use crate::output::words::counted;

pub(crate) async fn carry_out(place: StorePlace<'_>, verb: Store) -> Result<Answer, CliError> {
    match verb {
        Store::Check { repair, format } => {
            let report = if repair { repair_store(place).await? } else { check_store(place).await? };
            let exit_code = match report.is_ready() {
                true => ExitCode::Completed,
                false => ExitCode::StoreUnavailable,
            };
            let answer = Answer::new(format.format, || checked(&report), || store::StoreReport::of(&report));
            Ok(answer.with_exit_code(exit_code))
        }
        Store::Migrate(format) => {
            let before = migrate_store(place).await?;
            Ok(Answer::new(format.format, || migrated(&before), || store::Migrated::of(&before)))
        }
    }
}

fn checked(report: &StoreReport) -> Visible {
    let StoreReport { store, server, version, known_version, problems, findings } = report;
    let schema = match version {
        version if version == known_version => format!("version {version}, up to date"),
        0 => "none yet; `stepbox store migrate` makes it".to_owned(),
        version if version > known_version => {
            format!("version {version} is newer than this program's {known_version}; use the newer program")
        }
        _ => format!("version {version}; `stepbox store migrate` brings it to {known_version}"),
    };
    let mut facts = vec![("store", store.to_string()), ("schema", schema)];
    facts.push(match server {
        Some(server) => ("server", server.to_string()),
        None => ("contents", contents(problems)),
    });
    facts.extend(found(findings).map(|found| ("findings", found)));
    pairs(facts)
}

/// The result of the check of the file.
fn contents(problems: &[String]) -> String {
    match problems {
        [] => "whole".to_owned(),
        problems => format!("damaged; put back a copy of the data folder\n{}", problems.join("\n")),
    }
}

/// The findings, one in each line; `None` without findings.
fn found(findings: &[Finding]) -> Option<String> {
    let left = findings.iter().filter(|finding| finding.remedy.is_none()).count();
    let what = match (findings.len(), left) {
        (0, _) => return None,
        (all, 0) => format!("{} mended", counted(all as u64, "finding")),
        (_, left) => format!(
            "{}; `stepbox store check --repair` mends what can be mended",
            counted(left as u64, "finding")
        ),
    };
    let lines: Vec<_> =
        findings.iter().map(|finding| on_one_line(&finding.to_string()).into_owned()).collect();
    Some(format!("{what}\n{}", lines.join("\n")))
}

fn migrated(before: &StoreReport) -> Visible {
    let StoreReport { store, version, known_version, .. } = before;
    match version {
        version if version == known_version => {
            Visible::line(format_args!("{store} is at version {version} already"))
        }
        0 => Visible::line(format_args!("{store} is new, at version {known_version}")),
        _ => {
            let now = format_args!("was at version {version} and is at version {known_version} now");
            Visible::line(format_args!("{store} {now}"))
        }
    }
}
