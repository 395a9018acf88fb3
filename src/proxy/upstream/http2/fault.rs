//! Why a request got no response over HTTP/2, or not all of it.

use std::error::Error;

use h2::Reason;

#[derive(Debug, thiserror::Error)]
pub enum Http2Error {
    /// The server had not begun with it, and says so (RFC 9113 §8.7): it may be sent again, whatever it is.
    #[error("the server did not take the request: {0}")]
    NotTaken(Reason),
    #[error("the server gave the request up: {0}")]
    Reset(Reason),
    #[error("the connection was lost: {0}")]
    Lost(h2::Error),
    #[error("the answer is not HTTP: {0}")]
    Malformed(h2::Error),
    /// RFC 9113 §8.6: HTTP/2 has no such response.
    #[error("the answer is not HTTP: 101 over HTTP/2")]
    Switched,
    /// Not the server's doing.
    #[error("{0}")]
    Upload(Box<dyn Error + Send + Sync>),
}

impl Http2Error {
    pub(super) fn of(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_remote() && (error.is_go_away() || reason == Reason::REFUSED_STREAM) => {
                Http2Error::NotTaken(reason)
            }
            Some(reason) if error.is_remote() => Http2Error::Reset(reason),
            Some(_) if error.is_reset() => Http2Error::Malformed(error),
            _ => Http2Error::Lost(error),
        }
    }
}
