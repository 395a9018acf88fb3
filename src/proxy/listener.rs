//! Listening sockets: one per worker and address, or one that all share.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener as TcpAcceptor, TcpStream, UnixListener as UnixAcceptor, UnixStream};

use super::arrival::NEIGHBOUR_PEER;
use super::socket_file::{SocketFile, is_bound_at};
use super::stream::Stream;
use crate::policy::ListenAddress;

/// Connections that the kernel holds for us while all workers are busy.
pub(super) const BACKLOG: i32 = 4096;

/// A peer that vanished without a word is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A listening socket of either kind. Never blocks.
#[derive(Debug)]
pub enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The same within a runtime.
#[derive(Debug)]
pub enum Acceptor {
    Tcp(TcpAcceptor),
    Unix(UnixAcceptor),
}

/// What one listener of the configuration became.
#[derive(Debug)]
pub struct Listening {
    /// At least one for each worker.
    pub sockets: Vec<ListeningSocket>,
    /// With the port that was picked.
    pub address: ListenAddress,
    /// Where the socket has a file of our making.
    pub file: Option<SocketFile>,
}

impl ListeningSocket {
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            ListeningSocket::Tcp(socket) => socket.try_clone().map(ListeningSocket::Tcp),
            ListeningSocket::Unix(socket) => socket.try_clone().map(ListeningSocket::Unix),
        }
    }

    /// To be called within the runtime of a worker.
    pub fn into_acceptor(self) -> io::Result<Acceptor> {
        match self {
            ListeningSocket::Tcp(socket) => TcpAcceptor::from_std(socket).map(Acceptor::Tcp),
            ListeningSocket::Unix(socket) => UnixAcceptor::from_std(socket).map(Acceptor::Unix),
        }
    }

    /// A connection that waits in the kernel's queue; `WouldBlock` where none does.
    pub fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            ListeningSocket::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((TcpStream::from_std(stream)?.into(), peer))
            }
            ListeningSocket::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((UnixStream::from_std(stream)?.into(), NEIGHBOUR_PEER))
            }
        }
    }

    fn is_at(&self, address: &ListenAddress) -> bool {
        match (self, address) {
            (ListeningSocket::Tcp(socket), ListenAddress::Ip { address, .. }) => {
                socket.local_addr().is_ok_and(|a| a == *address)
            }
            (ListeningSocket::Unix(socket), ListenAddress::Unix { path, .. }) => socket
                .local_addr()
                .is_ok_and(|a| a.as_pathname().is_some_and(|bound| is_bound_at(bound, path))),
            _ => false,
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            ListeningSocket::Tcp(socket) => socket.local_addr().ok().map(|address| address.to_string()),
            ListeningSocket::Unix(socket) => {
                let address = socket.local_addr().ok()?;
                Some(format!("unix:{}", address.as_pathname().unwrap_or(Path::new("")).display()))
            }
        }
    }
}

impl From<ListeningSocket> for OwnedFd {
    fn from(socket: ListeningSocket) -> Self {
        match socket {
            ListeningSocket::Tcp(socket) => socket.into(),
            ListeningSocket::Unix(socket) => socket.into(),
        }
    }
}

impl Acceptor {
    /// Waits for a connection.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Acceptor::Tcp(acceptor) => acceptor.accept().await.map(|(stream, peer)| (stream.into(), peer)),
            Acceptor::Unix(acceptor) => {
                acceptor.accept().await.map(|(stream, _)| (stream.into(), NEIGHBOUR_PEER))
            }
        }
    }

    /// The socket, outside of any runtime.
    pub fn into_socket(self) -> io::Result<ListeningSocket> {
        match self {
            Acceptor::Tcp(acceptor) => acceptor.into_std().map(ListeningSocket::Tcp),
            Acceptor::Unix(acceptor) => acceptor.into_std().map(ListeningSocket::Unix),
        }
    }
}

/// Sockets that a service manager opened for us (systemd's `LISTEN_FDS` protocol).
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<ListeningSocket>,
    /// The files of Unix sockets are handed over with them.
    with_files: bool,
}

impl Inherited {
    /// Takes them from the environment; none is the usual case.
    ///
    /// Errors: a descriptor that is no listening socket, TCP or Unix.
    pub fn from_env() -> io::Result<Self> {
        let mut found = ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..found.len() {
            // A socket of the other kind is an error that leaves it where it is.
            if let Ok(socket) = found.take_tcp_listener(at) {
                sockets.extend(socket.map(ListeningSocket::Tcp));
            } else {
                sockets.extend(found.take_unix_listener(at)?.map(ListeningSocket::Unix));
            }
        }
        Ok(Inherited { sockets, with_files: false })
    }

    /// The same, and whether the files of Unix sockets are this process's to remove from now on.
    pub fn with_files(self, with_files: bool) -> Self {
        Inherited { with_files, ..self }
    }

    /// An inherited socket for `address`, if there is one.
    pub fn take(&mut self, address: &ListenAddress) -> Option<ListeningSocket> {
        let at = self.sockets.iter().position(|socket| socket.is_at(address))?;
        Some(self.sockets.swap_remove(at))
    }

    fn take_all(&mut self, address: &ListenAddress) -> Vec<ListeningSocket> {
        std::iter::from_fn(|| self.take(address)).collect()
    }

    /// The addresses that nobody asked for.
    pub fn unclaimed(&self) -> Vec<String> {
        self.sockets.iter().filter_map(ListeningSocket::name).collect()
    }
}

/// One listening socket for each of `workers`, all on `address`.
///
/// Own TCP sockets share the address by SO_REUSEPORT, so that the kernel spreads connections and no two workers
/// wake for one. A Unix socket, which cannot be had twice, and an inherited one are duplicated: one accept queue, which
/// outlives this process where it was inherited, so that a restart refuses nobody.
pub fn listen(address: &ListenAddress, workers: usize, inherited: &mut Inherited) -> io::Result<Listening> {
    let sockets = inherited.take_all(address);
    if !sockets.is_empty() {
        for socket in &sockets {
            match socket {
                ListeningSocket::Tcp(socket) => prepare(&SockRef::from(socket))?,
                ListeningSocket::Unix(socket) => socket.set_nonblocking(true)?,
            }
        }
        let file = match address {
            ListenAddress::Unix { path, .. } if inherited.with_files => SocketFile::adopt(path),
            _ => None,
        };
        return Ok(Listening { sockets: copies(sockets, workers)?, address: address.clone(), file });
    }
    match address {
        ListenAddress::Ip { address, v6only } => {
            let first = bind(*address, *v6only)?;
            // Port 0 was asked for: the others follow the first to the port that the kernel picked.
            let address = first.local_addr()?;
            let mut sockets = vec![ListeningSocket::Tcp(first)];
            for _ in 1..workers {
                sockets.push(ListeningSocket::Tcp(bind(address, *v6only)?));
            }
            let address = ListenAddress::Ip { address, v6only: *v6only };
            Ok(Listening { sockets, address, file: None })
        }
        ListenAddress::Unix { path, mode } => {
            let (socket, file) = SocketFile::listen(path, *mode)?;
            let sockets = copies(vec![ListeningSocket::Unix(socket)], workers)?;
            Ok(Listening { sockets, address: address.clone(), file: Some(file) })
        }
    }
}

/// At least one for each worker; none is left out, as clients wait in the queue of each.
fn copies(sockets: Vec<ListeningSocket>, workers: usize) -> io::Result<Vec<ListeningSocket>> {
    let missing = workers.saturating_sub(sockets.len());
    let copies: io::Result<Vec<_>> =
        sockets.iter().cycle().take(missing).map(ListeningSocket::try_clone).collect();
    Ok(sockets.into_iter().chain(copies?).collect())
}

fn bind(address: SocketAddr, v6only: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(v6only)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    prepare(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What accepted connections take over from their listener on Linux: set once here instead of on each.
fn prepare(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive())
}

/// For both sides: a tunnel may be silent for as long as both of its ends are there.
pub fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4)
}
