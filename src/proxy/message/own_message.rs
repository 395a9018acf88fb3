//! weir's own responses, put together as they go over the wire.
//!
//! A flood is refused with little more than copies: no map is made, all of it is one allocation, and nothing is hashed.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::fields::{push_number, write_field};
use crate::proxy::head::find_control;

/// A body, and the fields that its head is to have, in the order in which they were put. None of them frames the message
/// or speaks of the connection.
#[derive(Debug, Default)]
pub struct OwnMessage {
    /// The body, and behind it the lines: `name: value`, each with its line break.
    bytes: Vec<u8>,
    body_len: usize,
}

impl OwnMessage {
    /// With this body and no fields. They are put behind it: best is one that has room for them.
    pub fn new(body: Vec<u8>) -> Self {
        OwnMessage { body_len: body.len(), bytes: body }
    }

    pub fn put(&mut self, name: &HeaderName, value: &HeaderValue) {
        write_field(name, value, &mut self.bytes);
    }

    pub fn put_number(&mut self, name: &HeaderName, number: u64) {
        self.begin(name);
        push_number(&mut self.bytes, number);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Left out if a field cannot hold it: what ends a line here would begin another field.
    pub fn put_bytes(&mut self, name: &HeaderName, value: &[u8]) {
        self.put_with(name, |out| out.extend_from_slice(value));
    }

    /// A value that is written by `write`; left out if a field cannot hold it.
    pub fn put_with(&mut self, name: &HeaderName, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        self.begin(name);
        let start = self.bytes.len();
        write(&mut self.bytes);
        if find_control(self.bytes.get(start..).unwrap_or_default()).is_some() {
            self.bytes.truncate(before);
        } else {
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    pub fn lines(&self) -> &[u8] {
        self.bytes.get(self.body_len..).unwrap_or_default()
    }

    pub fn body(&self) -> &[u8] {
        self.bytes.get(..self.body_len).unwrap_or_default()
    }

    /// Nothing is left.
    pub fn take_body(&mut self) -> Vec<u8> {
        self.bytes.truncate(self.body_len);
        self.body_len = 0;
        std::mem::take(&mut self.bytes)
    }

    /// For HTTP/2, where a message has no lines.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        for line in self.lines().split(|&b| b == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
    }

    fn begin(&mut self, name: &HeaderName) {
        self.bytes.extend_from_slice(name.as_str().as_bytes());
        self.bytes.extend_from_slice(b": ");
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    /// Promise: whichever protocol a client speaks, it gets the same fields.
    #[test]
    fn lines_and_maps_say_the_same() {
        let mut fields = OwnMessage::default();
        fields.put(&header::VARY, &HeaderValue::from_static("Origin"));
        fields.put_number(&header::RETRY_AFTER, 17);
        fields.put_bytes(&header::VARY, b"a: b, \"c\"");
        let expected = "vary: Origin\r\nretry-after: 17\r\nvary: a: b, \"c\"\r\n";
        assert_eq!(std::str::from_utf8(fields.lines()).unwrap(), expected);
        let mut headers = HeaderMap::new();
        fields.add_to(&mut headers);
        let vary: Vec<_> = headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Origin", "a: b, \"c\""]);
        assert_eq!(headers["retry-after"], "17");
    }

    /// Promise: nothing that is put as a value becomes a field of its own.
    #[test]
    fn a_value_stays_one() {
        for value in [&b"a\r\nset-cookie: b"[..], b"a\nb", b"a\0", b"a\x7f"] {
            let mut fields = OwnMessage::default();
            fields.put_bytes(&header::VARY, value);
            assert!(fields.lines().is_empty(), "{value:?}");
        }
    }
}
