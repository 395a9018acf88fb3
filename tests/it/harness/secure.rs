//! A client that speaks HTTP/1.1 by TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion, version};

use super::PATIENCE;

pub(crate) const V12: &[&SupportedProtocolVersion] = &[&version::TLS12];
pub(crate) const V13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// A connection to `app.test`.
#[derive(Debug)]
pub(crate) struct SecureClient(StreamOwned<ClientConnection, TcpStream>);

impl SecureClient {
    /// Shakes hands, as far as a client can tell: by TLS 1.3 it may learn only from the first answer that it failed.
    pub(crate) fn connect(config: &Arc<ClientConfig>, to: SocketAddr) -> io::Result<Self> {
        Self::connect_by_name(config, "app.test", to)
    }

    /// The same, to another name.
    pub(crate) fn connect_by_name(
        config: &Arc<ClientConfig>,
        name: &'static str,
        to: SocketAddr,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&to, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(SecureClient(stream))
    }

    pub(crate) fn session(&self) -> &ClientConnection {
        &self.0.conn
    }

    /// Sends a `GET` with these header lines and returns the answer, which ends with `ok` or is a problem in JSON.
    pub(crate) fn exchange(&mut self, target: &str, lines: &str) -> io::Result<String> {
        self.0.write_all(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n").as_bytes())?;
        let (mut response, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match self.0.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => response.extend_from_slice(&piece[..n]),
            }
            let text = String::from_utf8_lossy(&response);
            if text.ends_with("\r\n\r\nok") || text.ends_with('}') {
                return Ok(text.into_owned());
            }
        }
    }

    /// The status of the answer to such a request.
    pub(crate) fn status(&mut self, target: &str, lines: &str) -> io::Result<u16> {
        let answer = self.exchange(target, &format!("Accept: application/problem+json\r\n{lines}"))?;
        Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"))
    }
}
