//! Skipped items become a warning, and a row of the rejected items file.

use super::parcel::Parcel;
use crate::element::{Rejected, RejectedItems};
use crate::error::{ElementError, StepError};
use crate::execution::Counts;
use crate::job::SkipPolicy;
use crate::step_context::StepContext;

/// Returns the error that ends the step if the skipped items of this chunk break the skip policy. `before` is how
/// many items the step had skipped already.
pub(super) fn refused(parcel: &Parcel, reader: &str, skip: &SkipPolicy, before: u64) -> Option<StepError> {
    let unreadable = parcel.chunk.unreadable.iter();
    let unreadable = unreadable.map(|item| (reader, &item.code, &item.reason, item.place.clone()));
    let skipped = parcel.skipped.iter();
    let skipped =
        skipped.map(|item| (item.culprit.as_str(), &item.code, &item.reason, parcel.place_of_row(item.row)));
    for (number, (culprit, code, reason, place)) in (before + 1..).zip(unreadable.chain(skipped)) {
        if let Some(codes) = &skip.on
            && !codes.iter().any(|pattern| pattern.fits(code))
        {
            let source = ElementError::failed(code.clone(), reason)
                .with_help("the step skips only items with the codes in `skip.on`");
            return Some(StepError::element(culprit, place, source));
        }
        if let Some(limit) = skip.limit.filter(|&limit| number > limit) {
            let (culprit, last) = (culprit.to_owned(), reason.clone());
            return Some(StepError::SkipLimit { limit, culprit, place, last });
        }
    }
    None
}

/// Returns the error that ends the step if too many of its items were skipped. A step without items may complete. A
/// step that left out all items on purpose may complete, too.
pub(super) fn too_many(counts: Counts, skip: &SkipPolicy) -> Option<StepError> {
    let Counts { read, written, skipped, .. } = counts;
    let is_too_many = match skip.share {
        Some(share) => share.is_exceeded(skipped, read),
        None => skipped > 0 && written == 0,
    };
    is_too_many.then_some(StepError::SkipShare { skipped, read, share: skip.share })
}

/// Makes warnings and rejected items of the skipped items, in the order of the rows.
pub(super) async fn set_aside(
    parcel: &mut Parcel,
    file: &mut dyn RejectedItems,
    header: &[String],
    context: &StepContext,
) -> Result<(), StepError> {
    parcel.skipped.sort_by_key(|skipped| skipped.row);
    for item in &parcel.chunk.unreadable {
        context.add_warning(&item.code, &item.reason, &item.place, &item.item);
        let (code, reason, place) = (&item.code, &item.reason, &item.place);
        let rejected = Rejected { row: None, code, reason, place, phase: "read", item: &item.item };
        file.append(rejected).await.map_err(failed)?;
    }
    for item in &parcel.skipped {
        let place = parcel.place_of_row(item.row);
        if context.keeps_warnings() {
            let text = parcel.chunk.rows.row_as_json(header, item.row).to_string();
            context.add_warning(&item.code, &item.reason, &place, &text);
        } else {
            context.count_warnings(1);
        }
        let row = Some((&parcel.chunk.rows, item.row));
        let (code, reason, phase) = (&item.code, &item.reason, item.phase);
        file.append(Rejected { row, code, reason, place: &place, phase, item: "" }).await.map_err(failed)?;
    }
    Ok(())
}

/// A failure of the rejected items file, which does not belong to an element.
pub(super) fn failed(source: ElementError) -> StepError {
    StepError::element("rejected items file", "", source)
}
