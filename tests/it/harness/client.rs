//! A client that sends exact bytes.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};

use socket2::{Domain, Socket, Type};

use super::{Message, PATIENCE, Wire};

/// A blocking connection to weir. Sends what it is told, byte for byte, and reads answers strictly.
#[derive(Debug)]
pub(crate) struct RawClient(Wire);

impl RawClient {
    #[track_caller]
    pub(crate) fn connect(to: SocketAddr) -> Self {
        Self::try_connect(to).expect("weir accepts a connection")
    }

    pub(crate) fn try_connect(to: SocketAddr) -> io::Result<Self> {
        TcpStream::connect_timeout(&to, PATIENCE).map(|stream| RawClient(Wire::new(stream)))
    }

    /// Connects from another loopback address, such as `127.0.0.7`: to weir, another client.
    #[track_caller]
    pub(crate) fn connect_from(from: &str, to: SocketAddr) -> Self {
        let local: SocketAddr = format!("{from}:0").parse().unwrap();
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.bind(&local.into()).unwrap();
        socket.connect(&to.into()).expect("weir accepts a connection");
        RawClient(Wire::new(socket.into()))
    }

    /// Connects with a receive buffer of about `bytes`: a client that takes little at a time.
    #[track_caller]
    pub(crate) fn connect_with_small_window(to: SocketAddr, bytes: usize) -> Self {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        socket.connect(&to.into()).expect("weir accepts a connection");
        RawClient(Wire::new(socket.into()))
    }

    /// One `GET` on a connection of its own, read to its end.
    #[track_caller]
    pub(crate) fn get(to: SocketAddr, target: &str) -> Message {
        let mut client = Self::connect(to);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"));
        client.response()
    }

    /// Sends a request and reads its answer; the connection stays usable.
    #[track_caller]
    pub(crate) fn exchange(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request);
        self.response()
    }

    /// The next response; panics when none comes.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Message {
        self.try_response().expect("an answer arrives whole").expect("an answer before the connection ends")
    }

    /// The next response; `None` when the connection ended before one began.
    pub(crate) fn try_response(&mut self) -> io::Result<Option<Message>> {
        match self.0.try_read_head()? {
            Some(head) => Message::response(head, &mut self.0, false).map(Some),
            None => Ok(None),
        }
    }

    /// The next response, which answers a `HEAD` request and so has no body (RFC 9110 §9.3.2).
    #[track_caller]
    pub(crate) fn response_to_head(&mut self) -> Message {
        let head = self.read_head().expect("an answer before the connection ends");
        Message::response(head, &mut self.0, true).unwrap()
    }

    /// Only the head of the next response; its body is left on the wire.
    #[track_caller]
    pub(crate) fn response_head(&mut self) -> Message {
        Message::of_head(self.read_head().expect("an answer before the connection ends"))
    }

    /// Ends the connection with a reset, as a client that vanished.
    pub(crate) fn vanish(self) {
        self.0.reset();
    }
}

impl Deref for RawClient {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.0
    }
}

impl DerefMut for RawClient {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.0
    }
}
