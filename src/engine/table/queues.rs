//! The order in which records are forgotten: doubly linked lists through the entries of a shard.

use super::entries::Entries;

/// Why a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum QueueName {
    /// It is new.
    Probation,
    /// It came again.
    Known,
    /// Forgetting it would let somebody off.
    Held,
    /// It is an account.
    Accounts,
}

/// One list, and what its entries take.
#[derive(Debug)]
pub(super) struct Queue {
    newest: u32,
    oldest: u32,
    pub(super) len: usize,
    /// Of its entries and all that they own.
    pub(super) bytes: u64,
}

/// Neighbours in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    newer: u32,
    older: u32,
}

const NOBODY: u32 = u32::MAX;

impl Links {
    pub(super) const NONE: Links = Links { newer: NOBODY, older: NOBODY };
}

/// The queues of a shard.
#[derive(Debug)]
pub(super) struct Queues([Queue; 4]);

impl Default for Queues {
    fn default() -> Self {
        let empty = || Queue { newest: NOBODY, oldest: NOBODY, len: 0, bytes: 0 };
        Queues([empty(), empty(), empty(), empty()])
    }
}

impl Queues {
    pub(super) const fn get(&self, name: QueueName) -> &Queue {
        &self.0[name as usize]
    }

    /// Bytes of all entries and all that they own.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|queue| queue.bytes).sum()
    }

    pub(super) fn oldest(&self, name: QueueName) -> Option<usize> {
        let oldest = self.get(name).oldest;
        (oldest != NOBODY).then_some(oldest as usize)
    }

    /// Adds an entry that is in no queue.
    pub(super) fn enter(&mut self, entries: &mut Entries, at: usize, name: QueueName) {
        let queue = &mut self.0[name as usize];
        let number = u32::try_from(at).unwrap_or(NOBODY);
        let before = std::mem::replace(&mut queue.newest, number);
        if before == NOBODY {
            queue.oldest = number;
        } else {
            entries.get_mut(before as usize).links.newer = number;
        }
        let entry = entries.get_mut(at);
        (entry.links, entry.queue) = (Links { newer: NOBODY, older: before }, name);
        queue.len += 1;
        queue.bytes += u64::from(entry.counted);
    }

    /// Takes an entry out of its queue.
    pub(super) fn leave(&mut self, entries: &mut Entries, at: usize) {
        let entry = entries.get(at);
        let (links, counted) = (entry.links, u64::from(entry.counted));
        let queue = &mut self.0[entry.queue as usize];
        queue.len -= 1;
        queue.bytes -= counted;
        self.join(entries, entry_queue(entries, at), links.older, links.newer);
    }

    /// Notes that an entry has moved to `at`: its neighbours still name its old place.
    pub(super) fn relocate(&mut self, entries: &mut Entries, at: usize) {
        let (links, name) = (entries.get(at).links, entry_queue(entries, at));
        let number = u32::try_from(at).unwrap_or(NOBODY);
        let queue = &mut self.0[name as usize];
        match links.newer {
            NOBODY => queue.newest = number,
            newer => entries.get_mut(newer as usize).links.older = number,
        }
        match links.older {
            NOBODY => queue.oldest = number,
            older => entries.get_mut(older as usize).links.newer = number,
        }
    }

    /// Counts anew what an entry takes.
    pub(super) fn count(&mut self, entries: &mut Entries, at: usize, bytes: u32) {
        let entry = entries.get_mut(at);
        let queue = &mut self.0[entry.queue as usize];
        queue.bytes = queue.bytes + u64::from(bytes) - u64::from(entry.counted);
        entry.counted = bytes;
    }

    fn join(&mut self, entries: &mut Entries, name: QueueName, older: u32, newer: u32) {
        let queue = &mut self.0[name as usize];
        match older {
            NOBODY => queue.oldest = newer,
            older => entries.get_mut(older as usize).links.newer = newer,
        }
        match newer {
            NOBODY => queue.newest = older,
            newer => entries.get_mut(newer as usize).links.older = older,
        }
    }
}

fn entry_queue(entries: &Entries, at: usize) -> QueueName {
    entries.get(at).queue
}
