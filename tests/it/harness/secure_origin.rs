//! An app that speaks TLS, for what weir says to it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio_rustls::rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::PATIENCE;
use super::message::find;

/// Listens on a free loopback port; each connection runs a script in a thread of its own, which ends with it.
pub(crate) struct SecureOrigin {
    address: SocketAddr,
    greeted: Mutex<Receiver<Greeting>>,
}

/// What a handshake told of weir.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// The name that it asked for.
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) has_certificate: bool,
    /// It is a session that was begun before.
    pub(crate) resumes: bool,
}

/// One connection, after its handshake.
pub(crate) struct SecureSocket {
    stream: StreamOwned<ServerConnection, TcpStream>,
    /// Read and not yet used.
    input: Vec<u8>,
}

impl SecureOrigin {
    pub(crate) fn scripted(
        config: Arc<ServerConfig>,
        script: impl Fn(&mut SecureSocket) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (greet, greeted) = channel();
        let script = Arc::new(script);
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let (config, script, greet) = (Arc::clone(&config), Arc::clone(&script), greet.clone());
                thread::spawn(move || {
                    let mut socket = SecureSocket::shake_hands(socket, config).ok()?;
                    let session = &socket.stream.conn;
                    let greeting = Greeting {
                        name: session.server_name().map(str::to_owned),
                        protocol: session.alpn_protocol().map(<[u8]>::to_vec),
                        has_certificate: session.peer_certificates().is_some(),
                        resumes: session.handshake_kind() == Some(HandshakeKind::Resumed),
                    };
                    greet.send(greeting).ok()?;
                    script(&mut socket).ok()
                });
            }
        });
        SecureOrigin { address, greeted: Mutex::new(greeted) }
    }

    /// Answers every request with this, on as many as a connection has.
    pub(crate) fn answering(config: Arc<ServerConfig>, response: &'static str) -> Self {
        Self::scripted(config, move |socket| {
            loop {
                socket.read_head()?;
                socket.write(response.as_bytes())?;
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the next handshake told.
    pub(crate) fn greeting(&self) -> Greeting {
        self.greeted.lock().unwrap().recv_timeout(PATIENCE).expect("a handshake")
    }

    /// Whether there was another handshake that nobody asked about.
    pub(crate) fn was_greeted_again(&self) -> bool {
        self.greeted.lock().unwrap().try_recv().is_ok()
    }
}

impl SecureSocket {
    fn shake_hands(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(SecureSocket { stream, input: Vec::new() })
    }

    /// The head of the next request.
    pub(crate) fn read_head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                let rest = self.input.split_off(end + 4);
                let head = std::mem::replace(&mut self.input, rest);
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            self.read_more()?;
        }
    }

    /// So many octets of what follows.
    pub(crate) fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < count {
            self.read_more()?;
        }
        let rest = self.input.split_off(count);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    /// Says that the session ends, as TLS has it; without it, dropping the socket cuts it off.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.stream.conn.send_close_notify();
        self.stream.flush()
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.input.extend_from_slice(&piece[..n]);
                Ok(())
            }
        }
    }
}
