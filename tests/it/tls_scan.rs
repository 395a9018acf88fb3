//! What a scanner of TLS looks for: old protocols, weak suites, groups and signatures, protocols nobody speaks; by messages
//! written octet by octet, as a library of today refuses to write them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Authority, Config, Launch, PATIENCE, RawOrigin, SecureClient, V13, Weir};

// Versions (RFC 8446 §4.2.1).
const SSL3: u16 = 0x0300;
const TLS10: u16 = 0x0301;
const TLS11: u16 = 0x0302;
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;

// Alerts (RFC 8446 §6).
const HANDSHAKE_FAILURE: Answer = Answer::Alert(40);
const PROTOCOL_VERSION: Answer = Answer::Alert(70);
const NO_APPLICATION_PROTOCOL: Answer = Answer::Alert(120);

/// What rustls speaks with a certificate on P-256: AEAD and forward secrecy, nothing else.
const SPOKEN_12: [u16; 3] = [0xc02b, 0xc02c, 0xcca9];
const SPOKEN_13: [u16; 3] = [0x1301, 0x1302, 0x1303];

const P256: u16 = 0x0017;
const ECDSA_P256_SHA256: u16 = 0x0403;

/// The first message of a client; what a test does not say is as a browser of today has it.
#[derive(Clone)]
struct Hello {
    /// The only one that it speaks.
    version: u16,
    suites: Vec<u16>,
    groups: Vec<u16>,
    signatures: Vec<u16>,
    name: Option<&'static str>,
    protocols: Vec<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Its description; fatal.
    Alert(u8),
    /// A ServerHello, with this suite.
    Hello(u16),
}

impl Hello {
    fn of(version: u16) -> Self {
        let suites = [SPOKEN_13, SPOKEN_12].concat();
        let (groups, signatures) = (vec![P256], vec![ECDSA_P256_SHA256]);
        Hello { version, suites, groups, signatures, name: Some("app.test"), protocols: vec!["http/1.1"] }
    }

    fn suites(self, suites: &[u16]) -> Self {
        Hello { suites: suites.to_vec(), ..self }
    }

    /// As it travels (RFC 8446 §4.1.2, §5.1).
    fn record(&self) -> Vec<u8> {
        let mut body = self.version.min(TLS12).to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(by_two(&numbers(&self.suites)));
        body.extend([1, 0]);
        let mut extensions = Vec::new();
        let mut extension = |kind: u16, data: Vec<u8>| {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(by_two(&data));
        };
        if let Some(name) = self.name {
            extension(0, by_two(&[&[0][..], &by_two(name.as_bytes())].concat()));
        }
        extension(10, by_two(&numbers(&self.groups)));
        extension(11, vec![1, 0]);
        extension(13, by_two(&numbers(&self.signatures)));
        if !self.protocols.is_empty() {
            let names = self.protocols.iter().flat_map(|name| by_one(name.as_bytes()));
            extension(16, by_two(&names.collect::<Vec<_>>()));
        }
        if self.version == TLS13 {
            extension(43, by_one(&TLS13.to_be_bytes()));
            // The base point of P-256 stands for a key: that nobody knows its other half is of no concern here.
            let shares: Vec<u8> =
                self.groups.iter().filter(|group| **group == P256).flat_map(|_| share()).collect();
            extension(51, by_two(&shares));
        }
        body.extend(by_two(&extensions));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        [&[22, 3, 1][..], &by_two(&message)].concat()
    }

    fn send(&self, to: SocketAddr) -> Answer {
        let mut socket = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&self.record()).unwrap();
        let mut head = [0; 5];
        socket.read_exact(&mut head).unwrap();
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        socket.read_exact(&mut record).unwrap();
        match (head[0], record.as_slice()) {
            (21, [2, description]) => Answer::Alert(*description),
            // Behind the version and a random number, the session's name and then the suite (RFC 8446 §4.1.3).
            (22, [2, ..]) => {
                let suite = 4 + 2 + 32 + 1 + usize::from(record[38]);
                Answer::Hello(u16::from_be_bytes([record[suite], record[suite + 1]]))
            }
            (kind, record) => panic!("a record of kind {kind}: {record:?}"),
        }
    }
}

/// The base point of P-256 (FIPS 186-4 D.1.2.3), uncompressed, as a share of a key.
fn share() -> Vec<u8> {
    const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let hex = |text: &str| {
        (0..32).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).unwrap()).collect::<Vec<_>>()
    };
    let point = [vec![4], hex(X), hex(Y)].concat();
    [&P256.to_be_bytes()[..], &by_two(&point)].concat()
}

fn numbers(all: &[u16]) -> Vec<u8> {
    all.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn by_one(data: &[u8]) -> Vec<u8> {
    [&[u8::try_from(data.len()).unwrap()], data].concat()
}

fn by_two(data: &[u8]) -> Vec<u8> {
    [&u16::try_from(data.len()).unwrap().to_be_bytes()[..], data].concat()
}

/// weir with a certificate for `app.test`, and where it speaks TLS.
fn scanned() -> (RawOrigin, Weir, SocketAddr) {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let config = Config::to(&origin)
        .listen("proxy_tls = \"127.0.0.1:0\"")
        .section("[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]");
    let (cert, key) = Authority::new().issue(&["app.test"]);
    let weir = Launch::new(&config).beside("cert.pem", &cert).beside("key.pem", &key).start();
    let address = weir.addrs()[1];
    (origin, weir, address)
}

/// Promise: nothing older than TLS 1.2 is spoken (RFC 8996), and whoever offers it is told that it is the version.
#[test]
fn old_versions_are_refused_as_such() {
    let (_origin, weir, address) = scanned();
    for version in [SSL3, TLS10, TLS11] {
        // RSA with AES in CBC, and ECDHE with it, as such clients have them.
        let hello = Hello::of(version).suites(&[0x002f, 0x0035, 0xc009, 0xc00a, 0xc013]);
        assert_eq!(hello.send(address), PROTOCOL_VERSION, "{version:#06x}");
    }
    weir.await_metric("weir_protocol_faults_total", &[("fault", "tls_handshake")], 3);
}

/// Promise: of all suites that there could be, those with AEAD and forward secrecy alone are spoken, each of them is, and
/// whoever offers others gets a handshake_failure: no NULL, EXPORT, RC4, 3DES, CBC, static RSA, anonymous or finite-field one.
#[test]
fn no_weak_suite_is_spoken() {
    let (_origin, _weir, address) = scanned();
    for (version, spoken) in [(TLS12, SPOKEN_12), (TLS13, SPOKEN_13)] {
        for suite in spoken {
            assert_eq!(
                Hello::of(version).suites(&[suite]).send(address),
                Answer::Hello(suite),
                "{suite:#06x}"
            );
        }
        let others: Vec<u16> = (0..=u16::MAX).filter(|suite| !spoken.contains(suite)).collect();
        // As many as a record bears.
        for some in others.chunks(6000) {
            let answer = Hello::of(version).suites(some).send(address);
            assert_eq!(answer, HANDSHAKE_FAILURE, "{version:#06x}, from {:#06x}", some[0]);
        }
    }
}

/// Promise: groups and signatures of yesterday are refused with a handshake_failure: finite fields, curves below 128 bits of
/// strength, SHA-1, MD5, and RSA of PKCS #1 for a key that is none.
#[test]
fn no_weak_group_or_signature_is_used() {
    let (_origin, _weir, address) = scanned();
    for version in [TLS12, TLS13] {
        // ffdhe2048, secp192r1, secp224r1, sect163k1.
        for group in [0x0100, 0x0013, 0x0015, 0x0001] {
            let hello = Hello { groups: vec![group], ..Hello::of(version) };
            assert_eq!(hello.send(address), HANDSHAKE_FAILURE, "{version:#06x}: group {group:#06x}");
        }
    }
    // By TLS 1.3 the server's own message comes ahead of that, and the alert is encrypted.
    for signatures in [&[0x0203, 0x0201, 0x0202, 0x0101][..], &[0x0401]] {
        let hello = Hello { signatures: signatures.to_vec(), ..Hello::of(TLS12) };
        assert_eq!(hello.send(address), HANDSHAKE_FAILURE, "{signatures:x?}");
    }
}

/// Promise: whoever speaks none of the protocols inside is told so (RFC 7301 §3.2), which an authority is as well while there
/// is nothing to prove to it; who names none, or a name that is not known, is served by the first certificate.
#[test]
fn protocols_and_names_are_answered_as_promised() {
    let (_origin, _weir, address) = scanned();
    for protocol in ["spdy/3.1", "http/1.0", "h2c", "acme-tls/1"] {
        let hello = Hello { protocols: vec![protocol], ..Hello::of(TLS12) };
        assert_eq!(hello.send(address), NO_APPLICATION_PROTOCOL, "{protocol}");
        // By TLS 1.3 the alert is encrypted: a library reads it.
        let client = Authority::new().client(V13, protocol.as_bytes());
        let error = SecureClient::connect(&client, address).unwrap_err().to_string();
        assert!(error.contains("NoApplicationProtocol"), "{protocol}: {error}");
    }
    for version in [TLS12, TLS13] {
        let served = Hello::of(version).send(address);
        assert!(matches!(served, Answer::Hello(_)), "{served:?}");
        for name in [None, Some("unknown.test")] {
            assert_eq!(
                Hello { name, ..Hello::of(version) }.send(address),
                served,
                "{version:#06x}: {name:?}"
            );
        }
        assert_eq!(Hello { protocols: Vec::new(), ..Hello::of(version) }.send(address), served);
    }
}
