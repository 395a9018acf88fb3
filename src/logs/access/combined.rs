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
