//! Certificates that weir obtains itself: from pebble, an authority that other people wrote.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{SanType, date_time_ymd};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

use crate::harness::{
    Authority, Config, EXTERNAL_KEY, Launch, Looks, RawOrigin, ReadyPebble, SecureClient, V13, Vacant, Weir,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Where an authority will be, and what weir keeps of it.
struct Place {
    url: String,
    ca: String,
    state: TempDir,
}

impl Place {
    fn of(pebble: &ReadyPebble) -> Self {
        Place { url: pebble.url(), ca: pebble.ca(), state: tempfile::tempdir().unwrap() }
    }

    /// `[tls.acme]` for these names, with further lines of it.
    fn section(&self, names: &str, lines: &str) -> String {
        format!(
            "[tls.acme]\nnames = {names}\nstate_dir = \"{}\"\nterms_agreed = true\ndirectory = \"{}\"\n\
             ca = \"authority.pem\"\n{lines}\n",
            self.state.path().display(),
            self.url
        )
    }

    /// The directory of what this authority issued, as docs/tls.md names it.
    fn kept(&self) -> PathBuf {
        let hash: [u8; 32] = Sha256::digest(&self.url).into();
        let hash = u32::from_be_bytes(hash[..4].try_into().unwrap());
        self.state.path().join(format!("localhost-{hash:08x}"))
    }

    /// Puts a file there, for its owner alone.
    fn keep(&self, name: &str, text: &str) {
        fs::create_dir_all(self.kept()).unwrap();
        fs::write(self.kept().join(name), text).unwrap();
        fs::set_permissions(self.kept().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn launch(&self, config: &Config) -> Launch {
        Launch::new(config).beside("authority.pem", &self.ca)
    }
}

/// weir behind a TLS listener at `address`.
fn config(origin: &RawOrigin, address: SocketAddr, tls: &str) -> Config {
    Config::to(origin).listen(&format!("proxy_tls = \"{address}\"")).section(tls)
}

fn by_tls(address: SocketAddr) -> Looks {
    Looks { tls: address.port(), ..Looks::default() }
}

fn await_orders(weir: &Weir, result: &str, count: u64) {
    weir.await_metric("weir_acme_orders_total", &[("result", result)], count);
}

/// By which certificate this name is served.
fn served(client: &Arc<ClientConfig>, name: &'static str, at: SocketAddr) -> Vec<u8> {
    let mut stream = SecureClient::connect_by_name(client, name, at).unwrap();
    assert_eq!(stream.status("/", "").unwrap(), 200);
    stream.session().peer_certificates().unwrap()[0].to_vec()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Promise: a first start obtains a certificate for each name, serves it, and keeps it where nobody else can read it; the
/// next start serves what is kept and asks for nothing.
#[test]
fn certificates_are_obtained_and_kept() {
    let Some(pebble) = ReadyPebble::find() else { return };
    let (origin, listener) = (RawOrigin::answering(OK), Vacant::reserve().listen());
    let (place, address) = (Place::of(&pebble), listener.local_addr().unwrap());
    let section = place.section("[\"app.test\", \"www.app.test\"]", "contact = \"ops@app.test\"");
    let config = config(&origin, address, &section);
    let pebble = pebble.start(by_tls(address));

    let weir = place.launch(&config).inherit(&listener).start();
    await_orders(&weir, "issued", 2);
    let client = pebble.client();
    let (app, www) = (served(&client, "app.test", address), served(&client, "www.app.test", address));
    assert_ne!(app, www, "each name has its own");
    let metrics = weir.metrics();
    for name in ["app.test", "www.app.test"] {
        let until = metrics.count("weir_certificate_expires_timestamp_seconds", &[("certificate", name)]);
        assert!(until > 1_700_000_000, "{name} is good until {until}");
    }
    assert_eq!(mode(&place.kept()), 0o700);
    for file in ["account.json", "app.test.pem", "www.app.test.pem"] {
        assert_eq!(mode(&place.kept().join(file)), 0o600, "{file}");
    }

    drop(weir);
    // Whatever is asked of it now fails, and is counted.
    drop(pebble);
    let weir = place.launch(&config).inherit(&listener).start();
    assert_eq!(served(&client, "app.test", address), app);
    assert_eq!(served(&client, "www.app.test", address), www);
    assert_eq!(weir.metrics().count("weir_acme_orders_total", &[("result", "failed")]), 0);
}

/// Promise: an authority that cannot be reached costs nobody but those who ask for the names that it is to vouch for:
/// others are served, what failed is counted, and the log says what to do and when it is tried again.
#[test]
fn an_authority_that_is_away_costs_nobody_else() {
    let Some(pebble) = ReadyPebble::find() else { return };
    let (origin, place, own) = (RawOrigin::answering(OK), Place::of(&pebble), Authority::new());
    let section = "[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]\n";
    let section = format!("{section}{}", place.section("[\"new.test\", \"both.test\"]", ""));
    let config = config(&origin, SocketAddr::from(([127, 0, 0, 1], 0)), &section);
    let (cert, key) = own.issue(&["app.test", "both.test"]);
    let weir = place.launch(&config).beside("cert.pem", &cert).beside("key.pem", &key).start();
    let (client, address) = (own.client(V13, b"http/1.1"), weir.addrs()[1]);
    await_orders(&weir, "failed", 2);
    let line = weir.await_log("there is no certificate for this name. To do: ");
    assert!(
        line.contains("see that this machine reaches the directory") && line.contains("next_try"),
        "{line}"
    );
    assert_eq!(served(&client, "app.test", address), served(&client, "both.test", address));
    let error = SecureClient::connect_by_name(&client, "new.test", address).unwrap_err().to_string();
    assert!(error.contains("AccessDenied"), "{error}");
    // 4096-01-01, until when the certificates of tests are good.
    let of_file =
        weir.metrics().count("weir_certificate_expires_timestamp_seconds", &[("certificate", "cert.pem")]);
    assert_eq!(of_file, 67_090_118_400);
}

/// Promise 3: a certificate that is due is replaced, open connections go on, and while it cannot be replaced it serves.
/// A reload that changes the section is followed at once.
#[test]
fn a_renewal_drops_nobody() {
    let Some(pebble) = ReadyPebble::find() else { return };
    let (origin, listener) = (RawOrigin::answering(OK), Vacant::reserve().listen());
    let (place, address, before) = (Place::of(&pebble), listener.local_addr().unwrap(), Authority::new());
    // Two thirds of its life are over.
    let (cert, key) = before.issue_as(|params| {
        params.subject_alt_names = vec![SanType::DnsName("app.test".try_into().unwrap())];
        (params.not_before, params.not_after) = (date_time_ymd(1971, 1, 1), date_time_ymd(2049, 1, 1));
    });
    place.keep("app.test.pem", &format!("{key}{cert}"));
    let with = |contact: &str| {
        let lines = format!("contact = {contact:?}");
        config(&origin, address, &place.section("\"app.test\"", &lines))
    };
    let weir = place.launch(&with("one@app.test")).inherit(&listener).start();
    await_orders(&weir, "failed", 1);
    weir.await_log("the certificate cannot be renewed; the one before it serves");
    let old = before.client(V13, b"http/1.1");
    let mut open = SecureClient::connect_by_name(&old, "app.test", address).unwrap();
    assert_eq!(open.status("/", "").unwrap(), 200);

    let pebble = pebble.start(by_tls(address));
    weir.reload(&with("two@app.test").text());
    await_orders(&weir, "issued", 1);
    served(&pebble.client(), "app.test", address);
    assert_eq!(open.status("/", "").unwrap(), 200);
    // Whoever trusts the first alone finds another now.
    SecureClient::connect_by_name(&before.client(V13, b"http/1.1"), "app.test", address).unwrap_err();
    // Nothing more is asked for when nothing has changed.
    weir.reload(&format!("{}\n# the same", with("two@app.test").text()));
    assert_eq!(weir.metrics().count("weir_acme_orders_total", &[("result", "issued")]), 1);
    assert_eq!(weir.metrics().count("weir_acme_orders_total", &[("result", "failed")]), 1);
}

/// Promise: damaged files are reported and replaced, an account's is put aside; one that others may read is reported; and
/// where nothing can be kept nothing is asked for.
#[test]
fn what_is_kept_may_be_damaged() {
    let Some(pebble) = ReadyPebble::find() else { return };
    let (origin, listener) = (RawOrigin::answering(OK), Vacant::reserve().listen());
    let (place, address, other) = (Place::of(&pebble), listener.local_addr().unwrap(), Authority::new());
    let (cert, key) = other.issue(&["another.test"]);
    place.keep("app.test.pem", &format!("{key}{cert}"));
    place.keep("garbage.test.pem", "garbage");
    place.keep("account.json", "garbage");
    let (cert, key) = other.issue(&["open.test"]);
    place.keep("open.test.pem", &format!("{key}{cert}"));
    fs::set_permissions(place.kept().join("open.test.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let section = place.section("[\"app.test\", \"garbage.test\", \"open.test\"]", "");
    let text = config(&origin, address, &section);
    let pebble = pebble.start(by_tls(address));
    let weir = place.launch(&text).inherit(&listener).start();
    weir.await_log("app.test.pem is damaged: its certificate is not for app.test");
    weir.await_log("garbage.test.pem is damaged: it has no certificate in PEM");
    weir.await_log("account.json is damaged");
    weir.await_log("others may read this file");
    await_orders(&weir, "issued", 2);
    served(&pebble.client(), "app.test", address);
    served(&pebble.client(), "garbage.test", address);
    assert_eq!(fs::read_to_string(place.kept().join("account.json.old")).unwrap(), "garbage");
    drop(weir);

    let nowhere = section.replace(place.state.path().to_str().unwrap(), "authority.pem");
    let weir = place.launch(&config(&origin, address, &nowhere)).inherit(&listener).start();
    await_orders(&weir, "failed", 3);
    let line = weir.await_log("To do: let the user that weir runs as own state_dir");
    assert!(line.contains("authority.pem"), "{line}");
}

/// Promise: an authority that knows nothing of the account that is kept gets another one, and the certificate is issued.
#[test]
fn the_authority_may_have_forgotten_the_account() {
    let (Some(first), Some(second)) = (ReadyPebble::find(), ReadyPebble::find()) else { return };
    let (origin, listener) = (RawOrigin::answering(OK), Vacant::reserve().listen());
    let (known, place, address) = (Place::of(&first), Place::of(&second), listener.local_addr().unwrap());
    let pebble = first.start(by_tls(address));
    let at_first = config(&origin, address, &known.section("\"app.test\"", ""));
    let weir = known.launch(&at_first).inherit(&listener).start();
    await_orders(&weir, "issued", 1);
    drop((weir, pebble));
    let account = fs::read_to_string(known.kept().join("account.json")).unwrap();
    let port = |url: &str| url.rsplit_once(':').unwrap().1.trim_end_matches("/dir").to_owned();
    place.keep("account.json", &account.replace(&port(&known.url), &port(&place.url)));

    let pebble = second.start(by_tls(address));
    let section = place.section("\"app.test\"", "");
    let weir = place.launch(&config(&origin, address, &section)).inherit(&listener).start();
    weir.await_log("the authority does not know the account that is kept");
    await_orders(&weir, "issued", 1);
    served(&pebble.client(), "app.test", address);
}

/// Promise: HTTP-01 is answered on a plain listener, whatever it redirects and refuses, and nothing else is under its path.
#[test]
fn names_are_proven_by_http() {
    let Some(pebble) = ReadyPebble::find() else { return };
    let (origin, listener) = (RawOrigin::answering(OK), Vacant::reserve().listen());
    let (place, plain) = (Place::of(&pebble), listener.local_addr().unwrap());
    let section =
        format!("[tls]\nredirect = true\n{}", place.section("\"app.test\"", "challenge = \"http-01\""));
    let config = config(&origin, SocketAddr::from(([127, 0, 0, 1], 0)), &section).proxy(plain);
    let pebble = pebble.start(Looks { http: plain.port(), ..Looks::default() });
    let weir = place.launch(&config).inherit(&listener).start();
    await_orders(&weir, "issued", 1);
    served(&pebble.client(), "app.test", weir.addrs()[1]);
    let proven = [("decision", "proven"), ("class", "2xx")];
    assert!(weir.metrics().count("weir_requests_total", &proven) > 0);
    assert_eq!(weir.get("/.well-known/acme-challenge/guessed").status(), 308);
}

/// Promise: an authority that demands an external account gets it, though `/config` never shows its key; and it is shown
/// its proof though clients must have certificates.
#[test]
fn an_external_account_is_bound() {
    let Some(pebble) = ReadyPebble::find() else { return };
    let (origin, listener) = (RawOrigin::answering(OK), Vacant::reserve().listen());
    let (place, address) = (Place::of(&pebble), listener.local_addr().unwrap());
    let lines = "external_account = { id = \"kid-1\", key_file = \"external.key\" }";
    let clients = "[tls]\nclient_certificates = { ca = \"authority.pem\", mode = \"required\" }\n";
    let section = format!("{clients}{}", place.section("\"app.test\"", lines));
    let _pebble = pebble.start(Looks { external_account: true, ..by_tls(address) });
    let launch = place.launch(&config(&origin, address, &section)).inherit(&listener);
    let weir = launch.beside("external.key", &format!("{EXTERNAL_KEY}\n")).start();
    await_orders(&weir, "issued", 1);
    let shown = weir.admin_get("/config").text();
    assert!(shown.contains("kid-1") && !shown.contains(EXTERNAL_KEY), "{shown}");
}
