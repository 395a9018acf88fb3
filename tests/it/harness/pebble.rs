//! Pebble, Let's Encrypt's authority for tests, and a DNS in which every name is this machine.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;

use serde_json::json;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

use super::{Authority, PATIENCE, Tool, V13, Vacant};

/// An authority that is not there yet: where it will be is known.
pub(crate) struct ReadyPebble {
    tool: Tool,
    own: Authority,
    directory: Vacant,
    management: Vacant,
}

/// A running authority. It forgets everything when it ends.
pub(crate) struct Pebble {
    child: Child,
    own: Authority,
    management: SocketAddr,
    _files: TempDir,
}

/// Where the authority looks for proofs, and what it demands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    /// Ports of 127.0.0.1; 0: nowhere.
    pub(crate) tls: u16,
    pub(crate) http: u16,
    /// Whether it knows the external account `kid-1` and demands one.
    pub(crate) external_account: bool,
}

/// The key of `kid-1`, in base64url.
pub(crate) const EXTERNAL_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

impl ReadyPebble {
    /// `None` where it is not installed, which was said aloud.
    pub(crate) fn find() -> Option<Self> {
        let tool = Tool::find("pebble")?;
        let (directory, management) = (Vacant::reserve(), Vacant::reserve());
        Some(ReadyPebble { tool, own: Authority::new(), directory, management })
    }

    /// The URL of its directory.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/dir", self.directory.address().port())
    }

    /// Who vouches for the directory's own certificate, in PEM.
    pub(crate) fn ca(&self) -> String {
        self.own.pem()
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self, looks: Looks) -> Pebble {
        let ReadyPebble { tool, own, directory, management } = self;
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        let (certificate, key) = own.issue(&["localhost"]);
        fs::write(path("cert.pem"), certificate).unwrap();
        fs::write(path("key.pem"), key).unwrap();
        let config = json!({ "pebble": {
            "listenAddress": directory.address(),
            "managementListenAddress": management.address(),
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": looks.http,
            "tlsPort": looks.tls,
            "externalAccountBindingRequired": looks.external_account,
            "externalAccountMACKeys": { "kid-1": EXTERNAL_KEY },
        }});
        fs::write(path("pebble.json"), config.to_string()).unwrap();
        let dns = answer_names();
        let at = management.address();
        let mut command = tool.command();
        command.arg("-config").arg(path("pebble.json")).arg("-dnsserver").arg(dns.to_string());
        command.env("PEBBLE_VA_NOSLEEP", "1").stdin(Stdio::null()).stdout(Stdio::piped());
        // The addresses are free from here on, and nobody else has been told of them.
        drop((directory, management));
        let mut child = command.spawn().unwrap();
        wait_until_listening(child.stdout.take().unwrap());
        Pebble { child, own, management: at, _files: files }
    }
}

impl Pebble {
    /// A client that trusts what it issues, and nobody else.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let pem = self.root();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// In PEM; another at each start.
    fn root(&self) -> String {
        let client = self.own.client(V13, b"http/1.1");
        let socket = TcpStream::connect_timeout(&self.management, PATIENCE).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(client, name).unwrap(), socket);
        stream.write_all(b"GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // It may end without saying so.
        drop(stream.read_to_end(&mut answer));
        String::from_utf8(answer).unwrap().split_once("\r\n\r\n").expect("an answer").1.to_owned()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads on afterwards, so that it never blocks on a full pipe.
#[track_caller]
fn wait_until_listening(output: impl Read + Send + 'static) {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    while let Some(line) = lines.next() {
        let is_listening = line.contains("ACME directory available");
        seen.push(line);
        if is_listening {
            thread::spawn(move || lines.for_each(drop));
            return;
        }
    }
    panic!("pebble ended instead of listening:\n{}", seen.join("\n"));
}

/// Answers every question for an IPv4 address with 127.0.0.1, and others with nothing (RFC 1035 §4), until the test ends.
fn answer_names() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = dns_answer(&query[..length]) {
                drop(socket.send_to(&answer, from));
            }
        }
    });
    address
}

fn dns_answer(query: &[u8]) -> Option<Vec<u8>> {
    let (id, question) = (query.get(..2)?, query.get(12..)?);
    let mut name = 0;
    while *question.get(name)? != 0 {
        name += 1 + usize::from(question[name]);
    }
    let question = question.get(..name + 5)?;
    let asks_for_ipv4 = question.ends_with(&[0, 1, 0, 1]);
    let count = u8::from(asks_for_ipv4);
    let mut answer = [id, &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0], question].concat();
    if asks_for_ipv4 {
        // The name of the question, an address, for no time at all.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
