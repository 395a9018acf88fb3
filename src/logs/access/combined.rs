//! Combined Log Format, byte for byte as nginx's `combined` writes it:
//! `$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`.
//!
//! Inside quotes, `"`, `\`, control characters and everything that is not ASCII are written as `\xNN`, so that
//! no client can forge a field or a line. Times are UTC.

use std::io::Write;

use super::record::AccessRecord;
use super::timestamp::Timestamp;

/// Appends one line, with its end.
pub(super) fn write(out: &mut Vec<u8>, record: &AccessRecord, time: &mut Timestamp) {
    let fields = record.text.fields();
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{} - - [{}] \"", record.client, time.combined(record.at));
    escape(out, record.method.as_str().as_bytes());
    out.push(b' ');
    escape(out, fields.target);
    let _ = write!(out, " {:?}\" {} {} \"", record.version, record.status.as_u16(), record.response_bytes);
    quoted(out, fields.referer);
    out.extend_from_slice(b"\" \"");
    quoted(out, fields.user_agent);
    out.extend_from_slice(b"\"\n");
}

/// A field's value, or `-` where the client sent none.
fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    escape(out, if value.is_empty() { b"-" } else { value });
}

fn escape(out: &mut Vec<u8>, value: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                out.extend_from_slice(&[
                    b'\\',
                    b'x',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    /// Promise: a line is what nginx's `combined` would write for the same request. The expected lines are
    /// written by hand from nginx's documentation and the escaping table of its log module.
    #[test]
    fn lines_are_those_of_nginx() {
        let mut out = Vec::new();
        let mut time = Timestamp::default();
        write(&mut out, &example::forwarded(), &mut time);
        write(&mut out, &example::refused(), &mut time);
        let expected = concat!(
            r#"203.0.113.7 - - [24/Nov/2026:05:56:12 +0000] "GET /articles/42?lang=en HTTP/1.1" 200 5120 "#,
            r#""https://help.example/articles/" "Mozilla/5.0 (X11; Linux x86_64)""#,
            "\n",
            r#"2001:db8::1 - - [24/Nov/2026:05:56:12 +0000] "GET /\x22\x5Cx\x09 HTTP/1.0" 429 0 "#,
            r#""-" "a\x0D\x0Ab\xFF\x7F\x22""#,
            "\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
