//! The body of a request, read from the connection by whoever asks for it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;

use super::wire::Wire;
use crate::proxy::head::Fault;

/// What is still to come of the body of the request in progress.
#[derive(Debug)]
pub struct Http1Body {
    wire: Arc<Mutex<Wire>>,
    /// Bytes left, where their number was said beforehand.
    left: Option<u64>,
    /// The client waits to be asked for it.
    expects_continue: bool,
    ended: bool,
}

/// Why a body broke off. What the client did wrong is noted on its side of the connection as well.
#[derive(Debug, thiserror::Error)]
pub enum BodyBroken {
    #[error("the client left in the middle of it")]
    Left,
    #[error("its chunks cannot be told apart ({})", .0.name())]
    Malformed(Fault),
    #[error("{0}")]
    Socket(#[from] io::Error),
}

impl Http1Body {
    pub(super) fn new(wire: &Arc<Mutex<Wire>>, length: Option<u64>, expects_continue: bool) -> Self {
        Http1Body { wire: Arc::clone(wire), left: length, expects_continue, ended: false }
    }

    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut wire = self.wire.lock();
        if std::mem::take(&mut self.expects_continue) {
            wire.send_continue(cx);
        }
        let piece = ready!(wire.poll_body(cx));
        self.ended = wire.has_whole_request() || piece.is_err();
        if let (Some(left), Ok(Some(piece))) = (&mut self.left, &piece) {
            *left = left.saturating_sub(piece.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(piece.transpose())
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    pub fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
