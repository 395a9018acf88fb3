//! The response's body on its way to the client, and everything that must happen when it ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::alarm::Alarm;
use super::exchange::Exchange;
use super::identify;
use super::message::own_message::OwnMessage;
use super::upgrade::Switched;
use super::upstream::Lease;
use super::upstream::fault::AnswerError;
use crate::metrics::Timeout;
use crate::time::Moment;

/// What is written to the client.
#[derive(Debug)]
pub enum ResponseBody {
    /// weir's own, whole.
    Own { message: OwnMessage, exchange: Option<Box<Exchange>> },
    /// The app's, as it comes.
    App(AppBody),
    /// There is none: the connection becomes a tunnel.
    Switched(Box<Switched>),
}

/// Why a response ended early; the client sees its connection close in mid-message.
#[derive(Debug, thiserror::Error)]
pub enum ResponseBodyError {
    #[error("the upstream's response broke off: {0}")]
    Upstream(AnswerError),
    #[error("the upstream sent nothing for {0:?}")]
    Stalled(Duration),
    #[error("the request took longer than its total time")]
    Overtime,
}

impl ResponseBody {
    pub fn own(message: OwnMessage) -> Self {
        ResponseBody::Own { message, exchange: None }
    }

    /// When its head was there; `None` where that was not noted.
    pub fn began_at(&self) -> Option<Moment> {
        match self {
            ResponseBody::Own { exchange, .. } => exchange.as_ref()?.answered,
            ResponseBody::App(app) => app.exchange.answered,
            ResponseBody::Switched(switched) => switched.exchange.answered,
        }
    }

    /// weir's own response; `None` for the app's, which has its fields in its head, and its body still to come.
    pub fn own_message(&mut self) -> Option<&mut OwnMessage> {
        match self {
            ResponseBody::Own { message, .. } => Some(message),
            ResponseBody::App(_) | ResponseBody::Switched(_) => None,
        }
    }

    /// Puts all that is weir's own behind what is there already.
    pub fn write_own(&mut self, out: &mut Vec<u8>) {
        if let ResponseBody::Own { message, exchange } = self {
            out.extend_from_slice(message.body());
            if let Some(exchange) = exchange {
                exchange.sent(message.body().len());
            }
        }
    }

    /// Ties the end of the exchange to the end of this body.
    pub fn carry(self, exchange: Box<Exchange>) -> Self {
        match self {
            ResponseBody::Own { message, .. } => ResponseBody::Own { message, exchange: Some(exchange) },
            other => other,
        }
    }
}

/// A response in progress. Dropping it, at its end or before, gives the connection back or closes it, and
/// closes the books on the request.
#[derive(Debug)]
pub struct AppBody {
    exchange: Box<Exchange>,
    lease: Lease,
    patience: Patience,
    alarm: Alarm,
    waiting_since: Option<Moment>,
    /// What `Content-Length` says where no body follows (304): the length of the body that is not sent.
    announced: Option<u64>,
    /// It gave its last frame. A body without a length beforehand does not say so itself.
    ended: bool,
}

/// How long a response may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a byte from the upstream. `None` for what is silent by nature.
    pub silence: Option<Duration>,
    pub until: Option<Moment>,
}

impl AppBody {
    pub fn new(exchange: Box<Exchange>, lease: Lease, patience: Patience) -> Self {
        AppBody {
            exchange,
            lease,
            patience,
            alarm: Alarm::default(),
            waiting_since: None,
            announced: None,
            ended: false,
        }
    }

    /// Lets the head keep a `Content-Length` that no body follows.
    pub fn announce(mut self, length: Option<u64>) -> Self {
        self.announced = length;
        self
    }

    fn is_end_stream(&self) -> bool {
        self.lease.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(|| self.lease.size_hint(), SizeHint::with_exact)
    }

    /// The upstream sends nothing: ready when it has done so for too long.
    fn poll_impatience(&mut self, cx: &mut Context<'_>) -> Poll<ResponseBodyError> {
        let clock = self.exchange.clock();
        let since = *self.waiting_since.get_or_insert_with(|| clock.now());
        self.exchange.wait_begins(since);
        let silent_until = self.patience.silence.map(|silence| since.after(silence));
        let Some(due) = silent_until.into_iter().chain(self.patience.until).min() else {
            return Poll::Pending;
        };
        ready!(self.alarm.poll_due(due, &clock, cx));
        Poll::Ready(match self.patience.silence {
            Some(silence) if Some(due) == silent_until => {
                self.exchange.timed_out(Timeout::BodyProgress);
                self.exchange.blame(&self.lease.server);
                ResponseBodyError::Stalled(silence)
            }
            _ => {
                self.exchange.timed_out(Timeout::Total);
                ResponseBodyError::Overtime
            }
        })
    }

    /// Whose turn it is, the client's or the app's, where nobody sees that on the client's socket.
    fn note_turn(&self, offered: bool) {
        match &self.exchange.conn.stream {
            Some(stream) if offered => stream.offer(stream.now()),
            Some(stream) => stream.withdraw(),
            None => {}
        }
    }

    fn poll_app(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.lease.carrier() {
            Some(carrier) => carrier.poll_body(cx),
            None => Poll::Ready(None),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let Poll::Ready(item) = self.poll_app(cx) else {
            let error = ready!(self.poll_impatience(cx));
            self.exchange.upstream_failed();
            return Poll::Ready(Some(Err(error)));
        };
        if self.waiting_since.take().is_some() {
            self.exchange.wait_ended(self.exchange.clock().now());
        }
        Poll::Ready(match item {
            Some(Ok(mut frame)) => {
                if let (Some(trailers), Some(name)) =
                    (frame.trailers_mut(), identify::learn_from(&self.exchange))
                {
                    trailers.remove(name);
                }
                self.exchange.sent(frame.data_ref().map_or(0, Bytes::len));
                self.ended |= frame.is_trailers();
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.exchange.upstream_failed();
                if error.is_servers() {
                    self.exchange.blame(&self.lease.server);
                }
                Some(Err(ResponseBodyError::Upstream(error)))
            }
            None => {
                self.ended = true;
                None
            }
        })
    }
}

impl Drop for AppBody {
    fn drop(&mut self) {
        if self.ended || self.is_end_stream() {
            let now = self.exchange.clock().now();
            self.exchange.completed(now);
            self.lease.server.health.succeeded();
            self.lease.recycle(now);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        match &mut *self {
            ResponseBody::Own { message, exchange } => {
                let data = message.take_body();
                if let Some(exchange) = exchange {
                    exchange.sent(data.len());
                }
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data.into()))))
            }
            ResponseBody::App(app) => {
                let polled = app.poll_frame(cx);
                app.note_turn(polled.is_ready());
                polled
            }
            ResponseBody::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Own { message, .. } => message.body().is_empty(),
            // HTTP/2: hyper keeps the head's length only where it believes in a body of that length.
            ResponseBody::App(app) => app.announced.is_none() && app.is_end_stream(),
            ResponseBody::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Own { message, .. } => {
                SizeHint::with_exact(u64::try_from(message.body().len()).unwrap_or(u64::MAX))
            }
            ResponseBody::App(app) => app.size_hint(),
            ResponseBody::Switched(_) => SizeHint::with_exact(0),
        }
    }
}
