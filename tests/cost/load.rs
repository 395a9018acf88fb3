//! A client and an app that allocate nothing once they are connected, so that whatever is counted is weir's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A browser's request, but for its cookies.
const REQUEST: &[u8] = b"GET /articles/17?page=2 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/articles\r\n\
    Connection: keep-alive\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 12\r\n\r\nhello world\n";

const BUFFER_BYTES: usize = 8 * 1024;

/// Starts an app that answers every request alike, for as long as the process runs.
pub(crate) fn start_app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer_all(stream));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; BUFFER_BYTES];
    let mut held = 0;
    loop {
        match stream.read(buffer.get_mut(held..).unwrap_or_default())? {
            0 => return Ok(()),
            read => held += read,
        }
        // A request has no body here, and the next comes after the answer.
        if buffer[..held].ends_with(b"\r\n\r\n") {
            stream.write_all(ANSWER)?;
            held = 0;
        }
    }
}

/// Connections of ordinary clients, all asked on before any is read.
pub(crate) struct Clients(Vec<TcpStream>);

impl Clients {
    pub(crate) fn connect(to: SocketAddr, count: usize) -> Self {
        let connect = || {
            let mut stream = TcpStream::connect(to).unwrap();
            stream.set_nodelay(true).unwrap();
            // The first may be answered otherwise than all others.
            stream.write_all(REQUEST).unwrap();
            read_answer(&mut stream, &mut [0; BUFFER_BYTES]);
            stream
        };
        Clients((0..count).map(|_| connect()).collect())
    }

    /// So many requests on each connection, answered with this status.
    pub(crate) fn ask(&mut self, rounds: u32, status: u16) {
        for _ in 0..rounds {
            for stream in &mut self.0 {
                stream.write_all(REQUEST).unwrap();
            }
            for stream in &mut self.0 {
                let mut buffer = [0; BUFFER_BYTES];
                let head = read_answer(stream, &mut buffer);
                let digits = head[9..12].iter();
                let answered = digits.fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
                assert_eq!(answered, status, "{}", String::from_utf8_lossy(head));
            }
        }
    }
}

/// Reads one whole answer, which has a length.
fn read_answer<'a>(stream: &mut TcpStream, buffer: &'a mut [u8; BUFFER_BYTES]) -> &'a [u8] {
    let mut held = 0;
    loop {
        let read = stream.read(&mut buffer[held..]).unwrap();
        assert_ne!(read, 0, "the connection was closed");
        held += read;
        let Some(end) = buffer[..held].windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if held == end + 4 + body_length(&buffer[..end]) {
            return &buffer[..end];
        }
    }
}

fn body_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let at = head.windows(NAME.len()).position(|bytes| bytes.eq_ignore_ascii_case(NAME)).unwrap();
    let digits = head[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
