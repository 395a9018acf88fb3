//! One request over a connection of HTTP/2, and its response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request, response};
use http_body::{Body as _, Frame, SizeHint};

use super::fault::Http2Error;
use super::head;
use super::session::Seat;
use super::upload::Upload;
use crate::proxy::request_body::RequestBody;

/// A request that goes the way of [`Http1`](crate::proxy::upstream::http1::Http1). Its drop, before the response has
/// ended, tells the server that nobody waits for it.
#[derive(Debug)]
pub struct Call {
    seat: Seat,
    reading: Reading,
    /// `None` once all of the body is sent, or was refused.
    upload: Option<Upload>,
    /// A body of which nothing was ever to be sent.
    unsent: Option<RequestBody>,
    /// The request was a HEAD.
    to_head: bool,
}

#[derive(Debug)]
enum Reading {
    /// Nothing was asked for, or all of it has come.
    Idle,
    Refused(Http2Error),
    Head(ResponseFuture),
    /// `left`: as the head said, where it did.
    Body {
        stream: RecvStream,
        left: Option<u64>,
    },
    Broken,
}

impl Call {
    pub fn new(seat: Seat) -> Self {
        Call { seat, reading: Reading::Idle, upload: None, unsent: None, to_head: false }
    }

    /// Begins the request, with the fields `added` besides its own.
    pub fn begin(
        &mut self,
        request: &request::Parts,
        added: &[(HeaderName, HeaderValue)],
        body: RequestBody,
    ) {
        let session = self.seat.session();
        let ends = body.is_end_stream();
        let length = if ends { Some(0) } else { body.size_hint().exact() };
        self.to_head = request.method == Method::HEAD;
        let request = head::request(request, added, length, session.is_secure);
        match session.send().send_request(request, ends) {
            Ok((response, stream)) => {
                self.reading = Reading::Head(response);
                if ends {
                    self.unsent = Some(body);
                } else {
                    self.upload = Some(Upload::new(body, stream));
                }
            }
            // A connection that is no longer used for new requests: this one did not reach the server.
            Err(error) => {
                session.retire();
                let reason = error.reason().unwrap_or(Reason::REFUSED_STREAM);
                self.reading = Reading::Refused(Http2Error::NotTaken(reason));
                self.unsent = Some(body);
            }
        }
    }

    /// The body, if nothing was read from it; for a request that the server did not take.
    pub fn take_back(&mut self) -> Option<RequestBody> {
        self.unsent.take().or_else(|| self.upload.take().and_then(Upload::take_back))
    }

    /// The head of the next response: of an interim one, after which others follow, or of the final one. Sends what of
    /// the request is not sent yet.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, Http2Error>> {
        let polled = self.poll_next_head(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.reading = Reading::Broken;
        }
        polled
    }

    /// The next piece of the final response's body; `None` when it has ended. Goes on sending the request's body.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http2Error>>> {
        let polled = self.poll_piece(cx);
        if let Poll::Ready(Err(_)) = polled {
            self.reading = Reading::Broken;
            self.upload = None;
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
            Reading::Body { left: Some(left), .. } => SizeHint::with_exact(*left),
            Reading::Body { left: None, .. } => SizeHint::default(),
            _ => SizeHint::with_exact(0),
        }
    }

    /// The server did not answer in time: no other request is to wait for this connection.
    pub fn suspect(&self) {
        self.seat.session().retire();
    }

    fn poll_next_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, Http2Error>> {
        self.send(cx)?;
        let response = match &mut self.reading {
            Reading::Head(response) => response,
            Reading::Refused(_) => {
                let Reading::Refused(error) = std::mem::replace(&mut self.reading, Reading::Broken) else {
                    return Poll::Pending;
                };
                return Poll::Ready(Err(error));
            }
            _ => return Poll::Ready(Err(Http2Error::NotTaken(Reason::REFUSED_STREAM))),
        };
        if let Some(interim) = ready!(response.poll_informational(cx)) {
            let interim = interim.map_err(Http2Error::of)?.into_parts().0;
            return Poll::Ready(match interim.status {
                StatusCode::SWITCHING_PROTOCOLS => Err(Http2Error::Switched),
                _ => Ok(interim),
            });
        }
        let (parts, stream) = ready!(Pin::new(response).poll(cx)).map_err(Http2Error::of)?.into_parts();
        let bodiless = self.to_head
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || stream.is_end_stream();
        self.reading =
            if bodiless { Reading::Idle } else { Reading::Body { stream, left: length(&parts.headers) } };
        Poll::Ready(Ok(parts))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Http2Error>> {
        self.send(cx)?;
        let (stream, left) = match &mut self.reading {
            Reading::Body { stream, left } => (stream, left),
            Reading::Idle => return Poll::Ready(Ok(None)),
            _ => return Poll::Ready(Err(Http2Error::Reset(Reason::CANCEL))),
        };
        match ready!(stream.poll_data(cx)) {
            Some(Ok(data)) => {
                // It is asked for only where its client takes it; an error is found again by the next piece.
                let _ = stream.flow_control().release_capacity(data.len());
                *left = left.map(|left| left.saturating_sub(data.len() as u64));
                if stream.is_end_stream() {
                    self.reading = Reading::Idle;
                }
                return Poll::Ready(Ok(Some(Frame::data(data))));
            }
            Some(Err(error)) => return Poll::Ready(Err(Http2Error::of(error))),
            None => {}
        }
        let trailers = ready!(stream.poll_trailers(cx)).map_err(Http2Error::of)?;
        self.reading = Reading::Idle;
        Poll::Ready(Ok(trailers.map(|trailers| Frame::trailers(head::trailers(trailers)))))
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Http2Error> {
        if let Some(upload) = &mut self.upload
            && upload.poll(cx)?.is_ready()
        {
            self.upload = None;
        }
        Ok(())
    }
}

/// What h2 has held the body to.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
