//! Certificates of clients: who is let in, whose requests they are, and what the app is told. The real binary, with
//! rustls and curl as its clients and certificates made for the test.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType, SerialNumber, date_time_ymd};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};

use crate::harness::{Authority, Config, Launch, RawOrigin, SecureClient, Tool, V12, V13, Weir};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Own = (String, String);

/// Two authorities, as in life: one that clients trust, and one that vouches for them.
struct Site {
    origin: RawOrigin,
    servers: Authority,
    clients: Authority,
    weir: Weir,
}

impl Site {
    /// `rule`: what `client_certificates` has beside its authority; `sections`: further ones of the configuration. `revoked`:
    /// serial numbers.
    fn start(rule: &str, sections: &str, revoked: &[u64]) -> Self {
        let (origin, servers, clients) = (RawOrigin::answering(OK), Authority::new(), Authority::new());
        let (cert, key) = servers.issue(&["app.test"]);
        let config = Config::to(&origin)
            .listen("proxy_tls = \"127.0.0.1:0\"")
            .section(&format!(
                "[tls]\ncertificates = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n\
                 client_certificates = {{ ca = \"clients.pem\"{rule} }}"
            ))
            .section(sections)
            .log("access = { file = \"$DIR/access.log\", format = \"json\" }");
        let weir = Launch::new(&config)
            .beside("cert.pem", &cert)
            .beside("key.pem", &key)
            .beside("clients.pem", &clients.pem())
            .beside("revoked.pem", &clients.revoke(revoked))
            .beside("accounts.toml", "version = 1\n")
            .start();
        Site { origin, servers, clients, weir }
    }

    fn secure(&self) -> SocketAddr {
        self.weir.addrs()[1]
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion], own: Option<&Own>) -> Arc<ClientConfig> {
        self.servers.client_as(versions, b"http/1.1", own)
    }

    /// The status of an answer to whoever has this certificate; an error where the handshake fails.
    fn status(&self, own: Option<&Own>, target: &str) -> io::Result<u16> {
        SecureClient::connect(&self.client(V13, own), self.secure())?.status(target, "")
    }
}

/// A certificate of a client with this common name.
fn named(authority: &Authority, name: &str) -> Own {
    authority.issue_as(|params| params.distinguished_name.push(DnType::CommonName, name))
}

fn der(own: &Own) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(own.0.as_bytes()).unwrap()
}

/// A limit of two requests an hour for each account, and one account with a credential by hash.
fn two_each(source: &str) -> String {
    format!(
        "[identity]\naccount = [{source}]\n\n[[limits]]\nname = \"two\"\nkey = [\"account\"]\nrate = \"2/h\""
    )
}

/// Promise: where certificates are required, a client without one, with one of another authority, one that expired, one
/// that is not yet valid, one for servers alone or one that was revoked is not let in; a good one is, by TLS 1.3 and 1.2.
#[test]
fn only_good_certificates_are_let_in() {
    let site = Site::start(", mode = \"required\", crl = \"revoked.pem\"", "", &[7]);
    let with = |shape: fn(&mut CertificateParams)| site.clients.issue_as(shape);
    let bad = [
        named(&Authority::new(), "acme"),
        with(|params| params.not_after = date_time_ymd(2020, 1, 1)),
        with(|params| params.not_before = date_time_ymd(2999, 1, 1)),
        with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        with(|params| params.serial_number = Some(SerialNumber::from(7))),
    ];
    for own in [None].into_iter().chain(bad.iter().map(Some)) {
        site.status(own, "/").unwrap_err();
        SecureClient::connect(&site.client(V12, own), site.secure()).unwrap_err();
    }
    site.weir.await_metric("weir_protocol_faults_total", &[("fault", "tls_handshake")], 12);
    let good = with(|params| {
        params.serial_number = Some(SerialNumber::from(8));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    for versions in [V13, V12] {
        assert_eq!(
            SecureClient::connect(&site.client(versions, Some(&good)), site.secure())
                .unwrap()
                .status("/", "")
                .unwrap(),
            200
        );
    }
}

/// Promise: a client may send the authorities between its own and the one that is trusted; then each of them must have
/// a list of what it revoked, where lists are looked at.
#[test]
fn an_authority_may_vouch_for_another() {
    let site = Site::start(", mode = \"required\", crl = \"revoked.pem\"", "", &[]);
    let between = site.clients.below();
    let (leaf, key) = named(&between, "acme");
    let own = (leaf + &between.pem(), key);
    site.status(Some(&own), "/").unwrap_err();
    let both = site.clients.revoke(&[]) + &between.revoke(&[]);
    site.weir.await_reload("ok", || site.weir.write_beside("revoked.pem", &both));
    assert_eq!(site.status(Some(&own), "/").unwrap(), 200);
}

/// Promise: where they are optional, a client without one is served, but not by a route that needs one, and is told why;
/// one with a bad certificate is not served at all. The plain listener has no certificates.
#[test]
fn a_route_can_demand_a_certificate() {
    let routes = "[[routes]]\npath = \"/partners/**\"\nclient_certificate = \"required\"\n\n[[routes]]\npath = \"/**\"";
    let site = Site::start("", &format!("{routes}\n\n[enforcement]\nmode = \"shadow\""), &[]);
    let acme = named(&site.clients, "acme");
    assert_eq!(site.status(None, "/").unwrap(), 200);
    assert_eq!(site.status(None, "/partners/a").unwrap(), 403);
    assert_eq!(site.status(Some(&acme), "/partners/a").unwrap(), 200);
    site.status(Some(&named(&Authority::new(), "acme")), "/").unwrap_err();
    let plain = site.weir.get("/partners/a");
    assert_eq!(plain.status(), 403);
    assert!(plain.text().contains("client certificate"), "{}", plain.text());
    let explained = site.weir.admin_get("/api/v1/explain?path=/partners/a&client=192.0.2.1").json();
    assert_eq!(explained["needs_certificate"], true);
}

/// Promise: each part of a certificate can say whose a request is, and each account has its own budget, over all of its
/// certificates; the access log names it.
#[test]
fn the_account_comes_from_the_certificate() {
    let uri = SanType::URI("spiffe://acme.test/a".try_into().unwrap());
    for (part, id) in [("subject-cn", "acme"), ("san-uri", "spiffe://acme.test/a")] {
        let site = Site::start("", &two_each(&format!("{{ client_certificate = \"{part}\" }}")), &[]);
        let acme = || {
            site.clients.issue_as(|params| {
                params.distinguished_name.push(DnType::CommonName, "acme");
                params.subject_alt_names = vec![uri.clone()];
            })
        };
        let statuses: Vec<u16> = (0..3).map(|_| site.status(Some(&acme()), "/").unwrap()).collect();
        assert_eq!(statuses, [200, 200, 429], "{part}");
        assert_eq!(site.status(Some(&named(&site.clients, "globex")), "/").unwrap(), 200);
        assert_eq!(site.status(None, "/").unwrap(), 200, "without a certificate there is no account");
        drop(site.weir.metrics());
        let log = std::fs::read_to_string(site.weir.dir().join("access.log")).unwrap();
        assert!(log.contains(&format!("\"account\":\"{id}\"")), "{log}");
    }
}

/// Promise: a certificate by its fingerprint is a credential like others in the accounts file: a known one beats an
/// unknown one beside it, a suspended account is refused, and one that nobody knows is charged to its client as well.
#[test]
fn a_fingerprint_is_a_credential() {
    let identity = two_each("\"client-certificate\", \"bearer\"");
    let identity = identity.replace("[identity]", "[identity]\naccounts_file = \"accounts.toml\"");
    let site = Site::start("", &identity, &[]);
    let certificates = ["acme", "initech", "strange", "stranger"].map(|name| named(&site.clients, name));
    let [acme, initech, strange, stranger] = &certificates;
    let hash = |own: &Own| format!("sha256:{}", hex(&Sha256::digest(der(own))));
    let accounts = format!(
        "version = 1\n[[accounts]]\nid = \"acme\"\ncredentials = [{:?}]\n\
         [[accounts]]\nid = \"initech\"\nsuspended = \"load\"\ncredentials = [{:?}]\n",
        hash(acme),
        hash(initech),
    );
    site.weir.await_reload("ok", || site.weir.write_beside("accounts.toml", &accounts));
    let mut known = SecureClient::connect(&site.client(V13, Some(acme)), site.secure()).unwrap();
    let with_junk = |known: &mut SecureClient, n| {
        let answer = known.exchange("/", &format!("Authorization: Bearer junk-{n}\r\n")).unwrap();
        answer[9..12].to_owned()
    };
    assert_eq!([1, 2, 3].map(|n| with_junk(&mut known, n)), ["200", "200", "429"]);
    assert_eq!(site.status(Some(initech), "/").unwrap(), 403);
    let strangers = [strange, stranger, strange].map(|own| site.status(Some(own), "/").unwrap());
    assert_eq!(strangers, [200, 200, 429], "two that nobody knows have one client's budget together");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Promise: the app is told of the certificate where it is to know, by RFC 9440, and of no other: what a client writes
/// there itself ends at weir, on every listener and in every spelling.
#[test]
fn the_app_is_told_of_the_certificate() {
    let site = Site::start(", forward = true", "", &[]);
    let acme = named(&site.clients, "acme");
    let forged = "Client-Cert: :Zm9yZ2Vk:\r\nclient_cert: :Zm9yZ2Vk:\r\nClient-Cert-Chain: :Zm9yZ2Vk:\r\n";
    let mut known = SecureClient::connect(&site.client(V13, Some(&acme)), site.secure()).unwrap();
    known.exchange("/", forged).unwrap();
    let told = site.origin.next_request();
    assert_eq!(told.all("client-cert"), [format!(":{}:", STANDARD.encode(der(&acme)))]);
    assert!(told.all("client_cert").is_empty() && told.all("client-cert-chain").is_empty());
    let mut unknown = SecureClient::connect(&site.client(V13, None), site.secure()).unwrap();
    unknown.exchange("/", forged).unwrap();
    let mut plain = site.weir.connect();
    let chunked = "TE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n";
    let body = format!("2\r\nok\r\n0\r\n{forged}X-Sum: 7\r\n\r\n");
    plain.exchange(format!("POST / HTTP/1.1\r\nHost: app.test\r\n{chunked}{forged}\r\n{body}"));
    for request in [site.origin.next_request(), site.origin.next_request()] {
        for name in ["client-cert", "client_cert", "client-cert-chain"] {
            assert!(request.all(name).is_empty(), "{:?}", request.fields());
        }
        assert!(request.trailers.iter().all(|line| line == "x-sum: 7"), "{:?}", request.trailers);
    }
}

/// Promise: a resumed session keeps its identity, by both versions; after a reload that revokes the certificate it does
/// not resume, nor does a new handshake succeed.
#[test]
fn a_resumed_session_is_the_same_client() {
    for versions in [V13, V12] {
        let sections = two_each("{ client_certificate = \"subject-cn\" }");
        let site = Site::start(", crl = \"revoked.pem\"", &sections, &[]);
        let own = site.clients.issue_as(|params| {
            params.distinguished_name.push(DnType::CommonName, "acme");
            params.serial_number = Some(SerialNumber::from(7));
        });
        let client = site.client(versions, Some(&own));
        for (kind, expected) in
            [(HandshakeKind::Full, 200), (HandshakeKind::Resumed, 200), (HandshakeKind::Resumed, 429)]
        {
            let mut stream = SecureClient::connect(&client, site.secure()).unwrap();
            assert_eq!(stream.status("/", "").unwrap(), expected);
            assert_eq!(stream.session().handshake_kind(), Some(kind));
        }
        site.weir.await_reload("ok", || site.weir.write_beside("revoked.pem", &site.clients.revoke(&[7])));
        let after =
            SecureClient::connect(&client, site.secure()).and_then(|mut stream| stream.status("/", ""));
        after.unwrap_err();
    }
}

/// Promise: another authority is in force for the next handshake, and an open connection goes on.
#[test]
fn the_authority_is_renewed() {
    let site = Site::start(", mode = \"required\"", "", &[]);
    let (old, other) = (named(&site.clients, "acme"), Authority::new());
    let mut open = SecureClient::connect(&site.client(V13, Some(&old)), site.secure()).unwrap();
    assert_eq!(open.status("/", "").unwrap(), 200);
    site.weir.await_reload("failed", || site.weir.write_beside("clients.pem", "nothing"));
    assert_eq!(site.status(Some(&old), "/").unwrap(), 200, "what cannot be read changes nothing");
    site.weir.await_reload("ok", || site.weir.write_beside("clients.pem", &other.pem()));
    assert_eq!(open.status("/", "").unwrap(), 200);
    site.status(Some(&old), "/").unwrap_err();
    assert_eq!(site.status(Some(&named(&other, "acme")), "/").unwrap(), 200);
}

/// Promise: a listener's own rule takes the place of the common one, and a session of one is none at the other.
#[test]
fn each_listener_has_its_own_rule() {
    let (origin, servers, clients) = (RawOrigin::answering(OK), Authority::new(), Authority::new());
    let (cert, key) = servers.issue(&["app.test"]);
    let config = Config::to(&origin)
        .listen(
            "proxy_tls = [{ address = \"127.0.0.1:0\" }, \
             { address = \"127.0.0.2:0\", client_certificates = { ca = \"clients.pem\", mode = \"required\" } }, \
             { address = \"127.0.0.3:0\", client_certificates = false }]",
        )
        .section(
            "[tls]\ncertificates = { cert = \"cert.pem\", key = \"key.pem\" }\n\
             client_certificates = { ca = \"clients.pem\" }",
        )
        .section("[identity]\naccount = { client_certificate = \"subject-cn\" }");
    let weir = Launch::new(&config)
        .beside("cert.pem", &cert)
        .beside("key.pem", &key)
        .beside("clients.pem", &clients.pem())
        .start();
    let [_, optional, required, none] = weir.addrs() else { panic!("four listeners") };
    let acme = named(&clients, "acme");
    let stranger = servers.client_as(V13, b"http/1.1", None);
    let known = servers.client_as(V13, b"http/1.1", Some(&acme));
    assert_eq!(SecureClient::connect(&stranger, *optional).unwrap().status("/", "").unwrap(), 200);
    // It has tickets of the other listener now, and they let nobody in here.
    SecureClient::connect(&stranger, *required).and_then(|mut stream| stream.status("/", "")).unwrap_err();
    for to in [optional, required, none] {
        assert_eq!(SecureClient::connect(&known, *to).unwrap().status("/", "").unwrap(), 200);
    }
    weir.await_metric("weir_identity_total", &[("outcome", "known")], 2);
}

/// Promise: by HTTP/2 as well, each request of a connection is its certificate's; curl is the client.
#[test]
fn curl_shows_a_certificate() {
    let Some(curl) = Tool::find("curl") else { return };
    let site =
        Site::start(", mode = \"required\"", &two_each("{ client_certificate = \"subject-cn\" }"), &[]);
    let (cert, key) = named(&site.clients, "acme");
    for (name, text) in [("ca.pem", &site.servers.pem()), ("own.pem", &cert), ("own.key", &key)] {
        site.weir.write_beside(name, text);
    }
    let (port, file) = (site.secure().port(), |name: &str| site.weir.dir().join(name).display().to_string());
    let url = format!("https://app.test:{port}/");
    let output = curl.run(&[
        "-sS",
        "--http2",
        "--cacert",
        &file("ca.pem"),
        "--cert",
        &file("own.pem"),
        "--key",
        &file("own.key"),
        "--resolve",
        &format!("app.test:{port}:127.0.0.1"),
        "-o",
        "/dev/null",
        "-w",
        "%{http_version} %{http_code}\n",
        &url,
        "-o",
        "/dev/null",
        &url,
        "-o",
        "/dev/null",
        &url,
    ]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 200\n2 200\n2 429\n");
}
