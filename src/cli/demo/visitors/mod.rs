//! The scripted visitors: what each of them asks for, and how it takes an answer.
//!
//! Every script is seeded, so that two runs ask for the same things in the same order; how far each gets
//! is up to the machine and to weir.

mod browser;
mod crawler;
mod flood;
mod integration;
mod reader;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cast::{Phase, Schedule, Visitor};
use crate::clock::Clock;
pub(super) use browser::Browser;

/// How one request went, as the visitor saw it.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub visitor: Visitor,
    /// In which part of the demo it was begun.
    pub phase: Phase,
    /// What it asked for: a path with its query.
    pub target: String,
    pub took: Duration,
    /// `None`: no whole response came.
    pub status: Option<StatusCode>,
    pub retry_after: Option<Duration>,
    /// The body of a refusal.
    pub refusal: Option<Bytes>,
}

/// What every script is given.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub clock: Clock,
    pub schedule: Schedule,
    /// weir's address.
    pub weir: SocketAddr,
    /// The app's own address, for what goes past weir.
    pub app: SocketAddr,
    pub addresses: Addresses,
    pub visits: mpsc::Sender<Visit>,
}

/// How weir tells the visitors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// Each connects from a loopback address of its own.
    Own,
    /// All connect from 127.0.0.1, which weir trusts to name them: only Linux lends out all of 127.0.0.0/8.
    Announced,
}

impl Addresses {
    pub(super) fn of_this_machine() -> Self {
        let lends = |visitor: Visitor| TcpListener::bind((visitor.address(), 0)).is_ok();
        if Visitor::ALL.into_iter().all(lends) { Addresses::Own } else { Addresses::Announced }
    }
}

/// Sends everyone on their way. They stop by themselves, or when the set is dropped.
pub(super) fn send_all(stage: &Stage) -> JoinSet<()> {
    let mut scripts = JoinSet::new();
    scripts.spawn(reader::read(stage.clone()));
    scripts.spawn(integration::poll(stage.clone()));
    scripts.spawn(crawler::crawl(stage.clone()));
    flood::spawn(stage, &mut scripts);
    scripts
}

impl Stage {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now().as_nanos())
    }

    fn phase(&self) -> Phase {
        self.schedule.phase(self.now())
    }

    async fn until(&self, phase: Phase) {
        tokio::time::sleep(self.schedule.begins(phase).saturating_sub(self.now())).await;
    }

    /// Whether weir's part is over and the app stands alone.
    fn weir_has_left(&self) -> bool {
        self.phase() == Phase::WithoutWeir
    }

    /// A client for a visitor, to wherever requests go at the moment.
    fn browser(&self, visitor: Visitor, agent: &'static str, accept: &'static str) -> Browser {
        let to = if self.weir_has_left() { self.app } else { self.weir };
        let browser = Browser::new(visitor.address(), to, agent, accept);
        match self.addresses {
            Addresses::Own => browser,
            Addresses::Announced => browser.on_behalf_of(visitor.address()),
        }
    }

    /// Asks, and reports how it went.
    async fn visit(&self, visitor: Visitor, browser: &mut Browser, target: &str) -> Visit {
        self.report(visitor, target, browser.get(target)).await
    }

    async fn report(
        &self,
        visitor: Visitor,
        target: &str,
        asking: impl Future<Output = Result<browser::Reply, browser::BrowserError>>,
    ) -> Visit {
        let (begun, phase) = (self.clock.now(), self.phase());
        let reply = asking.await.ok();
        let visit = Visit {
            visitor,
            phase,
            target: target.to_owned(),
            took: self.clock.now().since(begun),
            status: reply.as_ref().map(|reply| reply.status),
            retry_after: reply.as_ref().and_then(|reply| reply.retry_after),
            refusal: reply
                .filter(|reply| reply.status == StatusCode::TOO_MANY_REQUESTS)
                .map(|reply| reply.body),
        };
        // The receiver is gone only when the demo is over, and then nobody wants to know.
        let _ = self.visits.send(visit.clone()).await;
        visit
    }
}
