//! Opening a connection to a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::connection::Connection;
use super::server::Server;
use crate::metrics::UpstreamMetrics;
use crate::policy::{self, ServerAddress};
use crate::proxy::listener::keepalive;
use crate::proxy::maybe_tls::ServerStream;
use crate::proxy::outbox::{Peer, Socket};
use crate::proxy::proxy_protocol::{Announced, Header};
use crate::proxy::stream::Stream;

/// Why no connection could be made. Every case is the upstream's fault, or the way to it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name has no address: {0}")]
    Resolve(io::Error),
    #[error("{0}")]
    Refused(io::Error),
    /// It was reached, and is not the one that it should be, or speaks no TLS that weir does.
    #[error("TLS: {0}")]
    Tls(io::Error),
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

/// Connects, for one client where that is `announced`, and prepares the connection for its first request.
pub async fn connect(
    server: &Arc<Server>,
    announced: Option<Announced>,
    within: Duration,
    counters: &Arc<UpstreamMetrics>,
) -> Result<Connection, ConnectError> {
    let stream =
        timeout(within, open(server, announced)).await.map_err(|_| ConnectError::TimedOut(within))??;
    let whose = announced.map(|announced| announced.source);
    Ok(Connection::new(stream, whose, server.count_open(), Arc::clone(counters)))
}

/// A connection without HTTP; a PROXY header is sent where the server wants one, for weir itself where nobody is
/// `announced`, and then hands are shaken where it speaks TLS.
pub(in crate::proxy) async fn open(
    server: &Server,
    announced: Option<Announced>,
) -> Result<ServerStream, ConnectError> {
    let socket = Socket::new(reach(server.rule(), announced).await?, Peer::Server);
    Ok(match server.tls() {
        None => ServerStream::Plain(socket),
        Some(tls) => ServerStream::Tls(Box::new(tls.shake_hands(socket).await.map_err(ConnectError::Tls)?)),
    })
}

async fn reach(server: &policy::Server, announced: Option<Announced>) -> Result<Stream, ConnectError> {
    let mut stream = match &server.address {
        ServerAddress::Ip(address) => tcp(&[*address]).await?,
        ServerAddress::Name { host, port } => {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port))
                .await
                .map_err(ConnectError::Resolve)?
                .collect();
            tcp(&found).await?
        }
        ServerAddress::Unix(path) => UnixStream::connect(path).await.map_err(ConnectError::of)?.into(),
    };
    if let Some(version) = server.proxy_protocol {
        let header = announced.map_or_else(|| Header::own(version), |client| Header::of(version, client));
        stream.write_all(header.as_bytes()).await.map_err(ConnectError::of)?;
    }
    Ok(stream)
}

async fn tcp(addresses: &[SocketAddr]) -> Result<Stream, ConnectError> {
    let stream = TcpStream::connect(addresses).await.map_err(ConnectError::of)?;
    stream.set_nodelay(true).map_err(ConnectError::of)?;
    SockRef::from(&stream).set_tcp_keepalive(&keepalive()).map_err(ConnectError::of)?;
    Ok(stream.into())
}
