//! Small writes leave together, at the end of a worker's turn.
//!
//! A worker that writes as it goes wakes the app's process, then a client's, then the app's again, and each wake-up
//! is a good part of what a small request costs. Here everything that one turn of the event loop has to say to
//! servers leaves first, then everything for clients: whoever was woken by the first write finds the others there.
//! HAProxy orders its turns the same way. An idle worker's turn is one request long, so nothing waits for company.
//!
//! A write that was kept counts as written. Where the kernel then does not take it, the socket is *stuck*: a task of
//! its own sends the rest, and the connection, which is woken, can neither write nor flush until that is done.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

use super::stream::{ReadHalf, Stream, WriteHalf};

/// What one socket may have waiting. Larger writes go out at once: copying them would cost more than it saves.
const WAITING_MAX: usize = 8 * 1024;

/// Buffers that are kept for later turns.
const SPARES_MAX: usize = 64;

/// Whom a socket leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Client,
    Server,
}

/// A plain socket, TCP or Unix, whose small writes wait for the end of the turn.
#[derive(Debug)]
pub struct Socket {
    reader: ReadHalf,
    outgoing: Arc<Outgoing>,
    peer: Peer,
}

/// Sends what waits on this thread, turn after turn. Until it runs nothing waits here; when it is dropped, what waited
/// is sent.
pub(super) async fn send_each_turn() {
    let _close = CloseOnDrop;
    let mut batch: Vec<Arc<Outgoing>> = Vec::new();
    // Unconstrained: a turn may have more sockets than tokio lets a task use at a time.
    unconstrained(poll_fn(|cx| {
        OUTBOX.with_borrow_mut(|outbox| {
            outbox.sender.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
            batch.append(&mut outbox.servers);
            batch.append(&mut outbox.clients);
        });
        for outgoing in batch.drain(..) {
            outgoing.depart(cx);
        }
        Poll::<()>::Pending
    }))
    .await;
}

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::default();
}

/// What one worker has to send when its turn ends.
#[derive(Debug, Default)]
struct Outbox {
    /// Wakes [`send_each_turn`]; `None` where that does not run.
    sender: Option<Waker>,
    servers: Vec<Arc<Outgoing>>,
    clients: Vec<Arc<Outgoing>>,
    spares: Vec<Vec<u8>>,
}

struct CloseOnDrop;

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let Outbox { servers, clients, .. } = OUTBOX.take();
        for outgoing in servers.iter().chain(&clients) {
            // Nobody is left to wait for a socket that is full.
            let _ = outgoing.inner.lock().poll_send(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// The writing half of a socket. The outbox holds on to it while something waits, so that what was kept is sent even
/// where the connection ends in the same turn.
#[derive(Debug)]
struct Outgoing {
    inner: Mutex<Inner>,
    /// The turn ended and the socket took less than all, or broke.
    stuck: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    half: WriteHalf,
    waiting: Vec<u8>,
    /// How much of `waiting` is sent.
    sent: usize,
    failed: Option<io::ErrorKind>,
    /// The connection: woken when the socket gets stuck, and when it no longer is. `None` once that is gone, and with
    /// it everyone who would end a wait for a peer that takes nothing.
    writer: Option<Waker>,
}

impl Outgoing {
    /// The turn is over: what waits is sent.
    fn depart(self: &Arc<Self>, cx: &mut Context<'_>) {
        if self.is_stuck() {
            return;
        }
        let mut inner = self.inner.lock();
        let sent = inner.poll_send(cx);
        if sent.is_pending() && inner.writer.is_some() {
            let rest = Arc::clone(self);
            tokio::spawn(poll_fn(move |cx| rest.poll_rest(cx)));
        }
        if sent.is_pending() || inner.failed.is_some() {
            self.stuck.store(true, Ordering::Relaxed);
            inner.wake_writer();
        }
    }

    /// Sends what a stuck socket did not take.
    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        ready!(inner.poll_send(cx));
        self.stuck.store(inner.failed.is_some(), Ordering::Relaxed);
        inner.wake_writer();
        Poll::Ready(())
    }

    /// Changes only under the lock, and the connection is woken when it does.
    fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Ready when nothing waits any more, be it that it was sent or that the socket failed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.sent < self.waiting.len() && self.failed.is_none() {
            match ready!(Pin::new(&mut self.half).poll_write(cx, &self.waiting[self.sent..])) {
                Ok(0) => self.failed = Some(io::ErrorKind::WriteZero),
                Ok(n) => self.sent += n,
                Err(error) => self.failed = Some(error.kind()),
            }
        }
        self.sent = 0;
        OUTBOX.with_borrow_mut(|outbox| outbox.take_back(std::mem::take(&mut self.waiting)));
        Poll::Ready(())
    }

    /// The same before the connection goes on itself. Pending: the end of the turn finds it waiting and sees to it.
    fn poll_send_ahead(&mut self, is_stuck: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() && (is_stuck || self.poll_send(cx).is_pending()) {
            self.note_writer(cx);
            return Poll::Pending;
        }
        Poll::Ready(self.failed.map_or(Ok(()), |kind| Err(kind.into())))
    }

    fn note_writer(&mut self, cx: &Context<'_>) {
        self.writer.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
    }

    fn wake_writer(&self) {
        if let Some(writer) = &self.writer {
            writer.wake_by_ref();
        }
    }
}

impl Outbox {
    /// Has `outgoing` sent when the turn ends.
    fn put(&mut self, outgoing: &Arc<Outgoing>, peer: Peer) {
        if self.servers.is_empty()
            && self.clients.is_empty()
            && let Some(sender) = &self.sender
        {
            sender.wake_by_ref();
        }
        let queue = match peer {
            Peer::Client => &mut self.clients,
            Peer::Server => &mut self.servers,
        };
        queue.push(Arc::clone(outgoing));
    }

    fn take_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0 && self.spares.len() < SPARES_MAX {
            buffer.clear();
            self.spares.push(buffer);
        }
    }
}

impl Socket {
    pub fn new(stream: impl Into<Stream>, peer: Peer) -> Self {
        let (reader, half) = stream.into().into_split();
        let inner = Inner { half, waiting: Vec::new(), sent: 0, failed: None, writer: None };
        let outgoing = Arc::new(Outgoing { inner: Mutex::new(inner), stuck: AtomicBool::new(false) });
        Socket { reader, outgoing, peer }
    }

    /// Whether nothing has come from the peer, its end neither. A byte that did come is lost: the connection is not for
    /// use any more. Asks the kernel only where something was heard of the socket.
    pub fn is_quiet(&self) -> bool {
        let read = self.reader.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Keeps `bufs` for the end of the turn; false where turns have no end.
    fn keep(&self, inner: &mut Inner, bufs: &[IoSlice<'_>]) -> bool {
        OUTBOX.with_borrow_mut(|outbox| {
            if outbox.sender.is_none() {
                return false;
            }
            if inner.waiting.is_empty() {
                outbox.put(&self.outgoing, self.peer);
                inner.waiting = outbox.spares.pop().unwrap_or_default();
            }
            for piece in bufs {
                inner.waiting.extend_from_slice(piece);
            }
            true
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut inner = self.outgoing.inner.lock();
        inner.writer = None;
        if self.outgoing.is_stuck() {
            // Ends the task that waits for the socket to take the rest. That fails only where the socket has ended.
            let _ = SockRef::from(&inner.half).shutdown(Shutdown::Both);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.outgoing.inner.lock();
        let is_stuck = self.outgoing.is_stuck();
        let len = bufs.iter().map(|piece| piece.len()).sum::<usize>();
        if !is_stuck && inner.waiting.len() + len <= WAITING_MAX && self.keep(&mut inner, bufs) {
            inner.note_writer(cx);
            return Poll::Ready(Ok(len));
        }
        ready!(inner.poll_send_ahead(is_stuck, cx))?;
        Pin::new(&mut inner.half).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.outgoing.is_stuck() {
            return Poll::Ready(Ok(()));
        }
        self.outgoing.inner.lock().poll_send_ahead(self.outgoing.is_stuck(), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.outgoing.inner.lock();
        ready!(inner.poll_send_ahead(self.outgoing.is_stuck(), cx))?;
        Pin::new(&mut inner.half).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::sync::Weak;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::task::{spawn_blocking, yield_now};

    use super::*;

    /// A socket under test, and its peer outside.
    fn pair(peer: Peer) -> (Socket, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        (Socket::new(TcpStream::from_std(ours).unwrap(), peer), theirs)
    }

    /// What has arrived by now.
    fn arrived(peer: &mut std::net::TcpStream) -> Vec<u8> {
        peer.set_nonblocking(true).unwrap();
        let mut bytes = Vec::new();
        let error = peer.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        bytes
    }

    /// Starts sending, and lets the socket become known as writable.
    async fn begin(socket: &Socket) {
        tokio::spawn(send_each_turn());
        let ReadHalf::Tcp(half) = &socket.reader else { panic!("TCP") };
        half.as_ref().writable().await.unwrap();
        yield_now().await;
    }

    /// Fills a socket whose peer does not read until a write has to wait; returns how much went in.
    async fn fill(socket: &mut Socket) -> usize {
        SockRef::from(&socket.reader).set_send_buffer_size(4096).unwrap();
        let mut len = 0;
        loop {
            let piece = vec![b'x'; 1000];
            match poll_fn(|cx| Poll::Ready(Pin::new(&mut *socket).poll_write(cx, &piece))).await {
                Poll::Ready(written) => len += written.unwrap(),
                Poll::Pending => return len,
            }
            yield_now().await;
        }
    }

    async fn poll_flush_once(socket: &mut Socket) -> Poll<io::Result<()>> {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *socket).poll_flush(cx))).await
    }

    /// Promise: small writes leave when the turn ends, those to servers first, and none before.
    #[tokio::test]
    async fn small_writes_wait_for_the_end_of_the_turn() {
        let (mut client, mut browser) = pair(Peer::Client);
        let (mut server, mut app) = pair(Peer::Server);
        begin(&client).await;
        begin(&server).await;
        client.write_all(b"a response, ").await.unwrap();
        server.write_all(b"a request").await.unwrap();
        client.write_all(b"in two pieces").await.unwrap();
        assert!(arrived(&mut browser).is_empty() && arrived(&mut app).is_empty());
        OUTBOX.with_borrow(|outbox| assert_eq!((outbox.servers.len(), outbox.clients.len()), (1, 1)));
        yield_now().await;
        assert_eq!(arrived(&mut app), b"a request");
        assert_eq!(arrived(&mut browser), b"a response, in two pieces");
    }

    /// Promise: where no worker runs, nothing waits for one.
    #[tokio::test]
    async fn writes_at_once_where_nobody_sends() {
        let (mut client, mut browser) = pair(Peer::Client);
        client.write_all(b"now").await.unwrap();
        assert_eq!(arrived(&mut browser), b"now");
    }

    /// Promise: whatever the sizes, and however slow the peer, bytes arrive in order and none is lost.
    #[tokio::test]
    async fn bytes_arrive_in_order() {
        let (mut client, mut browser) = pair(Peer::Client);
        begin(&client).await;
        SockRef::from(&client.reader).set_send_buffer_size(4096).unwrap();
        let read = spawn_blocking(move || {
            let mut bytes = Vec::new();
            browser.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut random = fastrand::Rng::with_seed(7);
        let mut sent = Vec::new();
        for round in 0..300 {
            let len = if round % 10 == 0 { random.usize(..100_000) } else { random.usize(1..3000) };
            let piece: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
            client.write_all(&piece).await.unwrap();
            sent.extend(piece);
            if random.bool() {
                yield_now().await;
            }
        }
        client.shutdown().await.unwrap();
        assert!(read.await.unwrap().unwrap() == sent);
    }

    /// Promise: a connection whose peer takes nothing hears of it, and goes on once it does.
    #[tokio::test]
    async fn a_stuck_socket_waits_and_goes_on() {
        let (mut client, mut browser) = pair(Peer::Client);
        begin(&client).await;
        let len = fill(&mut client).await;
        assert!(poll_flush_once(&mut client).await.is_pending());
        let reader = spawn_blocking(move || {
            let mut bytes = vec![0; len];
            browser.read_exact(&mut bytes).map(|()| browser)
        });
        client.flush().await.unwrap();
        let mut browser = reader.await.unwrap().unwrap();
        client.write_all(b"more").await.unwrap();
        yield_now().await;
        assert_eq!(arrived(&mut browser), b"more");
    }

    /// Promise: a peer that is gone is an error of the connection, though the write had been taken.
    #[tokio::test]
    async fn a_write_that_fails_reaches_the_connection() {
        let (mut client, browser) = pair(Peer::Client);
        begin(&client).await;
        SockRef::from(&browser).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(browser);
        client.write_all(b"nobody reads this").await.unwrap();
        yield_now().await;
        assert!(matches!(poll_flush_once(&mut client).await, Poll::Ready(Err(_))));
        assert!(client.write_all(b"nor this").await.is_err());
        assert!(client.shutdown().await.is_err());
    }

    /// Promise: what a connection wrote before it ended is sent.
    #[tokio::test]
    async fn a_dropped_socket_sends_what_waits() {
        let (mut client, mut browser) = pair(Peer::Client);
        begin(&client).await;
        client.write_all(b"last words").await.unwrap();
        drop(client);
        yield_now().await;
        let mut bytes = Vec::new();
        browser.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"last words");
    }

    /// Promise: a connection that is given up waits no longer for a peer that takes nothing.
    #[tokio::test]
    async fn a_stuck_socket_ends_with_its_connection() {
        let (mut client, mut browser) = pair(Peer::Client);
        begin(&client).await;
        fill(&mut client).await;
        let outgoing: Weak<Outgoing> = Arc::downgrade(&client.outgoing);
        drop(client);
        while outgoing.strong_count() > 0 {
            yield_now().await;
        }
        assert!(io::copy(&mut browser, &mut io::sink()).is_ok(), "closed, though not everything was sent");
    }

    /// Promise: a worker that stops sends what was written before.
    #[test]
    fn nothing_is_lost_when_the_worker_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut browser = runtime.block_on(async {
            let (mut client, browser) = pair(Peer::Client);
            begin(&client).await;
            client.write_all(b"last words").await.unwrap();
            browser
        });
        drop(runtime);
        let mut bytes = Vec::new();
        browser.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"last words");
    }
}
