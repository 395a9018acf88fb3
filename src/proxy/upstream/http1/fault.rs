//! Why a server's response cannot be used.

use std::error::Error;
use std::io;

/// What is wrong with a response: it has two readings, or none. A closed list, each with the rule it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// RFC 9112 §4.
    #[error("it does not begin with a status line of HTTP/1")]
    StatusLine,
    /// RFC 9112 §5, §5.2; RFC 9110 §5.5.
    #[error("a field is not framed as it must be")]
    Field,
    #[error("its head is too large")]
    HeadTooLarge,
    /// RFC 9112 §6.3, item 5.
    #[error("its Content-Length is no number, or two")]
    ContentLength,
    /// RFC 9112 §6.1, §6.3.
    #[error("its Transfer-Encoding is not \"chunked\" alone, or stands in HTTP/1.0")]
    TransferEncoding,
    /// RFC 9112 §6.3, item 3.
    #[error("it has both Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    /// RFC 9112 §7.1.
    #[error("a chunk is not framed as it must be")]
    Chunk,
    /// RFC 9112 §7.1.2.
    #[error("its trailers are not framed as they must be, or are too large")]
    Trailers,
}

/// Why a request got no response, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Http1Error {
    #[error("the server closed the connection before it answered")]
    Closed,
    #[error("the server closed the connection in the middle of its answer")]
    Incomplete,
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("the answer is not HTTP: {0}")]
    Malformed(#[from] Malformed),
    /// Not the server's doing.
    #[error("{0}")]
    Upload(Box<dyn Error + Send + Sync>),
}

impl Http1Error {
    /// Whether it says anything about the server.
    pub fn is_servers(&self) -> bool {
        !matches!(self, Http1Error::Upload(_))
    }
}
