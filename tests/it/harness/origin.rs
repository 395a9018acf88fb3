//! A scripted app behind weir.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::{Message, PATIENCE, Wire};

/// An origin on a loopback port of its own. Every connection runs the script on a thread of its own; every
/// request that the script reads is recorded, and [`next_request`](Self::next_request) hands them out in
/// order of arrival.
#[derive(Debug)]
pub(crate) struct RawOrigin {
    address: SocketAddr,
    requests: Mutex<Receiver<Message>>,
    connections: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    told: Sender<()>,
}

impl RawOrigin {
    /// Runs `script` for each connection.
    pub(crate) fn scripted(script: impl Fn(&mut OriginConn) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, script)
    }

    /// Runs `script` on a listener that the caller made, for origins that appear late.
    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(&mut OriginConn) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (record, requests) = channel();
        let (told, tell) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let (counter, stop) = (Arc::clone(&connections), Arc::clone(&stopped));
        let shared = Shared { record, told: Arc::new(Mutex::new(tell)) };
        thread::spawn(move || accept_all(&listener, &Arc::new(script), &shared, &counter, &stop));
        RawOrigin { address, requests: Mutex::new(requests), connections, stopped, told }
    }

    /// Answers every request with exactly `response`.
    pub(crate) fn answering(response: impl AsRef<[u8]>) -> Self {
        let response = response.as_ref().to_vec();
        Self::scripted(move |conn| {
            while conn.read_request().is_some() {
                conn.send(&response);
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that arrived; fails the test when none does.
    #[track_caller]
    pub(crate) fn next_request(&self) -> Message {
        self.requests.lock().unwrap().recv_timeout(PATIENCE).expect("a request reaches the origin")
    }

    /// Whether no request is recorded that was not handed out yet. Only conclusive once weir has answered.
    #[track_caller]
    pub(crate) fn expect_no_request(&self) {
        if let Ok(request) = self.requests.lock().unwrap().try_recv() {
            panic!("reached the origin: {:?}", String::from_utf8_lossy(&request.head));
        }
    }

    /// Answers each request with 200, but only when [`tell`](Self::tell) was called once for it.
    pub(crate) fn answering_when_told() -> Self {
        Self::scripted(|conn| {
            while conn.read_request().is_some() && conn.await_told() {
                conn.answer("told");
            }
        })
    }

    /// Lets one waiting [`await_told`](OriginConn::await_told) go on, now or later: of several, any.
    pub(crate) fn tell(&self) {
        self.told.send(()).unwrap();
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees that it is to stop.
        drop(TcpStream::connect(self.address));
    }
}

/// One connection from weir, in the hands of a script.
#[derive(Debug)]
pub(crate) struct OriginConn {
    wire: Option<Wire>,
    /// 0 for the origin's first connection.
    pub(crate) number: usize,
    shared: Shared,
}

/// What all connections of one origin have in common.
#[derive(Clone, Debug)]
struct Shared {
    record: Sender<Message>,
    told: Arc<Mutex<Receiver<()>>>,
}

impl OriginConn {
    /// The next request, body and all; `None` when weir ended the connection.
    pub(crate) fn read_request(&mut self) -> Option<Message> {
        let head = self.try_read_head().ok()??;
        let message = Message::request(head, self).ok()?;
        self.note(&message);
        Some(message)
    }

    /// Only the head of the next request; its body is left on the wire.
    pub(crate) fn read_request_head(&mut self) -> Option<Message> {
        let message = Message::of_head(self.try_read_head().ok()??);
        self.note(&message);
        Some(message)
    }

    /// Answers 200 with `body`, framed by Content-Length.
    pub(crate) fn answer(&mut self, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        response.extend_from_slice(body);
        // The client may have gone meanwhile, and weir's connection with it: not the origin's fault.
        drop(self.try_send(response));
    }

    /// Waits for the test's [`tell`](RawOrigin::tell); `false` when the test is over.
    pub(crate) fn await_told(&self) -> bool {
        self.shared.told.lock().is_ok_and(|told| told.recv().is_ok())
    }

    /// Sends without end until weir takes no more because it has closed or reset the connection.
    pub(crate) fn send_pattern_until_gone(&mut self) {
        while self.try_send([0; 16 * 1024]).is_ok() {}
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.reset();
        }
    }

    fn note(&self, message: &Message) {
        // Nobody listens once the test has ended.
        drop(self.shared.record.send(message.clone()));
    }
}

impl Deref for OriginConn {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        self.wire.as_ref().expect("the script uses the connection after its reset")
    }
}

impl DerefMut for OriginConn {
    fn deref_mut(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("the script uses the connection after its reset")
    }
}

/// The script of a well-behaved app: answers every request with its own head and body.
pub(crate) fn echo(conn: &mut OriginConn) {
    while let Some(request) = conn.read_request() {
        let mut body = request.head;
        body.extend(request.body);
        conn.answer(body);
    }
}

/// An address at which nobody listens yet, and which nobody else can take meanwhile.
#[derive(Debug)]
pub(crate) struct Vacant(Socket);

impl Vacant {
    pub(crate) fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Vacant(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    /// Begins to listen there.
    pub(crate) fn listen(self) -> TcpListener {
        self.0.listen(64).unwrap();
        self.0.into()
    }
}

fn accept_all(
    listener: &TcpListener,
    script: &Arc<impl Fn(&mut OriginConn) + Send + Sync + 'static>,
    shared: &Shared,
    counter: &AtomicUsize,
    stop: &AtomicBool,
) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let (script, shared) = (Arc::clone(script), shared.clone());
        thread::spawn(move || script(&mut OriginConn { wire: Some(Wire::new(stream)), number, shared }));
    }
}
