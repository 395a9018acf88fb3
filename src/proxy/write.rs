//! Writing what hyper has in pieces.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

/// Up to this many bytes, joining the pieces costs less than handing the kernel a list of them.
const JOINED_MAX: usize = 4096;

thread_local! {
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes one piece by `send`, a few small ones joined, and only large ones by `writev`.
pub(super) fn poll_write(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let mut pieces = bufs.iter().filter(|piece| !piece.is_empty());
    match (pieces.next(), pieces.next()) {
        (None, _) => Poll::Ready(Ok(0)),
        (Some(only), None) => Pin::new(stream).poll_write(cx, only),
        _ if bufs.iter().map(|piece| piece.len()).sum::<usize>() <= JOINED_MAX => {
            JOINED.with_borrow_mut(|joined| {
                joined.clear();
                for piece in bufs {
                    joined.extend_from_slice(piece);
                }
                Pin::new(stream).poll_write(cx, joined)
            })
        }
        _ => Pin::new(stream).poll_write_vectored(cx, bufs),
    }
}
