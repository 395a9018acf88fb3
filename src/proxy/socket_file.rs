//! The file of a Unix socket: made with its permissions before anybody can connect, and removed with the listener.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::listener::BACKLOG;

/// A socket's file of our making. Dropping it removes the file, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens on `path`, for whoever `mode` lets connect. A socket that nobody listens on any more is replaced.
    ///
    /// The socket is made under another name and moved into place once it listens: at no moment is there one that
    /// refuses, or that has other permissions.
    ///
    /// Errors: somebody listens there, or what is there is no socket.
    pub fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
        check_place(path)?;
        let made = made_name(path);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        remove_if_there(&made)?;
        socket.bind(&SockAddr::unix(&made)?)?;
        let placed = (|| {
            fs::set_permissions(&made, Permissions::from_mode(mode))?;
            socket.listen(BACKLOG)?;
            let metadata = fs::symlink_metadata(&made)?;
            fs::rename(&made, path)?;
            Ok(SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
        })();
        if placed.is_err() {
            remove_if_there(&made)?;
        }
        placed.map(|file| (socket.into(), file))
    }
}

impl SocketFile {
    /// The file of a socket that was handed over by a process that leaves it. `None`: it is gone.
    pub fn adopt(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok().filter(|it| it.file_type().is_socket())?;
        Some(SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Leaves the file where it is: it is another process's from now on.
    pub fn leave(mut self) {
        // The inode of no file.
        self.identity = (0, 0);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file could not be removed");
        }
    }
}

/// Whether a socket that was bound as `bound` is the one at `path`: the kernel goes on to call it by its first name.
pub(super) fn is_bound_at(bound: &Path, path: &Path) -> bool {
    let rest = bound.as_os_str().as_bytes().strip_prefix(path.as_os_str().as_bytes());
    rest.is_some_and(|rest| {
        let process = rest.strip_prefix(b".");
        rest.is_empty() || process.is_some_and(|id| !id.is_empty() && id.iter().all(u8::is_ascii_digit))
    })
}

/// Beside the path: a file is moved within its directory in one step.
fn made_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    PathBuf::from(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a socket may take this place: nothing is there, or a socket that its listener left behind.
fn check_place(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "what is there is no socket"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose queue is full would have us wait.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(ErrorKind::AddrInUse, "somebody listens on this socket")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Promise: the file has exactly the permissions that were asked for, and is gone with its listener.
    #[test]
    fn the_file_comes_and_goes_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.sock");
        for mode in [0o600, 0o666] {
            let (_socket, file) = SocketFile::listen(&path, mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            assert!(UnixStream::connect(&path).is_ok());
            drop(file);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }

    /// Promise: what a killed process left behind is replaced; a socket in use and a file that is no socket are not
    /// touched.
    #[test]
    fn only_stale_sockets_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (socket, file) = SocketFile::listen(&path, 0o660).unwrap();
        let taken = SocketFile::listen(&path, 0o660).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok(), "who listened before still does");
        drop((socket, file));
        fs::write(&path, "precious").unwrap();
        let taken = SocketFile::listen(&path, 0o660).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    /// Promise: a socket of our making is known again by whoever it is handed to, and no other is taken for it.
    #[test]
    fn sockets_are_known_by_their_first_name() {
        let path = Path::new("/run/weir.sock");
        for (bound, is_it) in [
            ("/run/weir.sock", true),
            ("/run/weir.sock.4711", true),
            ("/run/weir.sock.", false),
            ("/run/weir.sock.old", false),
            ("/run/weir.socket", false),
            ("/run/weir", false),
        ] {
            assert_eq!(is_bound_at(Path::new(bound), path), is_it, "{bound}");
        }
    }

    /// Promise: a file that is handed over is removed by whoever took it, and by nobody before.
    #[test]
    fn a_file_is_handed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.sock");
        let (_socket, file) = SocketFile::listen(&path, 0o660).unwrap();
        let adopted = SocketFile::adopt(&path).unwrap();
        file.leave();
        assert!(path.exists());
        drop(adopted);
        assert!(!path.exists() && SocketFile::adopt(&path).is_none());
    }

    /// Promise: whoever has taken the place meanwhile keeps it.
    #[test]
    fn a_successor_keeps_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.sock");
        let (socket, file) = SocketFile::listen(&path, 0o660).unwrap();
        drop(socket);
        let (_later, _its_file) = SocketFile::listen(&path, 0o660).unwrap();
        drop(file);
        assert!(UnixStream::connect(&path).is_ok());
    }
}
