//! The records of a shard, side by side: no gaps, so that what is counted is what is taken, and memory is given
//! back as soon as there are fewer.

use super::queues::{Links, QueueName};
use crate::engine::record::Record;
use crate::facts::Principal;

/// A whole size class of the common allocators; a shard grows and shrinks by this.
const CHUNK_BYTES: usize = 8192;
/// A shard is too small for more.
const CHUNKS_MAX: usize = 128;
const CHUNK_ENTRIES: usize = CHUNK_BYTES / size_of::<Entry>();

/// A principal, what is known of it, and whom it stands beside in its queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) principal: Principal,
    pub(super) record: Record,
    pub(super) links: Links,
    /// Bytes of this entry that its queue has counted.
    pub(super) counted: u32,
    pub(super) queue: QueueName,
    /// Returns since it came, or since it was last passed over; at most three are told apart.
    pub(super) visits: u8,
}

/// Entries in chunks of one size: growing copies nothing, and the allocator can use a chunk again for any shard.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// All full but the last one that has entries; at most one empty one after that.
    chunks: Vec<Vec<Entry>>,
    len: usize,
}

impl Entries {
    /// What an entry takes of a chunk.
    #[expect(clippy::cast_possible_truncation, reason = "a few hundred")]
    pub(super) const ENTRY_BYTES: u32 = (CHUNK_BYTES / CHUNK_ENTRIES) as u32;
    /// What the chunks may take beyond that: one that is filling, one that is kept for the next entry, and the list.
    pub(super) const SLACK_BYTES: usize = 2 * CHUNK_BYTES + CHUNKS_MAX * size_of::<Vec<Entry>>();

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Positions come from the index and from the links, which know no others.
    pub(super) fn get(&self, at: usize) -> &Entry {
        &self.chunks[at / CHUNK_ENTRIES][at % CHUNK_ENTRIES]
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.chunks[at / CHUNK_ENTRIES][at % CHUNK_ENTRIES]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten()
    }

    /// Adds an entry at the end, which is where it is then.
    pub(super) fn push(&mut self, entry: Entry) -> usize {
        let at = self.len;
        if at / CHUNK_ENTRIES == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK_ENTRIES));
        }
        self.chunks[at / CHUNK_ENTRIES].push(entry);
        self.len += 1;
        at
    }

    /// Takes an entry out; the last one then stands in its place.
    pub(super) fn swap_remove(&mut self, at: usize) -> Option<Entry> {
        let last = self.chunks[(self.len - 1) / CHUNK_ENTRIES].pop()?;
        self.len -= 1;
        if self.len.div_ceil(CHUNK_ENTRIES) + 1 < self.chunks.len() {
            self.chunks.pop();
        }
        Some(if at == self.len { last } else { std::mem::replace(self.get_mut(at), last) })
    }

    /// Bytes of all chunks.
    pub(super) const fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK_BYTES + self.chunks.capacity() * size_of::<Vec<Entry>>()
    }
}
