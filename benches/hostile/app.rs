//! An app behind weir: a small answer to each GET, a large one below `/large`, and uploads that are read to their end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

const SMALL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// More than the buffers of all sockets on the way take.
const LARGE: usize = 32 << 20;

/// Serves on a thread of its own until the process ends.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    // Thousands of uploads and downloads begin at once.
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    let socket = std::net::TcpListener::from(socket);
    let address = socket.local_addr()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(socket)?;
            loop {
                let (stream, _) = listener.accept().await?;
                // A connection that breaks is its client's doing, or weir's.
                tokio::spawn(async { _ = serve(stream).await });
            }
            #[expect(unreachable_code, reason = "says what the block gives")]
            io::Result::Ok(())
        })
    });
    Ok(address)
}

async fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        let (mut is_large, mut upload) = (false, 0);
        for nth in 0.. {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            is_large |= nth == 0 && lower.contains(" /large");
            if let Some(length) = lower.strip_prefix("content-length:") {
                upload = length.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        tokio::io::copy(&mut (&mut stream).take(upload), &mut tokio::io::sink()).await?;
        if is_large {
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes())
                .await?;
            let piece = vec![b'x'; 64 << 10];
            for _ in 0..LARGE / piece.len() {
                stream.write_all(&piece).await?;
            }
        } else {
            stream.write_all(SMALL).await?;
        }
    }
}
