//! Messages as the plainest reader of RFC 9112 sees them. Whatever weir writes is to be well formed: what is not fails the
//! simulation.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The head of a request or a response.
#[derive(Debug)]
pub(super) struct Head {
    /// The first line, by its words.
    pub(super) first: Vec<String>,
    pub(super) fields: HashMap<String, String>,
}

/// Messages one after the other; `None` wherever the connection ended before what was asked for was whole.
#[derive(Debug)]
pub(super) struct Incoming<R> {
    from: R,
    held: Vec<u8>,
}

/// The body that belongs to `id`, for `x-upload` and `x-answer`.
pub(super) fn text(id: &str, length: usize) -> Vec<u8> {
    let mut bytes = format!("{id}. ").repeat(length / id.len() + 1).into_bytes();
    bytes.truncate(length);
    bytes
}

/// The same in chunks of at most `size`, with their end.
pub(super) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned).collect();
        let field = |line: &str| {
            let (name, value) =
                line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?} in {text:?}"));
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Head { first, fields: lines.map(field).collect() }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.field(name).map(|text| text.parse().unwrap())
    }

    /// Of a response.
    pub(super) fn status(&self) -> u16 {
        assert!(self.first[0].starts_with("HTTP/1."), "{self:?}");
        self.first[1].parse().unwrap()
    }

    fn is_chunked(&self) -> bool {
        self.field("transfer-encoding").is_some_and(|codings| codings == "chunked")
    }
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(from: R) -> Self {
        Incoming { from, held: Vec::new() }
    }

    pub(super) async fn head(&mut self) -> Option<Head> {
        let text = self.until(b"\r\n\r\n").await?;
        Some(Head::parse(&String::from_utf8(text).unwrap()))
    }

    /// The body of a request, or of a response that has one.
    pub(super) async fn body(&mut self, head: &Head) -> Option<Vec<u8>> {
        if head.is_chunked() {
            assert!(head.field("content-length").is_none(), "{head:?}");
            return self.chunks().await;
        }
        match head.number("content-length") {
            Some(length) => self.exactly(length).await,
            None if head.first[0].starts_with("HTTP/") => self.rest().await,
            None => Some(Vec::new()),
        }
    }

    /// All that comes before the end; `None` if that is a reset.
    pub(super) async fn rest(&mut self) -> Option<Vec<u8>> {
        self.from.read_to_end(&mut self.held).await.ok()?;
        Some(std::mem::take(&mut self.held))
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = String::from_utf8(self.until(b"\r\n").await?).unwrap();
            let size = usize::from_str_radix(&size, 16).unwrap();
            if size == 0 {
                assert_eq!(self.until(b"\r\n").await?, b"");
                return Some(body);
            }
            body.extend(self.exactly(size).await?);
            assert_eq!(self.exactly(2).await?, b"\r\n");
        }
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.held, end) {
                let mut taken: Vec<u8> = self.held.drain(..at + end.len()).collect();
                taken.truncate(at);
                return Some(taken);
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.held.len() < length {
            self.more().await?;
        }
        Some(self.held.drain(..length).collect())
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.from.read_buf(&mut self.held).await.ok()?;
        (read > 0).then_some(())
    }
}
