//! Why a server's answer did not come, or not whole, whichever protocol it speaks.

use super::http1::fault::Http1Error;
use super::http2::fault::Http2Error;

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("{0}")]
    Http1(#[from] Http1Error),
    #[error("{0}")]
    Http2(#[from] Http2Error),
}

impl AnswerError {
    /// Whether it says anything about the server.
    pub fn is_servers(&self) -> bool {
        match self {
            AnswerError::Http1(error) => error.is_servers(),
            AnswerError::Http2(error) => !matches!(error, Http2Error::Upload(_)),
        }
    }

    /// Whether what came is not an answer at all.
    pub fn is_malformed(&self) -> bool {
        match self {
            AnswerError::Http1(error) => matches!(error, Http1Error::Malformed(_)),
            AnswerError::Http2(error) => matches!(error, Http2Error::Malformed(_) | Http2Error::Switched),
        }
    }

    /// Whether the server had surely not begun with the request (RFC 9113 §8.7).
    pub fn is_not_taken(&self) -> bool {
        matches!(self, AnswerError::Http2(Http2Error::NotTaken(_)))
    }

    /// Whether the connection failed, and not the one request alone: a kept connection may have been given up by its
    /// server in the meantime.
    pub fn is_of_connection(&self) -> bool {
        match self {
            AnswerError::Http1(_) => true,
            AnswerError::Http2(error) => matches!(error, Http2Error::Lost(_)),
        }
    }
}
