//! SIGUSR2: a new process of the program on disk takes over the listening sockets, and this one drains.
//!
//! The sockets are handed over as a service manager does (systemd's `LISTEN_FDS`), so they are never closed, and no
//! connection is refused. Once the successor listens, it sends SIGTERM to this process, which then stops as always. If
//! it ends before that, this one goes on.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, getppid, kill_process};
use tokio::sync::oneshot;

use super::state::Keeper;
use crate::proxy::Proxy;

/// Set for a successor: the process that started it.
const PREDECESSOR: &str = "WEIR_PREDECESSOR";

/// The first descriptor that is handed over (`sd_listen_fds(3)`).
const FIRST: i32 = 3;

/// Whether this process was started by another weir to take its place.
pub(super) fn is_successor() -> bool {
    predecessor().is_some()
}

/// Tells the process whose place this one takes that it may stop. To be called once this one listens.
pub(super) fn relieve_predecessor() {
    let Some(pid) = predecessor() else { return };
    tracing::info!(pid = pid.as_raw_nonzero().get(), "listening on its sockets: the process before may stop");
    if let Err(error) = kill_process(pid, Signal::TERM) {
        tracing::warn!(%error, "the process before cannot be told to stop");
    }
}

/// Only a parent is told to stop: a number in the environment alone could be anybody's by now.
fn predecessor() -> Option<Pid> {
    let named: i32 = env::var(PREDECESSOR).ok()?.parse().ok()?;
    getppid().filter(|parent| parent.as_raw_nonzero().get() == named)
}

/// Hands over to a successor: what is remembered through the state file, the sockets as they are. Returns only if the
/// successor could not be started, or ended while this process still runs.
pub(super) async fn hand_over(proxy: &Arc<Proxy>, keeper: &Keeper, admin: Option<OwnedFd>) {
    // What is counted from here on is the successor's to save.
    keeper.retire().await;
    match proxy.sockets().and_then(|sockets| start(sockets.into_iter().chain(admin).collect())) {
        Ok(child) => {
            proxy.leave_files();
            tracing::info!(pid = child.id(), "a successor was started; it says when this process may stop");
            match ended(child).await {
                Ok(status) => tracing::error!(%status, "the successor ended; this process goes on"),
                Err(error) => tracing::error!(%error, "the successor is lost; this process goes on"),
            }
        }
        Err(error) => tracing::error!(%error, "no successor could be started; this process goes on"),
    }
    keeper.resume();
}

/// The same program, as it is on disk now, with the same arguments.
fn start(sockets: Vec<OwnedFd>) -> io::Result<Child> {
    let mut arguments = env::args_os();
    let program = arguments.next().unwrap_or_else(|| OsString::from("weir"));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LISTEN_FDS", sockets.len().to_string())
        // Whoever reads it without this takes it for its own; the process id is not known beforehand.
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDNAMES")
        .env(PREDECESSOR, std::process::id().to_string());
    let mappings = (FIRST..).zip(sockets).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).map_err(io::Error::other)?;
    command.spawn()
}

/// Waits on a thread that nobody waits for: the successor outlives this process.
async fn ended(mut child: Child) -> io::Result<ExitStatus> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().name("successor".to_owned()).spawn(move || {
        // Nobody listens once this process ends.
        let _ = tell.send(child.wait());
    })?;
    told.await.map_err(io::Error::other)?
}
