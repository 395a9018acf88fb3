//! Opening a connection to a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::server::Server;
use crate::metrics::UpstreamMetrics;
use crate::policy::ServerAddress;
use crate::proxy::listener::keepalive;
use crate::proxy::outbox::{Peer, Socket};

/// Why no connection could be made. Every case is the upstream's fault, or the way to it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name has no address: {0}")]
    Resolve(io::Error),
    #[error("{0}")]
    Refused(io::Error),
    /// Not the server's doing: out of file descriptors, ports or memory.
    #[error("weir cannot open another connection: {0}")]
    Local(io::Error),
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

impl ConnectError {
    fn of(error: io::Error) -> Self {
        let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
        match Errno::from_io_error(&error) {
            Some(errno) if ours.contains(&errno) => ConnectError::Local(error),
            _ => ConnectError::Refused(error),
        }
    }

    /// Whether it says anything about the server.
    pub fn is_servers(&self) -> bool {
        !matches!(self, ConnectError::Local(_))
    }
}

/// Connects, and prepares the connection for its first request.
pub async fn connect(
    server: &Arc<Server>,
    within: Duration,
    counters: &Arc<UpstreamMetrics>,
) -> Result<Connection, ConnectError> {
    let stream =
        timeout(within, open(server.address())).await.map_err(|_| ConnectError::TimedOut(within))??;
    let socket = Socket::new(stream, Peer::Server);
    Ok(Connection::new(socket, server.count_open(), Arc::clone(counters)))
}

/// A plain connection, without HTTP.
pub(super) async fn open(address: &ServerAddress) -> Result<TcpStream, ConnectError> {
    let stream = match address {
        ServerAddress::Ip(address) => TcpStream::connect(address).await.map_err(ConnectError::of)?,
        ServerAddress::Name { host, port } => {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port))
                .await
                .map_err(ConnectError::Resolve)?
                .collect();
            TcpStream::connect(found.as_slice()).await.map_err(ConnectError::of)?
        }
    };
    stream.set_nodelay(true).map_err(ConnectError::of)?;
    SockRef::from(&stream).set_tcp_keepalive(&keepalive()).map_err(ConnectError::of)?;
    Ok(stream)
}
