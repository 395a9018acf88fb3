//! One HTTP/1 message as it stood on the wire, parsed strictly enough to notice a fault.

use std::io::{self, ErrorKind};

use super::wire::Wire;

/// A request or a response. `head` is exact; the body has its framing taken off.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// From the first byte of the start line to the empty line, both included.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// The trailer lines after a chunked body, without CRLF.
    pub(crate) trailers: Vec<String>,
    /// The size of each chunk as received, empty when the body was not chunked.
    pub(crate) chunk_sizes: Vec<usize>,
}

/// A chunked body, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunked {
    pub(crate) data: Vec<u8>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) trailers: Vec<String>,
}

impl Message {
    /// A message without a body.
    pub(crate) fn of_head(head: Vec<u8>) -> Self {
        Message { head, body: Vec::new(), trailers: Vec::new(), chunk_sizes: Vec::new() }
    }

    /// The first line: `GET / HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub(crate) fn start_line(&self) -> String {
        self.lines().next().unwrap_or_default()
    }

    /// The status code of a response.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let line = self.start_line();
        line.split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status in {line:?}"))
    }

    /// The target of a request, as it came.
    pub(crate) fn target(&self) -> String {
        self.start_line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Every field as `name: value`, names in lower case, sorted: what was sent, whatever its order.
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> =
            self.pairs().into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        fields.sort();
        fields
    }

    /// The values of every line of a field, in order. `name` in lower case.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.pairs().into_iter().filter(|(n, _)| n == name).map(|(_, value)| value).collect()
    }

    /// The value of a field that stands at most once. `name` in lower case.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        assert!(values.len() <= 1, "{name} stands more than once: {values:?}");
        values.pop()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.text()))
    }

    /// The rest of a request whose head was just read.
    pub(crate) fn request(head: Vec<u8>, wire: &mut Wire) -> io::Result<Self> {
        let mut message = Message::of_head(head);
        if message.is_chunked() || message.content_length().is_some() {
            message.read_body(wire)?;
        }
        Ok(message)
    }

    /// The rest of a response whose head was just read; `to_head`: it answers a HEAD request
    /// (RFC 9112 §6.3).
    pub(crate) fn response(head: Vec<u8>, wire: &mut Wire, to_head: bool) -> io::Result<Self> {
        let mut message = Message::of_head(head);
        let status = message.status();
        if !(to_head || (100..200).contains(&status) || status == 204 || status == 304) {
            message.read_body(wire)?;
        }
        Ok(message)
    }

    fn read_body(&mut self, wire: &mut Wire) -> io::Result<()> {
        if self.is_chunked() {
            let chunked = wire.try_read_chunked()?;
            (self.body, self.chunk_sizes, self.trailers) = (chunked.data, chunked.sizes, chunked.trailers);
        } else if let Some(length) = self.content_length() {
            self.body = wire.try_read_exactly(length)?;
        } else {
            self.body = wire.try_read_to_end()?;
        }
        if self.is_chunked() && self.content_length().is_some() {
            return Err(io::Error::new(ErrorKind::InvalidData, "both framings in one message"));
        }
        Ok(())
    }

    fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|coding| coding == "chunked")
    }

    fn content_length(&self) -> Option<usize> {
        self.field("content-length").map(|length| length.parse().expect("Content-Length is a number"))
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        text.split("\r\n").map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.lines()
            .skip(1)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no colon in {line:?}"));
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect()
    }
}

/// Asserts that weir itself wrote `answer`, for a client that did not ask for HTML: a problem document
/// (RFC 9457) with this status.
#[track_caller]
pub(crate) fn assert_weirs_own(answer: &Message, status: u16) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.field("content-type").as_deref(), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(
        (problem["status"].as_u64(), problem["answered_by"].as_str()),
        (Some(status.into()), Some("weir"))
    );
}

/// Where `needle` begins in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
