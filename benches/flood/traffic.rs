//! An app and many clients, as fast as one process can play them: requests are pipelined (RFC 9112 §9.3.2), and each
//! names its client in `X-Forwarded-For`.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::AddAssign;
use std::thread;
use std::time::Duration;

/// Requests that are on the way at once on one connection: few enough for the buffers of both sockets.
const BATCH: usize = 64;
/// As long as nobody waits unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// An app that answers every request with 200 and nothing else, until the process ends.
pub(crate) fn start_app() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream));
        }
    });
    Ok(address)
}

/// Weir sends one request at a time on a connection, and these have no body.
fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Unread::default();
    loop {
        while unread.take_head().is_none() {
            unread.fill(&mut stream)?;
        }
        stream.write_all(ANSWER)?;
    }
}

/// What was answered to requests of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    /// 200.
    pub(crate) admitted: u64,
    /// 429.
    pub(crate) refused: u64,
    /// Anything else.
    pub(crate) other: u64,
}

impl AddAssign for Answers {
    fn add_assign(&mut self, more: Answers) {
        self.admitted += more.admitted;
        self.refused += more.refused;
        self.other += more.other;
    }
}

/// Requests that are about to be sent, each of a kind: the place in `KINDS` under which its answer is counted.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    kinds: Vec<usize>,
}

impl Requests {
    /// A request of the client at this address.
    pub(crate) fn of_client(&mut self, address: u32, kind: usize) {
        let address = Ipv4Addr::from(address);
        let written = write!(self.bytes, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n");
        debug_assert!(written.is_ok(), "memory takes everything");
        self.kinds.push(kind);
    }

    /// The same with the credential of an account.
    pub(crate) fn of_account(&mut self, address: u32, token: &str, kind: usize) {
        self.of_client(address, kind);
        self.bytes.truncate(self.bytes.len() - 2);
        self.bytes.extend_from_slice(b"Authorization: Bearer ");
        self.bytes.extend_from_slice(token.as_bytes());
        self.bytes.extend_from_slice(b"\r\n\r\n");
    }
}

/// Plays turns `0..count` on several connections, each turn on one of them, and counts the answers by kind.
pub(crate) fn play<const KINDS: usize>(
    to: SocketAddr,
    connections: usize,
    count: u64,
    turn: impl Fn(u64, &mut Requests) + Sync,
) -> io::Result<[Answers; KINDS]> {
    let turn = &turn;
    thread::scope(|scope| {
        let turns = |first: usize| (0..count).skip(first).step_by(connections);
        let players = (0..connections).map(|first| scope.spawn(move || play_some(to, turns(first), turn)));
        let players: Vec<_> = players.collect();
        let mut sum = [Answers::default(); KINDS];
        for player in players {
            let answers: [_; KINDS] = player.join().map_err(|_| io::Error::other("a player panicked"))??;
            sum.iter_mut().zip(answers).for_each(|(sum, more)| *sum += more);
        }
        Ok(sum)
    })
}

fn play_some<const KINDS: usize>(
    to: SocketAddr,
    turns: impl Iterator<Item = u64>,
    turn: impl Fn(u64, &mut Requests),
) -> io::Result<[Answers; KINDS]> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut unread, mut answers) = (Unread::default(), [Answers::default(); KINDS]);
    let (mut requests, mut turns) = (Requests::default(), turns.peekable());
    while turns.peek().is_some() {
        while requests.kinds.len() < BATCH
            && let Some(number) = turns.next()
        {
            turn(number, &mut requests);
        }
        stream.write_all(&requests.bytes)?;
        for kind in requests.kinds.drain(..) {
            let status = unread.answer(&mut stream)?;
            match status {
                200 => answers[kind].admitted += 1,
                429 => answers[kind].refused += 1,
                _ => answers[kind].other += 1,
            }
        }
        requests.bytes.clear();
    }
    Ok(answers)
}

/// What was received and not looked at yet.
#[derive(Debug, Default)]
struct Unread {
    bytes: Vec<u8>,
    /// Where it begins.
    from: usize,
}

impl Unread {
    /// The status of the next answer, whose body is skipped.
    fn answer(&mut self, stream: &mut TcpStream) -> io::Result<u16> {
        let (status, length) = loop {
            if let Some(head) = self.take_head() {
                break parse(head).ok_or(io::ErrorKind::InvalidData)?;
            }
            self.fill(stream)?;
        };
        while self.bytes.len() - self.from < length {
            self.fill(stream)?;
        }
        self.from += length;
        Ok(status)
    }

    /// A head up to its empty line, if it has come whole.
    fn take_head(&mut self) -> Option<&[u8]> {
        let rest = &self.bytes[self.from..];
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        self.from += end;
        Some(&self.bytes[self.from - end..self.from])
    }

    fn fill(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.bytes.drain(..self.from);
        self.from = 0;
        let mut chunk = [0; 16 << 10];
        match stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.bytes.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

/// Status and length of an answer.
fn parse(head: &[u8]) -> Option<(u16, usize)> {
    let head = str::from_utf8(head).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let lengths = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some((status, lengths.next()?.1.parse().ok()?))
}
