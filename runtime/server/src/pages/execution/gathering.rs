//! Looks up what the page of an execution shows. Each read is bounded, however many executions, warnings and lines of logs
//! there are.

use std::collections::BTreeMap;
use std::io::Read as _;

use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::job::StepKind;
use stepbox::{LogQuery, Tenant, open_regular};
use stepbox_api::execution::{Execution, LogLine, OutputFile, RejectedItems, Warning};
use stepbox_api::instance::Instance;
use stepbox_api::job::Job;
use stepbox_api::list::Row;
use stepbox_web::pages::execution::{May, Part, Rejected, Shown, log};

use crate::conventions::failure::Failure;

/// How many warnings the page has.
const WARNINGS: u32 = 20;
/// How many lines of the log the page has.
const LINES: usize = 12;
/// How long a file of rejected items may be, in bytes, for the form of the corrected ones to begin with it.
const EDITED_BYTES_MAX: u64 = 32 << 10;

/// What the parts of the page show that move.
pub(super) async fn moving(
    tenant: &Tenant,
    principal: &Principal,
    found: &JobExecution,
) -> Result<Shown, Failure> {
    let entry = tenant.queue_entry(found.id).await?;
    let may = |right, thing: Thing<'_>| principal.may(right, thing);
    Ok(Shown {
        execution: Execution::of(found).with_queue(entry.as_ref()),
        job: Job::of(&found.job),
        instance: None,
        earlier: earlier(tenant, found).await,
        parts: parts(tenant, found).await?,
        warnings: Vec::new(),
        rejected: Vec::new(),
        outputs: Vec::new(),
        log: Vec::new(),
        log_lines: 0,
        may: May {
            launch: may(Right::Launch, Thing::Execution(&found.instance)),
            outputs: may(Right::History, Thing::Outputs(&found.instance)),
            instance: may(Right::View, Thing::Instance(&found.instance)),
        },
    })
}

/// Everything that the page shows.
pub(super) async fn all(
    tenant: &Tenant,
    principal: &Principal,
    found: &JobExecution,
) -> Result<Shown, Failure> {
    let shown = moving(tenant, principal, found).await?;
    let may = shown.may;
    let instance = if may.instance { tenant.find_instance(&found.instance).await? } else { None };
    let has_warnings = found.steps.iter().any(|step| step.warning_count > 0);
    let warnings = match has_warnings {
        true => Row::of(&tenant.some_warnings(found.id, 0, "", WARNINGS).await?.rows, Warning::of),
        false => Vec::new(),
    };
    let has_rejected = may.outputs && found.steps.iter().any(|step| step.counts.skipped > 0);
    let log = tenant.log_before(found.id, None, LogQuery::default(), LINES).await?;
    let outputs = if may.outputs { tenant.outputs(found.id).await? } else { Vec::new() };
    let output = |(number, output): (usize, &stepbox::ExecutionOutput)| OutputFile {
        number: number as u64,
        step: output.step.to_string(),
        name: output.name().to_owned(),
        path: output.path.clone(),
        storage: output.storage.clone(),
        size_bytes: output.size_bytes,
    };
    Ok(Shown {
        instance: instance.as_ref().map(Instance::of),
        warnings,
        rejected: if has_rejected { rejected(tenant, found).await? } else { Vec::new() },
        outputs: outputs.iter().enumerate().map(output).collect(),
        log_lines: log.next.lines,
        log: log.lines.iter().map(|(number, line)| numbered(*number, line)).collect(),
        ..shown
    })
}

/// A line of a log as pages show it.
pub(super) fn numbered(number: u64, line: &stepbox::LogLine) -> log::Line {
    log::Line { number, line: LogLine::of(line) }
}

/// How far each step was in the execution that this one continues. That one may be gone.
async fn earlier(tenant: &Tenant, found: &JobExecution) -> BTreeMap<String, u64> {
    let Some(earlier) = found.restart_of else { return BTreeMap::new() };
    let steps = tenant.execution(earlier).await.map_or_else(|_| Vec::new(), |earlier| earlier.steps);
    steps.into_iter().map(|step| (step.name.to_string(), step.tracking.processed)).collect()
}

async fn parts(tenant: &Tenant, found: &JobExecution) -> Result<Vec<Part>, Failure> {
    let is_split = found
        .job
        .steps
        .iter()
        .any(|step| matches!(&step.kind, StepKind::Item { settings, .. } if settings.partitions > 1));
    if !is_split {
        return Ok(Vec::new());
    }
    let parts = tenant.partitions(found.id).await?;
    let part = |execution: &JobExecution| {
        let of = execution.partition.as_ref()?;
        Some(Part { position: of.position, number: of.number, execution: Execution::of(execution) })
    };
    Ok(parts.iter().filter_map(part).collect())
}

async fn rejected(tenant: &Tenant, found: &JobExecution) -> Result<Vec<Rejected>, Failure> {
    let mut rejected = Vec::new();
    for (step, path) in tenant.rejected_items(found.id).await? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read = tokio::task::spawn_blocking(move || {
            let file = open_regular(&path)?;
            let (size, mut text) = (file.metadata()?.len(), Vec::new());
            if size <= EDITED_BYTES_MAX {
                file.take(EDITED_BYTES_MAX).read_to_end(&mut text)?;
            }
            std::io::Result::Ok((size, String::from_utf8(text).unwrap_or_default()))
        });
        // A file that cannot be read now is none that could be downloaded.
        let Ok(Ok((size_bytes, text))) = read.await else { continue };
        rejected.push(Rejected { file: RejectedItems { step: step.to_string(), file, size_bytes }, text });
    }
    Ok(rejected)
}
