//! The help centre behind a socket, on a thread of its own: an app with few workers, like most.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Answer, Library, Work, answer};
use hyper_util::rt::TokioIo;

/// How many requests the app works on at once; the rest wait. This is what a flood exhausts.
pub(super) const WORKERS: usize = 4;

const FORM_BYTES_MAX: usize = 4 * 1024;

/// The running site. It lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub address: SocketAddr,
}

impl Site {
    /// Listens on a loopback port that the kernel picks, and serves it from a new thread.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("demo-site".into());
        thread.spawn(move || runtime.block_on(serve(listener)))?;
        Ok(Site { address })
    }
}

#[derive(Debug)]
struct App {
    library: Library,
    workers: Semaphore,
}

async fn serve(listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let app = Arc::new(App { library: Library::new(), workers: Semaphore::new(WORKERS) });
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // An accept that fails says something of that one connection, nothing of the listener.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let app = Arc::clone(&app);
        let service = service_fn(move |request| respond(Arc::clone(&app), request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn respond(app: Arc<App>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let form = Limited::new(body, FORM_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
    let query = head.uri.query().unwrap_or_default();
    let answer = answer(&app.library, &head.method, head.uri.path(), query, &form.unwrap_or_default());
    if answer.work != Work::File {
        let _worker = app.workers.acquire().await;
        tokio::time::sleep(answer.work.time()).await;
    }
    Ok(response(answer))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let caching = if answer.work == Work::File { "public, max-age=600" } else { "no-store" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Some(location) = answer.location {
        headers.insert(LOCATION, HeaderValue::from_static(location));
        headers.insert(SET_COOKIE, HeaderValue::from_static("session=demo; HttpOnly; SameSite=Lax; Path=/"));
    }
    response
}
