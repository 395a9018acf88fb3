//! Listening sockets: one per worker and address, or one inherited and shared by all.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that the kernel holds for us while all workers are busy.
const BACKLOG: i32 = 4096;

/// A peer that vanished without a word is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Sockets that a service manager opened for us (systemd's `LISTEN_FDS` protocol).
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<TcpListener>,
}

impl Inherited {
    /// Takes them from the environment; none is the usual case.
    pub fn from_env() -> io::Result<Self> {
        let mut found = ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..found.len() {
            sockets.extend(found.take_tcp_listener(at)?);
        }
        Ok(Inherited { sockets })
    }

    /// The inherited socket for `address`, if there is one.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.sockets.iter().position(|s| s.local_addr().is_ok_and(|a| a == address))?;
        Some(self.sockets.swap_remove(at))
    }

    /// The addresses that nobody asked for.
    pub fn unclaimed(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|s| s.local_addr().ok()).collect()
    }
}

/// One listening socket for each of `workers`, all on `address`.
///
/// Own sockets share the address by SO_REUSEPORT, so that the kernel spreads connections and no two workers
/// wake for one. An inherited socket is duplicated: one accept queue, which outlives this process, so that a
/// restart refuses nobody.
pub fn listen(
    address: SocketAddr,
    workers: usize,
    inherited: &mut Inherited,
) -> io::Result<Vec<TcpListener>> {
    if let Some(socket) = inherited.take(address) {
        prepare(&SockRef::from(&socket))?;
        let copies: io::Result<Vec<_>> = (1..workers).map(|_| socket.try_clone()).collect();
        let mut sockets = copies?;
        sockets.push(socket);
        return Ok(sockets);
    }
    let first = bind(address)?;
    // Port 0 was asked for: the others follow the first to the port that the kernel picked.
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind(address)?);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
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
