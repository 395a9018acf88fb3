//! The signals that `weir run` acts upon, caught from its first moment on.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A handler for each signal. One that comes before it is waited for is kept, not lost.
#[derive(Debug)]
pub struct Signals {
    pub stop: StopSignals,
    /// SIGHUP.
    pub reload: Signal,
    /// SIGUSR1.
    pub reopen_logs: Signal,
    /// SIGUSR2.
    pub hand_over: Signal,
}

impl Signals {
    /// Installs the handlers: from here on no signal of these ends the process by itself.
    ///
    /// To be called within a runtime, before anything that takes time.
    pub fn install() -> io::Result<Self> {
        Ok(Signals {
            stop: StopSignals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            reload: signal(SignalKind::hangup())?,
            reopen_logs: signal(SignalKind::user_defined1())?,
            hand_over: signal(SignalKind::user_defined2())?,
        })
    }
}

/// SIGTERM, and the SIGINT of a terminal.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Returns once either has come.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
