//! The first message of a TLS client, read for what it tells of the software that wrote it.
//!
//! rustls reads the same message to answer it, but keeps neither the extensions it does not know nor their number. What
//! is read here is read for nothing else: a message that it cannot make sense of has no fingerprint, and whether the
//! handshake goes on is for rustls to say.

use std::borrow::Cow;

/// Handshake messages (RFC 8446 §5.1), and the one that is read (§4).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extensions by their numbers (RFC 8446 §4.2).
pub(super) const SERVER_NAME: u16 = 0;
pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const PROTOCOLS: u16 = 16;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;

/// A ClientHello (RFC 8446 §4.1.2), values in their order, those that are there to be ignored (RFC 8701) left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// The field `legacy_version`.
    pub(super) version: u16,
    pub(super) ciphers: Vec<u16>,
    pub(super) extensions: Vec<u16>,
    /// Those of the extension `supported_versions`.
    pub(super) versions: Vec<u16>,
    pub(super) signatures: Vec<u16>,
    /// The first protocol that is offered (RFC 7301).
    pub(super) protocol: Option<Vec<u8>>,
}

impl ClientHello {
    /// From the records as they came, in which the message may be cut; what follows it is not looked at.
    pub(super) fn read(records: &[u8]) -> Option<Self> {
        let message = message(records)?;
        let mut rest = Octets(&message);
        let mut hello = ClientHello { version: rest.u16()?, ..ClientHello::default() };
        let _random = rest.take(32)?;
        let _session = rest.counted_by_one()?;
        hello.ciphers = numbers(rest.counted_by_two()?)?;
        let _compression = rest.counted_by_one()?;
        if rest.0.is_empty() {
            // There were no extensions before TLS 1.2 (RFC 5246 §7.4.1.2).
            return Some(hello);
        }
        let mut extensions = Octets(rest.counted_by_two()?);
        while !extensions.0.is_empty() {
            let (kind, data) = (extensions.u16()?, extensions.counted_by_two()?);
            hello.extension(kind, data)?;
        }
        rest.0.is_empty().then_some(hello)
    }

    fn extension(&mut self, kind: u16, data: &[u8]) -> Option<()> {
        if is_grease(kind) {
            return Some(());
        }
        self.extensions.push(kind);
        let mut data = Octets(data);
        match kind {
            SIGNATURE_ALGORITHMS => self.signatures = numbers(data.counted_by_two()?)?,
            SUPPORTED_VERSIONS => self.versions = numbers(data.counted_by_one()?)?,
            PROTOCOLS => {
                let mut protocols = Octets(data.counted_by_two()?);
                while !protocols.0.is_empty() && self.protocol.is_none() {
                    let name = protocols.counted_by_one()?;
                    let is_grease =
                        matches!(name, [high, low] if is_grease(u16::from_be_bytes([*high, *low])));
                    self.protocol = (!is_grease).then(|| name.to_vec());
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// The body of the first handshake message, which must be a ClientHello.
fn message(records: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut rest = Octets(records);
    let first = fragment(&mut rest)?;
    let Some(whole) = body(first)? else {
        let mut pieces = first.to_vec();
        loop {
            pieces.extend_from_slice(fragment(&mut rest)?);
            if let Some(whole) = body(&pieces)? {
                return Some(Cow::Owned(whole.to_vec()));
            }
        }
    };
    Some(Cow::Borrowed(whole))
}

/// What one record holds of a handshake.
fn fragment<'a>(records: &mut Octets<'a>) -> Option<&'a [u8]> {
    let kind = records.take(1)?;
    let _version = records.take(2)?;
    let fragment = records.counted_by_two()?;
    // An empty one is not allowed (RFC 8446 §5.1), and without end.
    (kind == [HANDSHAKE] && !fragment.is_empty()).then_some(fragment)
}

/// What a message holds; inner `None`: it goes on. Outer `None`: it is another.
#[expect(clippy::option_option, reason = "what goes on is not the same as what is wrong")]
fn body(message: &[u8]) -> Option<Option<&[u8]>> {
    let mut rest = Octets(message);
    if rest.take(1)? != [CLIENT_HELLO] {
        return None;
    }
    let Some(length) = rest.take(3) else { return Some(None) };
    let length = length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    Some(rest.take(length))
}

/// A list of numbers of two octets, those that mean nothing left out.
fn numbers(list: &[u8]) -> Option<Vec<u16>> {
    let (numbers, []) = list.as_chunks::<2>() else { return None };
    Some(
        numbers
            .iter()
            .map(|number| u16::from_be_bytes(*number))
            .filter(|number| !is_grease(*number))
            .collect(),
    )
}

/// `0x0A0A`, `0x1A1A` and so on to `0xFAFA` (RFC 8701 §2).
const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// What is left to read.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    /// As many octets as the first one says.
    fn counted_by_one(&mut self) -> Option<&'a [u8]> {
        let count = *self.take(1)?.first()?;
        self.take(usize::from(count))
    }

    /// As many octets as the first two say.
    fn counted_by_two(&mut self) -> Option<&'a [u8]> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn counted_by_two(of: &[u8]) -> Vec<u8> {
        [&u16::try_from(of.len()).unwrap().to_be_bytes()[..], of].concat()
    }

    fn list(numbers: &[u16]) -> Vec<u8> {
        counted_by_two(&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>())
    }

    /// A ClientHello as it is written in a record, by RFC 8446 §4.1.2; the extensions with what they hold.
    pub(in super::super) fn record(version: u16, ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend([0]);
        body.extend(list(ciphers));
        body.extend([1, 0]);
        let extensions = extensions.iter();
        let extensions =
            extensions.flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &counted_by_two(data)].concat());
        body.extend(counted_by_two(&extensions.collect::<Vec<_>>()));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[CLIENT_HELLO], &length[1..], &body].concat();
        [&[HANDSHAKE, 3, 1][..], &counted_by_two(&message)].concat()
    }

    pub(in super::super) fn signatures(of: &[u16]) -> (u16, Vec<u8>) {
        (SIGNATURE_ALGORITHMS, list(of))
    }

    pub(in super::super) fn versions(of: &[u16]) -> (u16, Vec<u8>) {
        let list = list(of);
        // Counted by one octet.
        (SUPPORTED_VERSIONS, list[1..].to_vec())
    }

    pub(in super::super) fn protocols(of: &[&[u8]]) -> (u16, Vec<u8>) {
        let one = |name: &&[u8]| [&[u8::try_from(name.len()).unwrap()], *name].concat();
        (PROTOCOLS, counted_by_two(&of.iter().flat_map(one).collect::<Vec<_>>()))
    }

    fn example() -> Vec<u8> {
        let grease = (0x1a1a, vec![0]);
        record(
            0x0303,
            &[0x0a0a, 0x1301, 0xc02b],
            &[
                grease,
                (SERVER_NAME, b"\0\x06\0\0\x03a.b".to_vec()),
                protocols(&[b"\xba\xba", b"h2", b"http/1.1"]),
                signatures(&[0x0403, 0x2a2a, 0x0804]),
                versions(&[0xfafa, 0x0304, 0x0303]),
                (0xff01, vec![0]),
            ],
        )
    }

    /// Promise: every part is found, in its order, and what is there to be ignored is.
    #[test]
    fn the_parts_are_found() {
        let hello = ClientHello {
            version: 0x0303,
            ciphers: vec![0x1301, 0xc02b],
            extensions: vec![0, 16, 13, 43, 0xff01],
            versions: vec![0x0304, 0x0303],
            signatures: vec![0x0403, 0x0804],
            protocol: Some(b"h2".to_vec()),
        };
        assert_eq!(ClientHello::read(&example()), Some(hello));
    }

    /// Promise: where the message is cut into records changes nothing, and one that has not ended is none.
    #[test]
    fn records_may_cut_it_anywhere() {
        let (whole, message) = (ClientHello::read(&example()), &example()[5..]);
        for cut in 1..message.len() {
            let (one, other) = message.split_at(cut);
            let records = [one, other].map(|piece| [&[HANDSHAKE, 3, 1][..], &counted_by_two(piece)].concat());
            assert_eq!(ClientHello::read(&records.concat()), whole, "cut at {cut}");
            assert_eq!(ClientHello::read(&records[0]), None, "cut at {cut}");
        }
    }

    /// Promise: what is cut off, of another kind, or longer than it says is no ClientHello.
    #[test]
    fn damaged_ones_are_none() {
        let good = example();
        for end in 0..good.len() {
            assert_eq!(ClientHello::read(&good[..end]), None, "{end}");
        }
        let with = |at: usize, octet: u8| {
            let mut bad = good.clone();
            bad[at] = octet;
            ClientHello::read(&bad)
        };
        assert_eq!(with(0, 23), None, "application data");
        assert_eq!(with(5, 2), None, "a ServerHello");
        assert_eq!(with(8, good[8] - 1), None, "a message that ends within its extensions");
        assert_eq!(ClientHello::read(&[HANDSHAKE, 3, 1, 0, 0].repeat(3)), None, "empty records");
    }

    /// Promise: GREASE is what RFC 8701 lists, and nothing else.
    #[test]
    fn grease_is_a_fixed_list() {
        let all: Vec<u16> = (0..=u16::MAX).filter(|number| is_grease(*number)).collect();
        assert_eq!(all.len(), 16);
        assert_eq!((all[0], all[15]), (0x0a0a, 0xfafa));
        assert!(!is_grease(0x0a1a));
    }
}
