//! The PROXY protocol: a proxy says, ahead of everything else on a connection, for whom it made it.
//!
//! The header of "The PROXY protocol", versions 1 and 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt). Reading is
//! strict: the header decides whom limits count, so what has no single reading closes the connection. Exactly the
//! header is taken from the socket, however it was cut into pieces; TLS or HTTP finds the rest.

mod binary;
mod text;
mod write;

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::io::AsyncReadExt as _;

use super::stream::Stream;
use crate::policy::ProxyProtocol;

pub use write::{Announced, Header};

/// The longest header that is read: version 2 may carry up to 64 KiB of further fields, which nobody needs here.
const HEADER_MAX: usize = 4096;
/// What most headers fit in.
const HEADER_USUAL: usize = 256;

/// Whom a proxy speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spokesman {
    /// Itself, as for a health check, or somebody whom it cannot name.
    Itself,
    /// A client, by its address.
    Client(SocketAddr),
    /// A client on the proxy's own machine, by a Unix socket.
    Neighbour,
}

/// A whole header, and how many bytes it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub speaks_for: Spokesman,
    pub bytes: usize,
}

/// Why a header cannot be believed.
#[derive(Debug, Error)]
pub enum HeaderError {
    #[error("it does not begin with a PROXY header that is allowed here")]
    Missing,
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the connection ended within the header")]
    Ended,
    #[error("{0}")]
    Socket(#[from] io::Error),
}

/// Takes the header off `stream`, and nothing after it.
pub async fn read(stream: &mut Stream, allowed: ProxyProtocol) -> Result<Spokesman, HeaderError> {
    let (mut header, mut have) = (vec![0; HEADER_USUAL], 0);
    loop {
        if have == header.len() {
            // A header that fits in no more is refused before it fills this.
            header.resize(HEADER_MAX + 1, 0);
        }
        let seen = stream.peek(header.get_mut(have..).unwrap_or_default()).await?;
        if seen == 0 {
            return Err(HeaderError::Ended);
        }
        let parsed = parse(header.get(..have + seen).unwrap_or_default(), allowed)?;
        // Bytes before the end of a header are all of the header.
        let end = parsed.map_or(have + seen, |parsed| parsed.bytes);
        stream.read_exact(header.get_mut(have..end).unwrap_or_default()).await?;
        if let Some(parsed) = parsed {
            return Ok(parsed.speaks_for);
        }
        have = end;
    }
}

/// The header at the start of `bytes`; `None` while it is not there in full.
pub fn parse(bytes: &[u8], allowed: ProxyProtocol) -> Result<Option<Parsed>, HeaderError> {
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(one, other)| one == other);
    if allowed.allows_v1() && begins(text::START) {
        text::parse(bytes)
    } else if allowed.allows_v2() && begins(binary::START) {
        binary::parse(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;
    use tokio::task::yield_now;

    use super::*;

    const EITHER: ProxyProtocol = ProxyProtocol::Either;

    fn announced(source: &str, destination: &str) -> Announced {
        Announced { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    /// Headers that this file can write, and whom they speak for.
    fn samples() -> Vec<(Vec<u8>, Spokesman)> {
        let v4 = announced("192.0.2.7:4711", "198.51.100.1:443");
        let v6 = announced("[2001:db8::7]:4711", "[2001:db8::1]:443");
        let mut samples = vec![
            (b"PROXY UNKNOWN\r\n".to_vec(), Spokesman::Itself),
            (b"PROXY UNKNOWN whatever follows\r\n".to_vec(), Spokesman::Itself),
        ];
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            samples.push((Header::own(version).as_bytes().to_vec(), Spokesman::Itself));
            for announced in [v4, v6] {
                let header = Header::of(version, announced).as_bytes().to_vec();
                samples.push((header, Spokesman::Client(announced.source)));
            }
        }
        samples
    }

    /// Promise: what is written is read again, and its length is known exactly, whatever follows.
    #[test]
    fn what_is_written_is_read() {
        for (header, speaks_for) in samples() {
            let bytes = header.len();
            let wire = [header, b"GET / HTTP/1.1\r\n".to_vec()].concat();
            assert_eq!(parse(&wire, EITHER).unwrap(), Some(Parsed { speaks_for, bytes }));
        }
    }

    /// Promise: a header may come in any pieces, and none of its beginnings is taken for a whole one.
    #[test]
    fn beginnings_are_waited_on() {
        for (header, _) in samples() {
            for cut in 1..header.len() {
                assert_eq!(parse(&header[..cut], EITHER).unwrap(), None, "{cut} of {header:?}");
            }
        }
    }

    /// Promise: exactly the header is taken from the socket, byte by byte or all at once.
    #[tokio::test]
    async fn only_the_header_is_taken() {
        for (header, speaks_for) in samples() {
            for piece in [1, 7, 1000] {
                let (ours, mut theirs) = UnixStream::pair().unwrap();
                let mut stream = Stream::from(ours);
                let wire = [header.clone(), b"\x16\x03\x01 the rest".to_vec()].concat();
                let sent = tokio::spawn(async move {
                    for piece in wire.chunks(piece) {
                        theirs.write_all(piece).await.unwrap();
                        yield_now().await;
                    }
                });
                assert_eq!(read(&mut stream, EITHER).await.unwrap(), speaks_for);
                sent.await.unwrap();
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, b"\x16\x03\x01 the rest");
            }
        }
    }

    /// Promise: further fields of version 2 are passed over, and a header that is longer than anybody needs is refused
    /// before it is waited for.
    #[tokio::test]
    async fn long_headers_are_bounded() {
        let plain = Header::of(ProxyProtocol::V2, announced("192.0.2.7:1", "192.0.2.1:2"));
        for (fields, is_read) in [(3000_u16, true), (4068, true), (4069, false), (60_000, false)] {
            let mut wire = plain.as_bytes().to_vec();
            wire[14..16].copy_from_slice(&(12 + fields).to_be_bytes());
            wire.extend(vec![0x04; usize::from(fields)]);
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let sent = tokio::spawn(async move { theirs.write_all(&wire).await });
            let mut stream = Stream::from(ours);
            let result = read(&mut stream, EITHER).await;
            drop(stream);
            assert_eq!(result.is_ok(), is_read, "{fields}: {result:?}");
            // A refused header is not read to its end, so writing it may fail.
            let _ = sent.await.unwrap();
        }
    }

    /// Promise: a version that was not asked for is as good as no header.
    #[test]
    fn only_allowed_versions_are_read() {
        let [one, two] = [ProxyProtocol::V1, ProxyProtocol::V2].map(Header::own);
        assert!(matches!(parse(one.as_bytes(), ProxyProtocol::V2), Err(HeaderError::Missing)));
        assert!(matches!(parse(two.as_bytes(), ProxyProtocol::V1), Err(HeaderError::Missing)));
        for other in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00", b"proxy tcp4 ", b"\r\n\r\n\r\n"] {
            assert!(matches!(parse(other, EITHER), Err(HeaderError::Missing)), "{other:?}");
        }
    }

    proptest! {
        /// Promise: no bytes make the reader fail otherwise than by saying so, and a verdict stands whatever follows.
        #[test]
        fn any_bytes_are_judged(
            start in prop::sample::select(vec![&b""[..], text::START, binary::START, b"PROXY TCP4 1.2.3.4 "]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
            more in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let bytes = [start, &rest].concat();
            let longer = [&bytes[..], &more].concat();
            match parse(&bytes, EITHER) {
                Ok(Some(parsed)) => {
                    prop_assert!(parsed.bytes <= bytes.len());
                    prop_assert_eq!(parse(&longer, EITHER).unwrap(), Some(parsed));
                }
                Ok(None) => prop_assert!(bytes.len() < HEADER_MAX),
                Err(_) => prop_assert!(parse(&longer, EITHER).is_err()),
            }
        }
    }
}
