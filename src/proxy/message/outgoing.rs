//! What of a message waits to be taken by the socket: its head, and a piece of its body in one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Three pieces that follow each other; the body's is not copied.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The head, or what frames `data`. Kept from message to message.
    pub wire: Vec<u8>,
    /// How much of `wire` is taken.
    taken: usize,
    pub data: Bytes,
    pub tail: &'static [u8],
}

impl Outgoing {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.wire.len() - self.taken + self.data.len() + self.tail.len()
    }

    /// Whether another piece of the body may be put behind what waits.
    pub fn has_room(&self) -> bool {
        self.data.is_empty() && self.tail.is_empty()
    }

    /// Ready when the socket has taken everything.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let wire = self.wire.get(self.taken..).unwrap_or_default();
            let taken = if self.has_room() {
                ready!(Pin::new(&mut *socket).poll_write(cx, wire))?
            } else {
                let pieces = [IoSlice::new(wire), IoSlice::new(&self.data), IoSlice::new(self.tail)];
                ready!(Pin::new(&mut *socket).poll_write_vectored(cx, &pieces))?
            };
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(taken);
        }
        self.wire.clear();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }

    pub fn clear(&mut self) {
        self.wire.clear();
        self.taken = 0;
        self.data = Bytes::new();
        self.tail = b"";
    }

    /// Gives up a buffer that is larger than this, where nothing waits in it.
    pub fn shrink(&mut self, bytes_max: usize) {
        if self.wire.capacity() > bytes_max && self.is_empty() {
            *self = Outgoing::default();
        }
    }

    fn advance(&mut self, taken: usize) {
        let of_wire = taken.min(self.wire.len() - self.taken);
        self.taken += of_wire;
        let of_data = (taken - of_wire).min(self.data.len());
        self.data.advance(of_data);
        self.tail = self.tail.get(taken - of_wire - of_data..).unwrap_or_default();
    }
}
