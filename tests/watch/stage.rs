//! An engine with detectors, and requests that go through its doors one after the other.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use weir::clause::Behaviour;
use weir::detect::{self, Request};
use weir::engine::{Arrival, Binding, Case, Engine, FindingEvent, FindingEvents, FindingFilter, Ticket};
use weir::facts::{Client, Facts, Origin, Outcome, Who};
use weir::finding::RequestId;
use weir::policy::conduct::{Answer, Detector};
use weir::policy::{ClauseId, Exempt, Limit, Policy};
use weir::remedy::{Mode, Verdict};
use weir::time::Moment;

use super::policy::{self, client, get};

pub(crate) const MEMORY: u64 = 16 << 20;

/// A site behind an engine, at one moment.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) binding: Binding,
    pub(crate) now: Moment,
    pub(crate) requests: u64,
}

/// One request; what is not set is an ordinary page without a Referer, and is answered well.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) client: u32,
    pub(crate) who: &'a Who,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) referer: Option<&'a str>,
    /// How the app answers, if it is asked.
    pub(crate) status: u16,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) verdict: Verdict,
    pub(crate) events: FindingEvents,
}

pub(crate) fn page(client: u32, path: &str) -> Step<'_> {
    Step { client, who: Who::ANYONE, method: &Method::GET, path, referer: None, status: 200 }
}

impl Step<'_> {
    pub(crate) fn answered(self, status: u16) -> Self {
        Step { status, ..self }
    }
}

pub(crate) fn login(client: u32, status: u16) -> Step<'static> {
    Step { method: &Method::POST, ..page(client, "/login") }.answered(status)
}

impl Came {
    pub(crate) fn is_forwarded(&self) -> bool {
        self.verdict == Verdict::Forward
    }

    pub(crate) fn opened(&self, behaviour: Behaviour) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, FindingEvent::Opened(case) if case.finding.behaviour == behaviour))
    }
}

/// Untuned, in this mode, acting from 0.5 on for ten minutes.
pub(crate) fn detector(behaviour: Behaviour, mode: Mode) -> Detector {
    let spec = detect::spec(behaviour).expect("a detector");
    Detector {
        behaviour,
        clause: ClauseId(0),
        mode,
        confidence: 0.5,
        answer: Answer::TooManyRequests,
        lasts: Duration::from_secs(600),
        exempt: Exempt::default(),
        thresholds: spec.knobs.iter().map(|knob| knob.default).collect(),
    }
}

pub(crate) fn watching(detectors: Vec<Detector>, limits: Vec<Limit>) -> Policy {
    let mut policy = policy::policy(limits);
    policy.conduct.detectors = detectors;
    policy
}

impl Stage {
    /// Long after the origin of time, as when weir has run for a while.
    pub(crate) fn new(policy: Policy) -> Self {
        let engine = Engine::with_key(MEMORY, [7; 16]).watching(MEMORY);
        let binding = engine.bind(Arc::new(policy));
        let now = Moment::ORIGIN.after(Duration::from_secs(100 * 24 * 3600));
        Stage { engine, binding, now, requests: 0 }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// A reload.
    pub(crate) fn reload(&mut self, policy: Policy) {
        self.binding = self.engine.bind(Arc::new(policy));
    }

    /// The same of a request that no route leads to: weir answers it.
    pub(crate) fn play_astray(&mut self, step: Step<'_>) -> FindingEvents {
        let facts = Facts { at: self.now, method: step.method, path: step.path, ..get(step.client, 0) };
        let sight = self.engine.reader().read(&Request {
            method: step.method.as_str(),
            path: step.path,
            query: None,
            referer: step.referer,
        });
        let arrival = Arrival { is_astray: true, ..Arrival::of(&facts, sight, None, None) };
        let ticket = self.engine.watch(&self.binding, Ticket::default(), &arrival);
        self.engine.observe(&self.binding, ticket, &answer(Origin::Weir, step.status, self.now))
    }

    /// Plays a request from its arrival to its end, all at this moment.
    pub(crate) fn play(&mut self, step: Step<'_>) -> Came {
        self.requests += 1;
        let (address, client) = client(step.client);
        let facts = Facts {
            at: self.now,
            who: step.who,
            method: step.method,
            path: step.path,
            ..get(step.client, 0)
        };
        let (verdict, ticket) = {
            let (decision, ticket) = self.engine.admit(&self.binding, &facts);
            (decision.verdict, ticket)
        };
        let reader = self.engine.reader();
        let request =
            Request { method: step.method.as_str(), path: step.path, query: None, referer: step.referer };
        let (sight, host) = (reader.read(&request), reader.host("app.test"));
        let id = RequestId::numbered(self.requests);
        let times = if verdict == Verdict::Forward { 1 } else { self.engine.echo(&facts, None) };
        let arrival = Arrival { address, client, times, ..Arrival::of(&facts, sight, Some(host), Some(id)) };
        let ticket = if times == 0 { ticket } else { self.engine.watch(&self.binding, ticket, &arrival) };
        let outcome = match verdict {
            Verdict::Forward => answer(Origin::App, step.status, self.now),
            _ => answer(Origin::Weir, 429, self.now),
        };
        let events = self.engine.observe(&self.binding, ticket, &outcome);
        Came { verdict, events }
    }

    /// Everything that is open or was closed lately, of this behaviour.
    pub(crate) fn found(&self, behaviour: Behaviour) -> Vec<Case> {
        let filter = FindingFilter { behaviour: Some(behaviour), ..FindingFilter::default() };
        self.engine.findings(&filter, usize::MAX)
    }

    /// Lets enough people read two pages each that Referers can be relied upon.
    pub(crate) fn people_read(&mut self) {
        for person in 0..5 {
            self.play(page(1000 + person, "/"));
            self.play(Step { referer: Some("https://app.test/"), ..page(1000 + person, "/docs") });
        }
    }
}

fn answer(origin: Origin, status: u16, at: Moment) -> Outcome {
    Outcome {
        at,
        origin,
        status: StatusCode::from_u16(status).expect("a status"),
        request_bytes: 0,
        response_bytes: 100,
        upstream_time: Duration::ZERO,
    }
}

pub(crate) fn address(number: u32) -> (IpAddr, Client) {
    client(number)
}
