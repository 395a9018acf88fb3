//! What of a request waits to be taken by the socket: its head, and a piece of its body in one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Three pieces that follow each other; the body's is not copied.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The head, or what frames `data`. Kept from request to request.
    pub(super) wire: Vec<u8>,
    /// How much of `wire` is taken.
    taken: usize,
    pub(super) data: Bytes,
    pub(super) tail: &'static [u8],
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.wire.len() == self.taken && self.data.is_empty() && self.tail.is_empty()
    }

    /// Whether another piece of the body may be put behind what waits.
    pub(super) fn has_room(&self) -> bool {
        self.data.is_empty() && self.tail.is_empty()
    }

    /// Ready when the socket has taken everything.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
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

    pub(super) fn clear(&mut self) {
        self.wire.clear();
        self.taken = 0;
        self.data = Bytes::new();
        self.tail = b"";
    }

    fn advance(&mut self, taken: usize) {
        let of_wire = taken.min(self.wire.len() - self.taken);
        self.taken += of_wire;
        let of_data = (taken - of_wire).min(self.data.len());
        self.data.advance(of_data);
        self.tail = self.tail.get(taken - of_wire - of_data..).unwrap_or_default();
    }
}
