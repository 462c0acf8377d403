//! The files that the steps of an execution have written.

use std::io::{self, Read as _};

use bytes::Bytes;
use futures_util::stream;
use stepbox_api::execution::OutputFile;
use stepbox_api::list::Row;
use tokio::sync::mpsc;

use super::executions::numbered;
use crate::access::{History, May, OneOutput};
use crate::conventions::download::Download;
use crate::conventions::failure::Failure;
use crate::conventions::input::{InPath, plain_number};
use crate::conventions::list::{List, Listed, Unfiltered};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/executions/{execution}/files", "The files that steps have written.", list)
        .get(
            "/tenants/{tenant}/executions/{execution}/files/{number}",
            "A file that a step has written.",
            one,
        )
}

/// How many pieces wait for a slow client.
const PIECES: usize = 4;
/// How long a piece is, in bytes.
const PIECE: usize = 64 << 10;

async fn list(
    may: May<History, OneOutput>,
    Listed { page, filter: Unfiltered {} }: Listed<Unfiltered>,
) -> Result<List<OutputFile>, Failure> {
    let outputs = may.tenant().outputs(may.found().id).await?;
    let rows = outputs.iter().enumerate().map(|(number, output)| Row::Whole(OutputFile::of(number, output)));
    Ok(numbered(page, rows.collect()))
}

/// The number is the place in the list, so no path of a client is ever opened.
async fn one(may: May<History, OneOutput>, InPath(number): InPath<'n'>) -> Result<Download, Failure> {
    let outputs = may.tenant().outputs(may.found().id).await?;
    let place = plain_number(&number).and_then(|number| usize::try_from(number).ok());
    let Some(output) = place.and_then(|place| outputs.get(place)) else {
        return Err(Failure::not_found("file"));
    };
    let mut file = may.tenant().open_output(output).await?;
    let length = file.length();
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    // The disk or the network may block.
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece);
            let is_end = !matches!(read, Ok(1..));
            let piece = read.map(|count| Bytes::from(piece).slice(..count));
            if piece.as_ref().is_ok_and(Bytes::is_empty) || sender.blocking_send(piece).is_err() || is_end {
                return;
            }
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    Ok(Download::streamed(output.name(), pieces).of_length(length))
}
