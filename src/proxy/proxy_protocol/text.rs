//! Version 1 (§2.1): a line of text.

use std::net::{IpAddr, SocketAddr};

use super::{HeaderError, Parsed, Spokesman};

pub(super) const START: &[u8] = b"PROXY ";

/// The longest line that is allowed, its end included.
const LINE_MAX: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, HeaderError> {
    let Some(end) = memchr::memchr(b'\n', bytes.get(..LINE_MAX.min(bytes.len())).unwrap_or_default()) else {
        return if bytes.len() < LINE_MAX { Ok(None) } else { Err(malformed()) };
    };
    let line = bytes.get(START.len()..end).and_then(|line| line.strip_suffix(b"\r")).ok_or_else(malformed)?;
    let speaks_for = spokesman(line).ok_or_else(malformed)?;
    Ok(Some(Parsed { speaks_for, bytes: end + 1 }))
}

fn malformed() -> HeaderError {
    HeaderError::Malformed("the line of version 1 has no single reading")
}

fn spokesman(line: &[u8]) -> Option<Spokesman> {
    let line = str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Some(Spokesman::Itself);
    }
    let [source, destination] = [words.next()?, words.next()?];
    let source_port = port(words.next()?)?;
    // Where the client connected to is of no use here, and must be right all the same.
    port(words.next()?)?;
    let source: IpAddr = source.parse().ok()?;
    let destination: IpAddr = destination.parse().ok()?;
    let fits = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then(|| Spokesman::Client(SocketAddr::new(source, source_port)))
}

/// Decimal, without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Spokesman> {
        parse(line.as_bytes()).ok().flatten().map(|parsed| parsed.speaks_for)
    }

    /// Promise: the examples of §2.1, with the longest line that there is.
    #[test]
    fn lines_of_the_specification() {
        for (line, client) in [
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
            (
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 \
                 65535\r\n",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
            ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n", "192.168.0.1:56324"),
        ] {
            assert_eq!(read(line), Some(Spokesman::Client(client.parse().unwrap())), "{line}");
        }
        let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                       65535 65535\r\n";
        assert_eq!((longest.len(), read(longest)), (LINE_MAX, Some(Spokesman::Itself)));
    }

    /// Promise: a line that another reader could take otherwise is refused, not guessed at.
    #[test]
    fn lines_with_two_readings() {
        for line in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 ::1 192.0.2.2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY \r\n",
            "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
        assert!(parse(&[b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 100]].concat()).is_err(), "no end in sight");
    }
}
