//! What carries one request to a server and its response back: a connection of HTTP/1.1, or a part of one of HTTP/2.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, request, response};
use http_body::{Frame, SizeHint};

use super::connection::Connection;
use super::fault::AnswerError;
use super::http2::call::Call;
use crate::proxy::headers::Added;
use crate::proxy::request_body::RequestBody;

#[derive(Debug)]
pub enum Carrier {
    Http1(Connection),
    /// In a box: most requests go by the other.
    Http2(Box<Call>),
}

impl Carrier {
    /// Begins a request, with the fields `added` besides its own.
    pub fn begin(&mut self, request: &request::Parts, added: &Added, body: RequestBody) {
        match self {
            Carrier::Http1(connection) => connection.http1.begin(request, added, body),
            Carrier::Http2(call) => call.begin(request, added, body),
        }
    }

    /// The body of a request that the server did not take, if nothing was read from it.
    pub fn take_back(&mut self) -> Option<RequestBody> {
        match self {
            Carrier::Http1(_) => None,
            Carrier::Http2(call) => call.take_back(),
        }
    }

    /// The head of the next response, interim or final. Sends what of the request is not sent yet.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, AnswerError>> {
        match self {
            Carrier::Http1(connection) => connection.http1.poll_head(cx).map_err(AnswerError::Http1),
            Carrier::Http2(call) => call.poll_head(cx).map_err(AnswerError::Http2),
        }
    }

    /// The next piece of the response's body; `None` when it has ended. Goes on sending the request's.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self {
            Carrier::Http1(connection) => connection.http1.poll_body(cx).map_err(AnswerError::Http1),
            Carrier::Http2(call) => call.poll_body(cx).map_err(AnswerError::Http2),
        }
    }

    /// Whether all of the response has come.
    pub fn has_ended(&self) -> bool {
        match self {
            Carrier::Http1(connection) => connection.http1.has_ended(),
            Carrier::Http2(call) => call.has_ended(),
        }
    }

    /// How much of the response's body is still to come.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Carrier::Http1(connection) => connection.http1.size_hint(),
            Carrier::Http2(call) => call.size_hint(),
        }
    }

    /// Takes a map that is no longer needed, where there is a use for one.
    pub fn lend(&mut self, headers: HeaderMap) {
        if let Carrier::Http1(connection) = self {
            connection.http1.lend(headers);
        }
    }
}
