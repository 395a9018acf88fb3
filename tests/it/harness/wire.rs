//! One TCP connection with a read buffer: what [`RawClient`](super::RawClient) and
//! [`OriginConn`](super::OriginConn) have in common.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use socket2::SockRef;

use super::PATIENCE;
use super::message::{Chunked, find};

/// A blocking connection; every read fails after [`PATIENCE`] instead of hanging.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream, unread: Vec::new() }
    }

    /// Writes all of `bytes`; panics when the peer does not take them.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the peer takes what is sent");
    }

    /// Writes all of `bytes`, or says why not: for tests in which the peer may have gone.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Ends our direction (FIN); the other stays open.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset (RST) instead of an orderly FIN.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// A message head up to and with its empty line, or `None` when the peer ended the connection first.
    ///
    /// Panics when it ended in mid-head, or when nothing came in time.
    #[track_caller]
    pub(crate) fn read_head(&mut self) -> Option<Vec<u8>> {
        self.try_read_head().expect("a head arrives")
    }

    /// As [`read_head`](Self::read_head), for connections that may be reset.
    pub(crate) fn try_read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                return Ok(Some(self.unread.drain(..at + 4).collect()));
            }
            if self.fill()? == 0 {
                return if self.unread.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::new(ErrorKind::UnexpectedEof, "ended in mid-head"))
                };
            }
        }
    }

    /// Exactly `count` bytes.
    #[track_caller]
    pub(crate) fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        self.try_read_exactly(count).expect("the announced bytes arrive")
    }

    pub(crate) fn try_read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// Sends the bytes of [`pattern`] from `from` up to `to`.
    #[track_caller]
    pub(crate) fn send_pattern(&mut self, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            let piece = pattern(at, to);
            self.send(piece);
            at += piece.len() as u64;
        }
    }

    /// As [`send_pattern`](Self::send_pattern), until the peer takes nothing for [`STALL`]; gives how far it
    /// came.
    #[track_caller]
    pub(crate) fn send_pattern_until_stalled(&mut self, from: u64, to: u64) -> u64 {
        self.send_until_stalled(from, to, |at| pattern(at, to))
    }

    /// Sends `bytes` again and again, up to `most` in all, until the peer takes nothing for [`STALL`]; gives
    /// how much it took.
    #[track_caller]
    pub(crate) fn send_again_until_stalled(&mut self, bytes: &[u8], most: u64) -> u64 {
        let from = |at: u64| usize::try_from(at % bytes.len() as u64).unwrap();
        self.send_until_stalled(0, most, |at| &bytes[from(at)..])
    }

    #[track_caller]
    fn send_until_stalled<'b>(&mut self, from: u64, to: u64, rest: impl Fn(u64) -> &'b [u8]) -> u64 {
        self.stream.set_write_timeout(Some(STALL)).unwrap();
        let mut at = from;
        while at < to {
            match self.stream.write(rest(at)) {
                Ok(count) => at += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("after {at} bytes: {error}"),
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        at
    }

    /// Reads `count` bytes and compares them with [`pattern`] from its beginning.
    #[track_caller]
    pub(crate) fn expect_pattern(&mut self, count: u64) {
        let mut at = 0;
        while at < count {
            if self.unread.is_empty() {
                assert_ne!(self.fill().expect("the body goes on"), 0, "ended after {at} of {count} bytes");
            }
            let expected = pattern(at, count);
            let take = expected.len().min(self.unread.len());
            assert!(self.unread[..take] == expected[..take], "other bytes somewhere after {at}");
            self.unread.drain(..take);
            at += take as u64;
        }
    }

    /// A chunked body with its trailers (RFC 9112 §7.1).
    pub(crate) fn try_read_chunked(&mut self) -> io::Result<Chunked> {
        let mut chunked = Chunked::default();
        loop {
            let line = self.read_line()?;
            let digits = line.split(|b| *b == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(digits)
                .ok()
                .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
                .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a chunk size"))?;
            chunked.sizes.push(size);
            if size == 0 {
                break;
            }
            chunked.data.extend(self.try_read_exactly(size)?);
            if self.try_read_exactly(2)? != b"\r\n" {
                return Err(io::Error::new(ErrorKind::InvalidData, "a chunk that does not end with CRLF"));
            }
        }
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(chunked);
            }
            chunked.trailers.push(String::from_utf8_lossy(&line).into_owned());
        }
    }

    /// Everything up to and with `end`, as it stands on the wire, chunk sizes included.
    #[track_caller]
    pub(crate) fn read_through(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.unread, end.as_bytes()) {
                let read: Vec<u8> = self.unread.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&read).into_owned();
            }
            assert_ne!(self.fill().expect("more arrives"), 0, "ended without {end:?}");
        }
    }

    /// Everything until the peer ends the connection.
    pub(crate) fn try_read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// Whether the peer ends the connection, orderly or by a reset, without sending anything more.
    #[track_caller]
    pub(crate) fn expect_close(&mut self) {
        match self.try_read_to_end() {
            Ok(rest) => assert!(rest.is_empty(), "still sent: {:?}", String::from_utf8_lossy(&rest)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection stayed open"),
        }
    }

    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..at + 2).collect();
                return Ok(line[..at].to_vec());
            }
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.unread.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

/// How long a peer that takes no byte counts as stalled.
const STALL: Duration = Duration::from_millis(500);

/// Its length is prime, so that a lost, doubled or swapped block cannot go unnoticed.
const PATTERN_LENGTH: usize = 65_521;

/// Some bytes, at least one, of an endless and well-known body: those from `at`, which is before `end`.
fn pattern(at: u64, end: u64) -> &'static [u8] {
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..PATTERN_LENGTH).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[4]).collect()
    });
    let from = usize::try_from(at % PATTERN_LENGTH as u64).unwrap();
    let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(PATTERN_LENGTH - from);
    &PATTERN[from..from + length]
}
