//! Attacks that come and go, at bounded rates: refused requests of ever new clients, heads that cannot be read,
//! handshakes that fail, connections that are reset, and HTTP/2 requests that are reset as soon as they are made.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longer than weir takes for any of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that are reset on one connection: fewer than weir closes it for, and many more.
const RESETS: [usize; 2] = [20, 300];

/// Whom the storm is for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    /// In PEM.
    pub(crate) certificate: Vec<u8>,
    /// Requests that name an ever new client, a second.
    pub(crate) rate: u64,
}

/// The storm; dropping it ends it.
pub(crate) struct Storm {
    _stop: oneshot::Sender<()>,
}

impl Storm {
    /// Begins on a thread of its own.
    pub(crate) fn begin(target: &Target) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let Target { plain, secure, rate, .. } = *target;
        let connector = connector(&target.certificate)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::spawn(new_clients(plain, rate));
                let each_second = |times, attack: Box<dyn Fn(u64)>| repeat(times, attack);
                tokio::select! {
                    _ = stopped => {}
                    () = each_second(20, Box::new(move |nth| spawn(send(plain, nth, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")))) => {}
                    () = each_second(20, Box::new(move |nth| spawn(send(secure, nth, b"\x16\x03\x01\x00\x05hello")))) => {}
                    () = each_second(50, Box::new(move |nth| spawn(reset(plain, nth)))) => {}
                    () = each_second(2, Box::new(move |nth| spawn(rapid_reset(secure, connector.clone(), nth)))) => {}
                }
            });
        });
        Ok(Storm { _stop: stop })
    }
}

fn spawn(attack: impl Future<Output = io::Result<()>> + Send + 'static) {
    // However it ends is weir's to say.
    tokio::spawn(async { drop(timeout(PATIENCE, attack).await) });
}

async fn repeat(times_a_second: u32, attack: Box<dyn Fn(u64)>) {
    let mut ticks = interval(Duration::from_secs(1) / times_a_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for nth in 0.. {
        ticks.tick().await;
        attack(nth);
    }
}

/// From one of two hundred addresses.
async fn connect(to: SocketAddr, nth: u64) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(nth % 200).unwrap_or(0);
    socket.bind(SocketAddr::new(Ipv4Addr::new(127, 0, 2, last).into(), 0))?;
    socket.connect(to).await
}

/// Something that weir does not like, until it says so.
async fn send(to: SocketAddr, nth: u64, bytes: &[u8]) -> io::Result<()> {
    let mut stream = connect(to, nth).await?;
    stream.write_all(bytes).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Half a request, and a reset.
async fn reset(to: SocketAddr, nth: u64) -> io::Result<()> {
    let mut stream = connect(to, nth).await?;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\nhalf").await?;
    stream.set_zero_linger()
}

/// Requests through a trusted proxy, four of each client in a row, which may make three; on one connection after another.
async fn new_clients(to: SocketAddr, rate: u64) {
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut stream, mut nth, mut held) = (None, 0_u32, [0; 16 << 10]);
    loop {
        ticks.tick().await;
        let mut requests = String::new();
        for _ in 0..rate / 50 {
            // Scattered over all of 10.0.0.0/8.
            let client = Ipv4Addr::from(0x0a00_0000 | ((nth / 4).wrapping_mul(7_368_787) & 0x00ff_ffff));
            _ = write!(
                requests,
                "GET /{nth}/{client} HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: {client}\r\n\r\n"
            );
            nth += 1;
        }
        let played = async {
            let stream = match &mut stream {
                Some(stream) => stream,
                None => stream.insert(TcpStream::connect(to).await?),
            };
            stream.write_all(requests.as_bytes()).await?;
            // Answers are taken as they come; nobody counts them.
            while timeout(Duration::from_millis(1), stream.read(&mut held))
                .await
                .is_ok_and(|read| read.is_ok_and(|n| n > 0))
            {}
            io::Result::Ok(())
        };
        if played.await.is_err() || nth % 10_000 < rate.try_into().unwrap_or(u32::MAX) / 50 {
            stream = None;
        }
    }
}

/// CVE-2023-44487.
async fn rapid_reset(to: SocketAddr, connector: TlsConnector, nth: u64) -> io::Result<()> {
    let stream = connector
        .connect(ServerName::try_from("app.test").map_err(io::Error::other)?, connect(to, nth).await?)
        .await?;
    let (mut requests, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(async { drop(timeout(PATIENCE, connection).await) });
    for _ in 0..RESETS[usize::try_from(nth % 2).unwrap_or(0)] {
        requests = requests.ready().await.map_err(io::Error::other)?;
        let request = Request::get("https://app.test/").body(()).map_err(io::Error::other)?;
        let (answer, mut body) = requests.send_request(request, false).map_err(io::Error::other)?;
        body.send_data(Bytes::from_static(b"x"), false).map_err(io::Error::other)?;
        tokio::task::yield_now().await;
        body.send_reset(h2::Reason::CANCEL);
        drop(answer);
    }
    Ok(())
}

/// Trusts this certificate, and speaks HTTP/2.
fn connector(certificate: &[u8]) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(certificate).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
