//! The listener itself: few connections, none of them for long.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::Endless;
use super::asked::Asked;
use super::{Admin, answer, endpoints};

/// More wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;

/// Of a POST.
const BODY_BYTES_MAX: usize = 4096;

/// For each request head, and so also for a connection that asks nothing; and again for a body.
const HEAD_READ_MAX: Duration = Duration::from_secs(10);

/// After this a connection ends with its response; a scraper opens another.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);

/// How long a response may still take then.
const LAST_RESPONSE_MAX: Duration = Duration::from_secs(10);

/// How long to leave the operating system alone after it could not hand over a connection.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Answers on `listener` until `stop` is ready, then drops what is open.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped on return, which ends every connection in it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, from, place)) = accepted else { continue };
        let admin = Arc::clone(&admin);
        connections.spawn(async move {
            answer(stream, from, &admin).await;
            drop(place);
        });
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, from)) => Some((stream, from.ip().to_canonical(), place)),
        Err(error) => {
            tracing::warn!(%error, "admin: no connection accepted");
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            None
        }
    }
}

async fn answer(stream: TcpStream, from: IpAddr, admin: &Arc<Admin>) {
    // Whether what is being answered ends by itself.
    let endless = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| async {
        let too_large = || {
            let detail = format!("A body holds at most {BODY_BYTES_MAX} bytes, and arrives in time.");
            answer::problem(StatusCode::PAYLOAD_TOO_LARGE, &detail, &[])
        };
        let asked = read(request, from).await;
        let answer = asked.map_or_else(too_large, |asked| endpoints::route(admin, &asked));
        endless.store(answer.extensions().get::<Endless>().is_some(), Ordering::Relaxed);
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = tokio::time::sleep(CONNECTION_AGE_MAX) => {
            connection.as_mut().graceful_shutdown();
            if endless.load(Ordering::Relaxed) {
                connection.await
            } else {
                tokio::time::timeout(LAST_RESPONSE_MAX, connection).await.unwrap_or(Ok(()))
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "admin: connection ended early");
    }
}

/// The request with its body; `None` if that is too large, too slow or broken.
async fn read(request: Request<Incoming>, from: IpAddr) -> Option<Asked> {
    let (parts, body) = request.into_parts();
    let body = if parts.method == Method::POST {
        let whole = Limited::new(body, BODY_BYTES_MAX).collect();
        tokio::time::timeout(HEAD_READ_MAX, whole).await.ok()?.ok()?.to_bytes()
    } else {
        Bytes::new()
    };
    Some(Asked::of(parts, body, from))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// Promise: it answers over real sockets, several requests on one connection, HEAD without a body, and
    /// ends when it is told to.
    #[test]
    fn serves_until_stopped() {
        let (address_sender, address) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                address_sender.send(listener.local_addr().unwrap()).unwrap();
                let admin = super::super::tests::admin(Vec::new());
                serve(listener, Arc::new(admin), async { drop(stopped.await) }).await;
            });
        });
        let mut client = std::net::TcpStream::connect(address.recv().unwrap()).unwrap();
        let requests = concat!(
            "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        );
        client.write_all(requests.as_bytes()).unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        let (head, get) = answers.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 6"), "{head}");
        assert!(get.starts_with("HTTP/1.1 200 OK\r\n") && get.ends_with("\r\n\r\nready\n"), "{get}");

        stop.send(()).unwrap();
        server.join().unwrap();
    }
}
