//! weir's reading against hyper's: whatever weir takes, hyper reads in the same way.

#![expect(clippy::unwrap_used, reason = "test helpers outside a test function")]

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use proptest::prelude::*;
use weir::proxy::head::HeadLimits;

use crate::reading::{Seen, read_at_once};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, header_count_max: 20, uri_bytes_max: 256 };

/// Gives hyper a client that says `input` and then nothing more, and collects the requests that it reads.
pub(crate) fn read_by_hyper(input: Vec<u8>) -> (Vec<Seen>, Result<(), hyper::Error>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let trailers = body.trailers().map_or(0, http::HeaderMap::len);
                seen.lock().unwrap().push(Seen {
                    method: head.method.to_string(),
                    target: head.uri.to_string(),
                    body: body.to_bytes().to_vec(),
                    trailers,
                });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let client = Client { input, at: 0 };
    let connection = http1::Builder::new().half_close(true).serve_connection(client, service);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let result = runtime.block_on(async {
        let mut connection = pin!(connection);
        poll_fn(|context| connection.as_mut().poll(context)).await
    });
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, result)
}

struct Client {
    input: Vec<u8>,
    at: usize,
}

impl Read for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let end = self.input.len().min(self.at + buffer.remaining());
        buffer.put_slice(&self.input[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl Write for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request as a client means it, and how it is written.
#[derive(Clone, Debug)]
struct Meant {
    seen: Seen,
    written: Vec<u8>,
}

fn request() -> impl Strategy<Value = Meant> {
    let method = prop::sample::select(vec!["GET", "POST", "DELETE", "PATCH", "X-OWN"]);
    let target = "(/[!-\"$-;=@-_a-~]{0,12}){1,3}(\\?[!$-;=?-~]{0,12})?";
    let fields =
        prop::collection::vec("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8}z:[ \t]{0,2}[!-~\u{80}-\u{ff} \t]{0,20}", 0..6);
    let chunks = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..4);
    (method, target, fields, chunks, any::<bool>(), 0..3_usize, "(;[a-z=\" ]{0,10})?").prop_map(
        |(method, target, fields, chunks, chunked, trailers, extension)| {
            let trailers = if chunked { trailers } else { 0 };
            let body = chunks.concat();
            let mut written = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n").into_bytes();
            for field in &fields {
                written.extend(field.chars().map(|c| u8::try_from(u32::from(c)).unwrap()));
                written.extend(b"\r\n");
            }
            if chunked {
                written.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks {
                    written.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
                    written.extend(chunk);
                    written.extend(b"\r\n");
                }
                written.extend(format!("0{extension}\r\n").bytes());
                written.extend("X-Trailer: 1\r\n".repeat(trailers).bytes());
                written.extend(b"\r\n");
            } else {
                written.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                written.extend(body.iter());
            }
            Meant { seen: Seen { method: method.into(), target, body, trailers }, written }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Of valid messages weir and hyper read what the client meant.
    #[test]
    fn both_read_what_was_meant(requests in prop::collection::vec(request(), 1..4)) {
        let input = requests.iter().flat_map(|r| r.written.clone()).collect::<Vec<_>>();
        let meant: Vec<_> = requests.into_iter().map(|r| r.seen).collect();
        let reading = read_at_once(&input, LIMITS);
        prop_assert_eq!((reading.consumed, reading.fault), (input.len(), None));
        prop_assert_eq!(&reading.requests, &meant);
        let (seen, result) = read_by_hyper(input);
        prop_assert!(result.is_ok(), "{:?}", result);
        prop_assert_eq!(seen, meant);
    }

    /// Messages with a flaw somewhere: what weir still takes, hyper takes too, and reads the same requests from it.
    #[test]
    fn hyper_reads_what_weir_takes(
        requests in prop::collection::vec(request(), 1..3),
        flaws in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..3),
    ) {
        let mut input = requests.iter().flat_map(|r| r.written.clone()).collect::<Vec<_>>();
        for (at, octet, kind) in flaws {
            let at = at.index(input.len());
            match kind {
                0 => input[at] = octet,
                1 => input.insert(at, octet),
                _ => drop(input.remove(at)),
            }
        }
        let reading = read_at_once(&input, LIMITS);
        if reading.between_requests {
            let (seen, result) = read_by_hyper(input[..reading.consumed].to_vec());
            prop_assert!(result.is_ok(), "{:?} in {:?}", result, String::from_utf8_lossy(&input));
            prop_assert_eq!(seen, reading.requests, "in {:?}", String::from_utf8_lossy(&input));
        }
    }
}
