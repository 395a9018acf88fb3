//! A request's body on its way to the server, no faster than that takes it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;
use http_body::{Body as _, Frame};

use super::fault::Http2Error;
use super::head;
use crate::proxy::request_body::RequestBody;

#[derive(Debug)]
pub(super) struct Upload {
    body: RequestBody,
    stream: SendStream<Bytes>,
    /// Read, and not taken by the server yet.
    piece: Bytes,
    /// Nothing was read from the body: it can be sent again.
    untouched: bool,
}

impl Upload {
    pub(super) fn new(body: RequestBody, stream: SendStream<Bytes>) -> Self {
        Upload { body, stream, piece: Bytes::new(), untouched: true }
    }

    /// The body, if it is still whole.
    pub(super) fn take_back(self) -> Option<RequestBody> {
        self.untouched.then_some(self.body)
    }

    /// Sends what there is and the server has room for. Ready when nothing is left to send, or the server wants no more of
    /// it: its response says why. The error is one of the body.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http2Error>> {
        loop {
            if !self.piece.is_empty() {
                let Some(room) = std::task::ready!(self.poll_room(cx)) else { return Poll::Ready(Ok(())) };
                let data = self.piece.split_to(room.min(self.piece.len()));
                let last = self.piece.is_empty() && self.body.is_end_stream();
                if self.stream.send_data(data, last).is_err() || last {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.untouched = false;
            let frame = frame.transpose().map_err(|error| Http2Error::Upload(error.into()))?;
            match frame.map(Frame::into_data) {
                Some(Ok(data)) if !data.is_empty() => self.piece = data,
                Some(Ok(_)) if !self.body.is_end_stream() => {}
                not_data => {
                    let trailers =
                        not_data.and_then(Result::err).and_then(|frame| frame.into_trailers().ok());
                    // Where the server wants no more, its response says why.
                    let _ = match trailers.map(head::trailers).filter(|trailers| !trailers.is_empty()) {
                        Some(trailers) => self.stream.send_trailers(trailers),
                        None => self.stream.send_data(Bytes::new(), true),
                    };
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// How much of the piece the server takes now; `None`: nothing of this request any more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(self.piece.len());
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(Some(room));
            }
            match std::task::ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}
