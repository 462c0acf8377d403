//! The stored warnings of an execution, some at a time.

use stepbox_batch::execution::{JobExecution, Warning};
use stepbox_batch::job::StepKind;
use stepbox_batch::name::JobExecutionId;
use stepbox_batch::ports::{Listing, RepositoryError};

use super::Tenant;
use crate::error::Error;

/// How many warnings are read at a time while one searches.
const SEARCHED_TOGETHER: u32 = 500;

/// Some warnings of an execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WarningsPage {
    /// The warnings, in their order.
    pub rows: Listing<Warning>,
    /// Where the next page begins; `None` if there are no more warnings.
    pub next: Option<u64>,
}

/// Whether a warning has a text, whatever the size of its letters.
fn has(warning: &Warning, search: &str) -> bool {
    let Warning { step, code, reason, place, item } = warning;
    [step.as_str(), code, reason, place, item].iter().any(|text| text.to_lowercase().contains(search))
}

impl Tenant {
    /// Up to `limit` stored warnings of an execution that have a text, after the first `skip` ones.
    ///
    /// An empty text is in all. The order is that of [`warnings`](Self::warnings).
    pub async fn some_warnings(
        &self,
        id: JobExecutionId,
        skip: u64,
        search: &str,
        limit: u32,
    ) -> Result<WarningsPage, Error> {
        let search = search.to_lowercase();
        let is_split = match self.execution(id).await {
            Ok(execution) => is_split(&execution),
            // The warnings of a damaged execution may be undamaged.
            Err(Error::Repository(RepositoryError::Corrupt { .. })) => false,
            Err(error) => return Err(error),
        };
        if is_split {
            // The warnings of parts are gathered from all of them, and are not more than a step stores.
            return Ok(page_of(self.warnings(id).await?, skip, &search, limit));
        }
        let repository = &self.installation.repository;
        let (mut found, mut place) = (WarningsPage::default(), skip);
        let together = if search.is_empty() { limit } else { SEARCHED_TOGETHER };
        loop {
            let some = repository.some_warnings(&self.id, id, place, together).await?;
            let (count, is_last) = (some.rows() as u64, some.rows() < together as usize);
            let is_whole = some.damaged.is_empty();
            found.rows.damaged.extend(some.damaged);
            for (index, warning) in some.items.into_iter().enumerate() {
                if !has(&warning, &search) {
                    continue;
                }
                // Between damaged rows, nobody knows the place of a warning, so those pages are longer.
                if found.rows.items.len() >= limit as usize && is_whole {
                    found.next = Some(place + index as u64);
                    return Ok(found);
                }
                found.rows.items.push(warning);
            }
            place += count;
            if is_last {
                return Ok(found);
            }
            if search.is_empty() {
                let more = repository.some_warnings(&self.id, id, place, 1).await?;
                found.next = (more.rows() > 0).then_some(place);
                return Ok(found);
            }
        }
    }
}

/// Whether a step of an execution may have parts.
fn is_split(execution: &JobExecution) -> bool {
    execution
        .job
        .steps
        .iter()
        .any(|step| matches!(&step.kind, StepKind::Item { settings, .. } if settings.partitions > 1))
}

fn page_of(all: Listing<Warning>, skip: u64, search: &str, limit: u32) -> WarningsPage {
    let (mut items, mut next) = (Vec::new(), None);
    let places = (0_u64..).zip(all.items).skip(usize::try_from(skip).unwrap_or(usize::MAX));
    for (place, warning) in places.filter(|(_, warning)| has(warning, search)) {
        if items.len() >= limit as usize {
            next = Some(place);
            break;
        }
        items.push(warning);
    }
    // Damaged rows have no place among the others, so they are in the last page.
    let damaged = if next.is_none() { all.damaged } else { Vec::new() };
    WarningsPage { rows: Listing { items, damaged }, next }
}

#[cfg(test)]
mod tests {
    use stepbox_batch::name::StepName;

    use super::*;

    #[test]
    fn pages_of_warnings_follow_each_other() {
        let warning = |number: u32| Warning {
            step: StepName::new("export").unwrap(),
            code: if number % 2 == 0 { "EVEN" } else { "odd" }.to_owned(),
            reason: String::new(),
            place: format!("line {number}"),
            item: String::new(),
        };
        let all = Listing::of((0..10).map(warning).collect());
        for (search, expected) in [("", 10), ("even", 5), ("line 7", 1), ("nothing", 0)] {
            let (mut skip, mut found) = (0, Vec::new());
            loop {
                let page = page_of(all.clone(), skip, search, 3);
                assert!(page.rows.items.len() <= 3);
                found.extend(page.rows.items);
                let Some(next) = page.next else { break };
                skip = next;
            }
            assert_eq!(found.len(), expected, "{search}");
            assert!(found.windows(2).all(|pair| pair[0].place < pair[1].place), "{search}");
        }
    }
}
