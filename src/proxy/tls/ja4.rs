//! JA4: what kind of software a TLS client is, by its first message.
//!
//! The form is FoxIO's (`technical_details/JA4.md` of github.com/FoxIO-LLC/ja4, BSD 3-Clause). It does not change with
//! the order of ciphers and extensions, which browsers shuffle. It is no proof: whoever wants to can copy another's.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::hello::{ClientHello, PROTOCOLS, SERVER_NAME};

/// The JA4 of the ClientHello that these records begin with; `None` if they do not.
pub fn ja4(records: &[u8]) -> Option<String> {
    let hello = ClientHello::read(records)?;
    let mut text = String::with_capacity(LENGTH);
    let names_a_host = if hello.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let [first, last] = protocol(hello.protocol.as_deref().unwrap_or_default());
    let count = |of: &[u16]| of.len().min(99);
    // `t`: over TCP. Writing to a String cannot fail.
    let _ = write!(
        text,
        "t{}{names_a_host}{:02}{:02}{first}{last}_",
        version(&hello),
        count(&hello.ciphers),
        count(&hello.extensions),
    );
    text.push_str(&digest(&sorted(&hello.ciphers)));
    text.push('_');
    let apart = [SERVER_NAME, PROTOCOLS];
    let others: Vec<u16> = hello.extensions.iter().copied().filter(|kind| !apart.contains(kind)).collect();
    let mut extensions = sorted(&others);
    if !extensions.is_empty() && !hello.signatures.is_empty() {
        extensions.push('_');
        extensions.push_str(&joined(&hello.signatures));
    }
    text.push_str(&digest(&extensions));
    Some(text)
}

const LENGTH: usize = "t13d1516h2_8daaf6152771_e5627efa2ab1".len();

/// The highest that is offered.
fn version(hello: &ClientHello) -> &'static str {
    match hello.versions.iter().copied().max().unwrap_or(hello.version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// The first and the last character of a protocol's name, or those of its octets in hexadecimal.
fn protocol(name: &[u8]) -> [char; 2] {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    match (name.first(), name.last()) {
        (Some(first), Some(last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => {
            [char::from(*first), char::from(*last)]
        }
        (Some(first), Some(last)) => [digit(first >> 4), digit(last & 15)],
        _ => ['0', '0'],
    }
}

fn sorted(numbers: &[u16]) -> String {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    joined(&numbers)
}

/// As four hexadecimal digits each.
fn joined(numbers: &[u16]) -> String {
    let mut text = String::with_capacity(numbers.len() * 5);
    for (at, number) in numbers.iter().enumerate() {
        let _ = write!(text, "{}{number:04x}", if at > 0 { "," } else { "" });
    }
    text
}

/// The first twelve digits of the SHA-256; of nothing, zeros.
fn digest(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    Sha256::digest(text).iter().take(6).fold(String::with_capacity(12), |mut digits, octet| {
        let _ = write!(digits, "{octet:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hello::tests::{protocols, record, signatures, versions};
    use super::*;

    /// The example of JA4.md, in the order in which it gives the values, with GREASE where Chrome puts it.
    const CIPHERS: [u16; 16] = [
        0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x009c, 0x009d, 0x002f, 0x0035,
    ];
    const EXTENSIONS: [u16; 18] = [
        0x4a4a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
        0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x5a5a,
    ];
    const SIGNATURES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

    fn hello(extensions: &[u16], signed: &[u16]) -> String {
        let extensions: Vec<_> = extensions
            .iter()
            .map(|kind| match kind {
                0x000d => signatures(signed),
                0x0010 => protocols(&[b"h2", b"http/1.1"]),
                0x002b => versions(&[0x2a2a, 0x0304, 0x0303]),
                other => (*other, vec![1, 2, 3]),
            })
            .collect();
        ja4(&record(0x0303, &CIPHERS, &extensions)).unwrap()
    }

    /// Promise: the published example has the published fingerprint, in whichever order its values come; without
    /// signature algorithms its last part is the published one too.
    #[test]
    fn the_published_example() {
        assert_eq!(hello(&EXTENSIONS, &SIGNATURES), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let mut shuffled = EXTENSIONS;
        shuffled.reverse();
        assert_eq!(hello(&shuffled, &SIGNATURES), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(hello(&EXTENSIONS, &[]), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    /// Promise: Chrome 143 is what others say that it is, of whom one (tls.browserleaks.com) publishes what it saw:
    /// `t13d1516h2_8daaf6152771_d8a2da3f94cd`, with the extensions in this order.
    #[test]
    fn a_browser_as_others_see_it() {
        let extensions = [
            0x002d, 0x0033, 0x0010, 0xfe0d, 0x0017, 0x44cd, 0x0000, 0x000b, 0x000a, 0x002b, 0xff01, 0x0023,
            0x0012, 0x0005, 0x000d, 0x001b,
        ];
        assert_eq!(hello(&extensions, &SIGNATURES), "t13d1516h2_8daaf6152771_d8a2da3f94cd");
    }

    /// Promise: names of protocols give the characters that JA4.md lists.
    #[test]
    fn published_protocols() {
        for (name, characters) in [
            (&b""[..], "00"),
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"h", "hh"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
            (b"\x30\xab\xcd\x31", "01"),
        ] {
            assert_eq!(String::from_iter(protocol(name)), characters, "{name:?}");
        }
    }

    /// Promise: without extensions the version is that of the message, and what there is none of is zeros; counts end
    /// at 99.
    #[test]
    fn the_least_and_the_most() {
        assert_eq!(ja4(&record(0x0302, &[], &[])).unwrap(), "t11i000000_000000000000_000000000000");
        let many: Vec<u16> = (1..=100).collect();
        let extensions: Vec<_> = (0x100..0x164).map(|kind| (kind, Vec::new())).collect();
        let text = ja4(&record(0x0305, &many, &extensions)).unwrap();
        assert!(text.starts_with("t00i999900_"), "{text}");
        assert_eq!(text.len(), LENGTH);
    }

    proptest! {
        /// Promise: whatever octets come, and wherever a ClientHello is damaged, there is a fingerprint of the published
        /// form, or none.
        #[test]
        fn any_octets(noise in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..200, octet: u8) {
            let mut damaged = record(0x0303, &CIPHERS, &[signatures(&SIGNATURES), versions(&[0x0304]), protocols(&[b"h2"])]);
            if let Some(place) = damaged.get_mut(at) {
                *place = octet;
            }
            for octets in [&noise, &damaged] {
                if let Some(text) = ja4(octets) {
                    prop_assert_eq!(text.len(), LENGTH);
                    prop_assert!(text.starts_with('t') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
                }
            }
        }
    }
}
