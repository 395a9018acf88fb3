//! A client of many kinds: it asks, waits or does not, and looks at what it gets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::sleep as pass;

use super::World;
use super::message::{Incoming, chunked, text};
use super::network::{End, Writer};

/// One request, and what it is known by.
#[derive(Debug)]
pub(super) struct Request {
    id: String,
    is_head: bool,
    bytes: Vec<u8>,
}

/// How a client behaves.
#[derive(Debug)]
struct Conduct {
    /// Sends a request before the one before it is answered.
    pipelines: bool,
    /// Seconds that it may be silent for, between two pieces.
    silent_max: u64,
    /// Sends so much of all that it has to say, and then nothing.
    stops_at: Option<usize>,
    /// And then leaves, rather than wait.
    quits: bool,
    /// Ends its half of the connection after its last request.
    ends: bool,
}

impl Request {
    fn pick(id: String, rng: &mut Rng) -> Self {
        let length = if rng.bool() { rng.usize(..100) } else { rng.usize(..40_000) };
        let body = text(&id, length);
        let head = |method: &str, fields: &str| {
            format!("{method} /{id} HTTP/1.1\r\nhost: a\r\n{fields}\r\n").into_bytes()
        };
        let (is_head, bytes) = match rng.u8(..10) {
            0..5 => (false, head("GET", "")),
            5 => (true, head("HEAD", "")),
            6..8 => {
                let fields = format!("x-upload: {length}\r\ncontent-length: {length}\r\n");
                (false, [head("POST", &fields), body].concat())
            }
            _ => {
                let fields = format!("x-upload: {length}\r\ntransfer-encoding: chunked\r\n");
                (false, [head("POST", &fields), chunked(&body, rng.usize(1..3000))].concat())
            }
        };
        Request { id, is_head, bytes }
    }

    /// A plain one.
    pub(super) fn get(id: &str) -> Self {
        let bytes = format!("GET /{id} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes();
        Request { id: id.to_owned(), is_head: false, bytes }
    }
}

impl Conduct {
    fn pick(requests: &[Request], rng: &mut Rng) -> Self {
        let all: usize = requests.iter().map(|request| request.bytes.len()).sum();
        Conduct {
            pipelines: rng.bool(),
            silent_max: [0, 0, 1, 20, 100][rng.usize(..5)],
            stops_at: (rng.u8(..100) < 25).then(|| rng.usize(..=all)),
            quits: rng.bool(),
            ends: rng.u8(..100) < 25,
        }
    }
}

/// Plays one connection to its end.
pub(super) async fn play(end: End, name: String, mut rng: Rng, world: World) {
    let count = rng.usize(1..=6);
    let requests: Vec<Request> =
        (0..count).map(|nth| Request::pick(format!("{name}-{nth}"), &mut rng)).collect();
    let conduct = Conduct::pick(&requests, &mut rng);
    let answered = Arc::new(Semaphore::new(1));
    let End { reader, writer } = end;
    let writing = write(writer, &requests, &conduct, &answered, &mut rng);
    let reading = async {
        let mut incoming = Incoming::new(reader);
        for request in &requests {
            let outcome = read(&mut incoming, request, &world).await;
            world.note(&request.id, &format!("{outcome:?}"));
            match outcome {
                Some(_) => answered.add_permits(1),
                None => break,
            }
        }
        answered.close();
    };
    if conduct.stops_at.is_some() && conduct.quits {
        tokio::select! { biased; () = writing => {}, () = reading => {} }
    } else {
        tokio::join!(biased; writing, reading);
    }
}

/// Sends requests as it is its way, until all are sent or nobody reads any more.
async fn write(
    mut writer: Writer,
    requests: &[Request],
    conduct: &Conduct,
    answered: &Semaphore,
    rng: &mut Rng,
) {
    let mut left = conduct.stops_at.unwrap_or(usize::MAX);
    let sending: io::Result<()> = async {
        for request in requests {
            if !conduct.pipelines {
                answered.acquire().await.map_err(io::Error::other)?.forget();
            }
            let mut rest = &request.bytes[..request.bytes.len().min(left)];
            left -= rest.len();
            while !rest.is_empty() {
                let (piece, later) =
                    rest.split_at(if rng.bool() { rest.len() } else { rng.usize(1..=rest.len()) });
                writer.write_all(piece).await?;
                rest = later;
                pass(Duration::from_millis(rng.u64(..=conduct.silent_max * 1000))).await;
            }
            if left == 0 {
                break;
            }
        }
        Ok(())
    }
    .await;
    if sending.is_ok() && !(conduct.ends && conduct.stops_at.is_none()) && !conduct.quits {
        // Holds the connection until the last answer, or the end.
        while answered.acquire().await.map(tokio::sync::SemaphorePermit::forget).is_ok() {}
    }
}

/// The status of an answer that is whole, and this request's; `None` where the connection ended first.
pub(super) async fn read<R: AsyncRead + Unpin>(
    incoming: &mut Incoming<R>,
    request: &Request,
    world: &World,
) -> Option<u16> {
    let head = loop {
        let head = incoming.head().await?;
        if !(100..200).contains(&head.status()) {
            break head;
        }
    };
    let status = head.status();
    let is_bodiless = request.is_head || matches!(status, 204 | 304);
    let body = if is_bodiless { Vec::new() } else { incoming.body(&head).await? };
    match head.field("x-answer").map(|answer| answer.split_once(' ').unwrap()) {
        Some((id, length)) => {
            assert_eq!(id, request.id, "the answer to another request");
            if !is_bodiless {
                assert!(
                    body == text(id, length.parse().unwrap()),
                    "{id}: {} of {length} bytes, or others",
                    body.len()
                );
            }
            assert!(world.has_asked(id), "an answer without a question");
        }
        None => assert!([400, 408, 413, 429, 502, 503, 504].contains(&status), "{head:?} for {request:?}"),
    }
    Some(status)
}

/// Sends one request and gives the status of its answer.
pub(super) async fn ask(end: End, request: &Request, world: &World) -> Option<u16> {
    let End { reader, mut writer } = end;
    writer.write_all(&request.bytes).await.ok()?;
    read(&mut Incoming::new(reader), request, world).await
}
