//! Hostile connections, a quarter of each kind, from a hundred addresses. One that weir ends is opened again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::{interval, sleep, timeout};

/// Between two signs of life of one connection: often enough for every timeout that looks at silence.
const PAUSE: Duration = Duration::from_secs(2);
/// Before a connection that was ended is opened again.
const AGAIN: Duration = Duration::from_millis(500);
const ADDRESSES: u64 = 100;

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A head, a field at a time, without an end.
    Head,
    /// The beginning of a TLS record, and nothing more.
    Handshake,
    /// An upload of a few bytes at a time.
    Upload,
    /// A large answer, a few bytes of which are taken at a time.
    Download,
}

/// The attack; dropping it closes everything.
pub(crate) struct Attack {
    _stop: oneshot::Sender<()>,
}

impl Attack {
    /// Begins on a thread of its own.
    pub(crate) fn begin(count: u64, plain: SocketAddr, secure: SocketAddr) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                // A thousand a second: weir is to be held, not to be flooded.
                let mut ticks = interval(Duration::from_millis(1));
                let kinds = [Kind::Head, Kind::Handshake, Kind::Upload, Kind::Download].into_iter().cycle();
                for (nth, kind) in (0..count).zip(kinds) {
                    ticks.tick().await;
                    let to = if matches!(kind, Kind::Handshake) { secure } else { plain };
                    tokio::spawn(keep(kind, nth / 4 % ADDRESSES, to));
                }
                // An error is the end of the attack too.
                _ = stopped.await;
            });
        });
        Ok(Attack { _stop: stop })
    }
}

async fn keep(kind: Kind, from: u64, to: SocketAddr) {
    loop {
        // However it ended, another takes its place.
        _ = hold(kind, from, to).await;
        sleep(AGAIN).await;
    }
}

async fn hold(kind: Kind, from: u64, to: SocketAddr) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(from).unwrap_or(0);
    socket.bind(SocketAddr::new(Ipv4Addr::new(127, 0, 1, last).into(), 0))?;
    if matches!(kind, Kind::Download) {
        socket.set_recv_buffer_size(4096)?;
    }
    let mut stream = socket.connect(to).await?;
    let start: &[u8] = match kind {
        Kind::Head => b"GET / HTTP/1.1\r\nHost: app.test\r\n",
        Kind::Handshake => b"\x16\x03\x01\x02\x00",
        Kind::Upload => b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\n",
        Kind::Download => b"GET /large HTTP/1.1\r\nHost: app.test\r\n\r\n",
    };
    stream.write_all(start).await?;
    loop {
        match kind {
            Kind::Head => stream.write_all(b"X-A: b\r\n").await?,
            Kind::Upload => stream.write_all(b"0123456789").await?,
            Kind::Handshake | Kind::Download => {}
        }
        pause(kind, &mut stream).await?;
    }
}

/// Waits for the next sign of life, or for weir to end the connection.
async fn pause(kind: Kind, stream: &mut TcpStream) -> io::Result<()> {
    let mut taken = [0; 32];
    if let Kind::Download = kind {
        sleep(PAUSE).await;
        stream.read_exact(&mut taken).await?;
        return Ok(());
    }
    match timeout(PAUSE, stream.read(&mut taken)).await {
        Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Err(error)) => Err(error),
        // An answer that comes before the end is not looked at.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}
