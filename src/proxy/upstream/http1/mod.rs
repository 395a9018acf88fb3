//! HTTP/1.1 to a server: requests and their responses, one after the other, over one connection.
//!
//! hyper's client puts a task, channels and a state machine for both ends between the proxy and the socket; here the
//! request that waits drives the connection itself. What a server sends is hostile until it has been read: nothing is
//! taken that has two readings (RFC 9112 §6.3, §11), and a connection on which anything was left over is not used
//! again.
//!
//! | file | subject |
//! |---|---|
//! | [`encode`] | the head of a request, written; its body is `message`'s |
//! | [`head`], [`fields`] | the head of a response, found and taken apart |
//! | [`framing`], [`chunked`] | where its body ends, and reading up to there |
//! | [`fault`] | why a response cannot be used |
//!
//! Used by `upstream::connection` for requests and by `upstream::check` for health checks. It knows sockets and
//! bodies as traits, and nothing of servers, pools or time-outs.

pub mod chunked;
mod encode;
pub mod fault;
mod fields;
pub mod framing;
pub mod head;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request, response};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::proxy::message::body_writer::BodyWriter;
use crate::proxy::message::outgoing::Outgoing;

use encode::encode_head;
use fault::Http1Error;
use framing::BodyReader;
use head::HeadReader;

/// What one read asks for: doubled by every read that gets all of it, as hyper does for large bodies.
const READ_SIZE_MIN: usize = 8 * 1024;
const READ_SIZE_MAX: usize = 256 * 1024;

/// A larger buffer is not kept between requests.
const IDLE_BUFFER_MAX: usize = 32 * 1024;

/// One connection to a server, which speaks HTTP/1.1 over `S`. `B` is the body of a request.
#[derive(Debug)]
pub struct Http1<S, B> {
    socket: S,
    /// Read and not yet used. Fields and bodies are parts of it, so that nothing is copied.
    input: BytesMut,
    read_size: usize,
    reading: Reading,
    outgoing: Outgoing,
    /// The rest of the request's body; `None` once all of it is in `outgoing`.
    upload: Option<Upload<B>>,
    /// The request was a HEAD.
    to_head: bool,
    keeps_alive: bool,
    /// Something was written that may not be on its way: TLS keeps what its socket does not take.
    unflushed: bool,
    /// Empty, with room for the fields of the next head.
    spare: HeaderMap,
}

#[derive(Debug)]
struct Upload<B> {
    body: B,
    writer: BodyWriter,
}

/// What the next byte from the server belongs to.
#[derive(Debug)]
enum Reading {
    /// Nothing was asked for, or all of it has come.
    Idle,
    Head(HeadReader),
    Body(BodyReader),
    Broken,
}

impl<S, B> Http1<S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    pub fn new(socket: S) -> Self {
        Http1 {
            socket,
            input: BytesMut::new(),
            read_size: READ_SIZE_MIN,
            reading: Reading::Idle,
            outgoing: Outgoing::default(),
            upload: None,
            to_head: false,
            keeps_alive: true,
            unflushed: false,
            spare: HeaderMap::new(),
        }
    }

    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// Begins a request, with the fields `added` besides its own; only where nothing is left of the one before it
    /// ([`Http1::rest`]). It is sent by [`Http1::poll_head`].
    pub fn begin(&mut self, request: &request::Parts, added: &[(HeaderName, HeaderValue)], body: B) {
        let length = (!body.is_end_stream()).then(|| body.size_hint());
        let writer = encode_head(request, added, length.as_ref(), &mut self.outgoing.wire);
        self.upload = writer.map(|writer| Upload { body, writer });
        self.to_head = request.method == Method::HEAD;
        self.reading = Reading::Head(HeadReader::default());
    }

    /// The head of the next response: of an interim one, after which others follow, or of the final one. Sends what of
    /// the request is not sent yet, as the socket takes it.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, Http1Error>> {
        let polled = self.poll_next_head(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.give_up();
        }
        polled
    }

    /// The next piece of the final response's body; `None` when it has ended. Goes on sending the request's body.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        let polled = self.poll_piece(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.give_up();
        }
        polled.map(Result::transpose)
    }

    /// Whether all of the response has come.
    pub fn has_ended(&self) -> bool {
        matches!(self.reading, Reading::Idle)
    }

    /// How much of the response's body is still to come.
    pub fn size_hint(&self) -> SizeHint {
        match &self.reading {
            Reading::Body(body) => body.size_hint(),
            _ => SizeHint::with_exact(0),
        }
    }

    /// After a response: whether the connection can take another request. Bytes that nobody asked for would be read as
    /// the next response (RFC 9112 §9.2).
    pub fn rest(&mut self) -> bool {
        if self.input.capacity() > IDLE_BUFFER_MAX && self.input.is_empty() {
            self.input = BytesMut::new();
            self.read_size = READ_SIZE_MIN;
        }
        self.outgoing.shrink(IDLE_BUFFER_MAX);
        matches!(self.reading, Reading::Idle)
            && self.keeps_alive
            && self.upload.is_none()
            && self.outgoing.is_empty()
            && !self.unflushed
            && self.input.is_empty()
    }

    /// Takes a map that is no longer needed, for the head of the next response.
    pub fn lend(&mut self, mut headers: HeaderMap) {
        headers.clear();
        self.spare = headers;
    }

    /// The socket of a connection that is no longer HTTP, and what was read from it already.
    pub fn into_parts(self) -> (S, BytesMut) {
        (self.socket, self.input)
    }

    fn poll_next_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, Http1Error>> {
        self.send(cx)?;
        loop {
            let Reading::Head(reader) = &mut self.reading else {
                return Poll::Ready(Err(Http1Error::Closed));
            };
            if let Some(head) = reader.take(&mut self.input, self.to_head, &mut self.spare)? {
                let status = head.parts.status;
                if status == StatusCode::SWITCHING_PROTOCOLS || !status.is_informational() {
                    self.keeps_alive &= head.keeps_alive && status != StatusCode::SWITCHING_PROTOCOLS;
                    self.reading =
                        if head.body.is_ended() { Reading::Idle } else { Reading::Body(head.body) };
                } else {
                    *reader = HeadReader::default();
                }
                return Poll::Ready(Ok(head.parts));
            }
            if ready!(self.poll_read(cx))? == 0 {
                let error = if self.input.is_empty() { Http1Error::Closed } else { Http1Error::Incomplete };
                return Poll::Ready(Err(error));
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Http1Error>> {
        self.send(cx)?;
        loop {
            let body = match &mut self.reading {
                Reading::Body(body) => body,
                Reading::Idle => return Poll::Ready(Ok(None)),
                _ => return Poll::Ready(Err(Http1Error::Incomplete)),
            };
            let piece = body.take(&mut self.input)?;
            if body.is_ended() {
                self.reading = Reading::Idle;
            }
            if piece.is_some() || self.has_ended() {
                return Poll::Ready(Ok(piece));
            }
            if ready!(self.poll_read(cx))? == 0
                && let Reading::Body(body) = &mut self.reading
            {
                body.close()?;
                self.reading = Reading::Idle;
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < self.read_size / 2 {
            self.input.reserve(self.read_size);
        }
        let read = ready!(pin!(self.socket.read_buf(&mut self.input)).poll(cx))?;
        if read >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_SIZE_MAX);
        }
        Poll::Ready(Ok(read))
    }

    /// Sends until the socket is full, or the client has no more for now. The error is one of the request's body.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        loop {
            self.gather(cx)?;
            let sent = if !self.outgoing.is_empty() {
                self.unflushed = true;
                self.outgoing.poll_write(&mut self.socket, cx)
            } else if self.unflushed {
                let flushed = Pin::new(&mut self.socket).poll_flush(cx);
                self.unflushed = flushed.is_pending();
                flushed
            } else {
                return Ok(());
            };
            match sent {
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => {
                    self.unflushed = false;
                    // The server may have answered before it closed (RFC 9112 §9.5). If not, reading says what happened.
                    self.upload = None;
                    self.outgoing.clear();
                    self.keeps_alive = false;
                    return Ok(());
                }
            }
        }
    }

    /// Puts the next piece of the request's body behind its head, or behind nothing.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        while self.outgoing.has_room()
            && let Some(Upload { body, writer }) = &mut self.upload
        {
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else { break };
            let frame = frame.transpose().map_err(|error| Http1Error::Upload(error.into()))?;
            let last = match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    let last = body.is_end_stream();
                    let tail = writer.frame(&data, last, &mut self.outgoing.wire);
                    self.outgoing.tail = tail.map_err(|error| Http1Error::Upload(error.into()))?;
                    self.outgoing.data = data;
                    last
                }
                not_data => {
                    let trailers =
                        not_data.and_then(Result::err).and_then(|frame| frame.into_trailers().ok());
                    let ended = writer.end(trailers.as_ref(), &mut self.outgoing.wire);
                    ended.map_err(|error| Http1Error::Upload(error.into()))?;
                    true
                }
            };
            if last {
                self.upload = None;
            }
        }
        Ok(())
    }

    fn give_up(&mut self) {
        self.reading = Reading::Broken;
        self.upload = None;
        self.keeps_alive = false;
    }
}
