//! A component of the world `item-reader` or `partitioned-item-reader`.

use async_trait::async_trait;
use stepbox_batch::cut::{cut, cut_with_mark};
use stepbox_batch::element::{Chunk, ItemReader, More, Opening, Unreadable};
use stepbox_batch::error::Halt;
use stepbox_batch::findings::{ITEM_BYTES_MAX, TEXT_BYTES_MAX};
use stepbox_batch::job::ChunkLimit;

use super::running::{Beginning, Running, call, checked, checked_header, checked_state};
use crate::failure;
use crate::instance::LISTS_BYTES_MAX;
use crate::machine::Loaded;
use crate::setup::ComponentSetup;
use crate::text::storable;
use crate::v0_1::bindings::exports::stepbox::step::partitioner;
use crate::v0_1::bindings::exports::stepbox::step::reader::{self, Guest};

/// The maximum length of all parts' states together, in bytes: they are stored before the first part begins.
const PARTS_BYTES_MAX: usize = 4 << 20;

/// A reader that is a component.
#[derive(Debug)]
pub(crate) struct SandboxedReader {
    loaded: Loaded,
    setup: ComponentSetup,
    running: Option<Running<Guest>>,
    columns: usize,
}

impl SandboxedReader {
    pub(crate) fn new(loaded: Loaded, setup: ComponentSetup) -> Self {
        Self { loaded, setup, running: None, columns: 0 }
    }
}

#[async_trait]
impl ItemReader for SandboxedReader {
    async fn open(&mut self, opening: Opening<'_>) -> Result<Vec<String>, Halt> {
        let running = Running::start(&self.loaded, &self.setup, opening.context).await?;
        self.running = Some(running);
        let beginning = Beginning::of(&opening, &self.setup);
        let header = checked_header(call!(self.call_open(beginning.setup())))?;
        self.columns = header.len();
        Ok(header)
    }

    async fn read(&mut self, limit: ChunkLimit, chunk: &mut Chunk) -> Result<More, Halt> {
        let read = call!(batch self.call_read(limit.rows, limit.bytes));
        chunk.rows = checked(self.columns, read.rows)?;
        let items = chunk.rows.len() + read.unreadable.len();
        if items > limit.rows as usize {
            return Err(failure::too_many_items(items, limit.rows).into());
        }
        chunk.unreadable.extend(read.unreadable.into_iter().map(unreadable));
        Ok(if read.more { More::Yes } else { More::No })
    }

    async fn split(&mut self, opening: Opening<'_>, parts: u32) -> Result<Option<Vec<Vec<u8>>>, Halt> {
        if !Running::<partitioner::Guest>::is_possible(&self.loaded) {
            return Ok(None);
        }
        let mut running =
            Running::<partitioner::Guest>::start(&self.loaded, &self.setup, opening.context).await?;
        running.instance.returns_at_most(LISTS_BYTES_MAX);
        let beginning = Beginning::of(&opening, &self.setup);
        let call = running.exports.call_split(&mut running.instance.store, beginning.setup(), parts);
        let result = running.instance.watch.guard(self.setup.limits.call_ms_max, call).await;
        let Some(states) = running.settle(result)? else { return Ok(None) };
        if states.len() > parts as usize {
            return Err(failure::too_many_parts(states.len(), parts).into());
        }
        let bytes = states.iter().map(Vec::len).sum::<usize>();
        if bytes > PARTS_BYTES_MAX {
            return Err(failure::too_large("parts", bytes, PARTS_BYTES_MAX).into());
        }
        Ok(Some(states.into_iter().map(checked_state).collect::<Result<_, _>>()?))
    }

    async fn state(&mut self) -> Result<Vec<u8>, Halt> {
        Ok(checked_state(call!(self.call_checkpoint()))?)
    }

    async fn close(&mut self) -> Result<(), Halt> {
        call!(self.call_close());
        self.running = None;
        Ok(())
    }
}

fn unreadable(found: reader::Unreadable) -> Unreadable {
    Unreadable {
        code: failure::code_of(found.code),
        reason: storable(cut(&found.reason, TEXT_BYTES_MAX)).into_owned(),
        place: storable(cut(&found.place, TEXT_BYTES_MAX)).into_owned(),
        item: storable(&cut_with_mark(&found.item, ITEM_BYTES_MAX)).into_owned(),
    }
}
