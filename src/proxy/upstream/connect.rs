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
use tokio_rustls::rustls::{self, AlertDescription};

use super::connection::{Connection, Counted};
use super::http2::session::{Seat, Session, Sessions};
use super::http2::{self, NotHttp2};
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
    /// It was reached, and speaks another protocol than it should.
    #[error("{0}")]
    Protocol(NotHttp2),
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

    fn of_tls(error: io::Error, server: &Server) -> Self {
        let why = error.get_ref().and_then(|why| why.downcast_ref());
        let speaks_another =
            why == Some(&rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol));
        if speaks_another && server.sessions.is_some() {
            return ConnectError::Protocol(NotHttp2::Http1);
        }
        ConnectError::Tls(error)
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

/// A place on a connection of HTTP/2: on one that somebody else opened in the meantime, or on one of its own.
pub(super) async fn join(
    server: &Arc<Server>,
    sessions: &Sessions,
    worker: usize,
    announced: Option<Announced>,
    within: Duration,
    counters: &Arc<UpstreamMetrics>,
) -> Result<Seat, ConnectError> {
    let whose = announced.map(|announced| announced.source);
    let joined = async {
        // Nobody else can use one client's connection, and so nobody else waits for it.
        let _turn = if whose.is_none() { sessions.turn_to_open(worker).await } else { None };
        if let Some(seat) = sessions.enter(worker, whose) {
            counters.connection_reused();
            return Ok(seat);
        }
        let stream = open(server, announced).await?;
        let connection = http2::greet(stream).await.map_err(ConnectError::Protocol)?;
        let counted = Counted::new(server.count_open(), Arc::clone(counters));
        let session = Session::start(connection, whose, server.tls().is_some(), counted);
        let seat = session.enter();
        sessions.add(worker, session);
        // A server that takes no request at all (RFC 9113 §5.1.2) might as well not be there.
        seat.ok_or(ConnectError::Protocol(NotHttp2::Full))
    };
    timeout(within, joined).await.map_err(|_| ConnectError::TimedOut(within))?
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
        Some(tls) => {
            let session =
                tls.shake_hands(socket).await.map_err(|error| ConnectError::of_tls(error, server))?;
            ServerStream::Tls(Box::new(session))
        }
    })
}

async fn reach(server: &policy::Server, announced: Option<Announced>) -> Result<Stream, ConnectError> {
    #[cfg(test)]
    if let Some(dialled) = crate::proxy::simulation::dial().await {
        return dialled.map_err(ConnectError::of);
    }
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
