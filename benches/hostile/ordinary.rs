//! Ordinary clients: requests at a fixed rate, on connections that are kept and on fresh ones.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Connections that are kept.
const KEPT: u32 = 20;
/// Longer than any request should take.
const PATIENCE: Duration = Duration::from_secs(10);
const KEEP: &[u8] = b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";

/// What ordinary clients ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) to: SocketAddr,
    /// Requests a second on kept connections.
    pub(crate) rate: u64,
    /// Requests a second on a connection each.
    pub(crate) fresh: u64,
}

/// From when each request was due to the end of its answer.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// In milliseconds, sorted.
    ms: Vec<f64>,
    pub(crate) failed: usize,
}

/// What ordinary clients met in one phase.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) kept: Latencies,
    pub(crate) fresh: Latencies,
}

impl Latencies {
    pub(crate) fn answered(&self) -> usize {
        self.ms.len()
    }

    /// The latency in milliseconds that this share of requests did not exceed.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few hundred thousand"
    )]
    pub(crate) fn at(&self, share: f64) -> f64 {
        let place = (self.ms.len() as f64 * share).ceil() as usize;
        self.ms.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// `None`: it was not answered.
    fn add(&mut self, taken: Option<Duration>) {
        match taken {
            Some(taken) => self.ms.push(taken.as_secs_f64() * 1e3),
            None => self.failed += 1,
        }
    }

    fn merge(&mut self, other: Latencies) {
        self.ms.extend(other.ms);
        self.failed += other.failed;
    }
}

impl Load {
    /// Asks for as long as `phase`.
    pub(crate) fn play(self, phase: Duration) -> io::Result<Met> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(async {
            let start = now();
            let (mut kept, mut met) =
                (JoinSet::new(), Met { kept: Latencies::default(), fresh: Latencies::default() });
            let every = Duration::from_secs(1) * KEPT / u32::try_from(self.rate.max(1)).unwrap_or(u32::MAX);
            for nth in 0..KEPT {
                // Not all at once.
                let first = start + every * nth / KEPT;
                kept.spawn(ask_on_one(self.to, first, every, start + phase));
            }
            let mut fresh = tokio::spawn(ask_on_fresh_ones(self, start, start + phase));
            while let Some(latencies) = kept.join_next().await {
                met.kept.merge(latencies.unwrap_or_default());
            }
            met.fresh.merge((&mut fresh).await.unwrap_or_default());
            for latencies in [&mut met.kept, &mut met.fresh] {
                latencies.ms.sort_by(f64::total_cmp);
            }
            met
        }))
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

/// One request after the other on one connection, each at its time or as soon after it as the one before lets.
async fn ask_on_one(to: SocketAddr, first: Instant, every: Duration, end: Instant) -> Latencies {
    let mut latencies = Latencies::default();
    let (mut due, mut stream) = (first, None);
    while due < end {
        sleep_until(due).await;
        let answered = timeout(PATIENCE, async {
            let stream = match &mut stream {
                Some(stream) => stream,
                None => stream.insert(connect(to).await?),
            };
            ask(stream, KEEP).await
        });
        let answered = answered.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
        if answered.is_err() {
            stream = None;
        }
        latencies.add(answered.ok().map(|()| now() - due));
        due += every;
    }
    latencies
}

/// Each request on a connection of its own, however many of them wait.
async fn ask_on_fresh_ones(load: Load, start: Instant, end: Instant) -> Latencies {
    let mut latencies = Latencies::default();
    let (mut asked, mut due) = (JoinSet::new(), start);
    let every = Duration::from_secs(1) / u32::try_from(load.fresh.max(1)).unwrap_or(u32::MAX);
    while due < end {
        sleep_until(due).await;
        asked.spawn(async move {
            let answered = timeout(PATIENCE, async { ask(&mut connect(load.to).await?, CLOSE).await }).await;
            answered.is_ok_and(|answered| answered.is_ok()).then(|| now() - due)
        });
        due += every;
    }
    while let Some(taken) = asked.join_next().await {
        latencies.add(taken.unwrap_or_default());
    }
    latencies
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request, and its answer of 100 bytes to the last of them.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    stream.write_all(request).await?;
    let (mut answer, mut len) = ([0; 2048], 0);
    loop {
        let read = stream.read(answer.get_mut(len..).unwrap_or_default()).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        len += read;
        let so_far = answer.get(..len).unwrap_or_default();
        if let Some(head) = memchr::memmem::find(so_far, b"\r\n\r\n")
            && len >= head + 4 + 100
        {
            let is_ok = so_far.starts_with(b"HTTP/1.1 200 ");
            return if is_ok { Ok(()) } else { Err(io::Error::other("another answer")) };
        }
    }
}
