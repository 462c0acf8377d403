//! `stepbox store`: what everything is kept in, looked at and brought up to date.

use stepbox::{StorePlace, StoreReport, check_store, migrate_store};

use crate::args::queue::Store;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output::Answer;
use crate::output::json::{MigratedView, StoreView};

pub(crate) async fn carry_out(place: StorePlace<'_>, verb: Store) -> Result<Answer, CliError> {
    match verb {
        Store::Check(format) => {
            let report = check_store(place).await?;
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
    let StoreReport { store, server, version, known_version, problems } = report;
    let schema = match version {
        version if version == known_version => format!("version {version}, up to date"),
        0 => "none yet; `stepbox store migrate` makes it".to_owned(),
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
    format!("store      {store}\nschema     {schema}\n{of_kind}")
}

fn migrated(before: &StoreReport) -> String {
    let StoreReport { store, version, known_version, .. } = before;
    match version {
        version if version == known_version => format!("{store} is at version {version} already\n"),
        0 => format!("{store} is new, at version {known_version}\n"),
        _ => format!("{store} was at version {version} and is at version {known_version} now\n"),
    }
}
