//! Requests played to one detector, for unit tests.

use std::collections::HashMap;
use std::time::Duration;

use super::{
    Answer, Conduct, Crowd, Detector, Event, Fault, News, Reader, Request, Seen, SeenCrowd, Sight, Site,
    Suspicion, spec,
};
use crate::clause::Behaviour;
use crate::time::Moment;

/// A site on `example.org` and everybody who visits it.
pub(super) struct Scene {
    reader: Reader,
    site: Site,
    conduct: HashMap<String, Conduct>,
    crowds: HashMap<String, Crowd>,
    now: Moment,
}

/// One request and its answer; what is not set is ordinary.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub referer: Option<&'a str>,
    pub answer: Answer,
    pub is_trap: bool,
    pub is_disallowed: bool,
    /// A hash of the client.
    pub client: u64,
}

pub(super) fn get(target: &str) -> Step<'_> {
    let answer = Answer { status: 200, bytes: 1000, took: None, login: None, told: None };
    Step { method: "GET", target, referer: None, answer, is_trap: false, is_disallowed: false, client: 1 }
}

impl<'a> Step<'a> {
    /// Led there by a page, as browsers say.
    pub(super) fn from(self, referer: &'a str) -> Self {
        Step { referer: Some(referer), ..self }
    }

    pub(super) fn answered(self, status: u16) -> Self {
        Step { answer: Answer { status, ..self.answer }, ..self }
    }
}

impl Scene {
    /// Long after the origin of time, as in a log.
    pub(super) fn new() -> Self {
        let now = Moment::from_nanos(1_700_000_000_000_000_000);
        Scene {
            reader: Reader::new(1),
            site: Site::default(),
            conduct: HashMap::new(),
            crowds: HashMap::new(),
            now,
        }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    /// One request, at this moment.
    pub(super) fn plays(&mut self, who: &str, step: Step<'_>) {
        self.tells(who, step);
    }

    /// The same, and what it shows anew.
    fn tells(&mut self, who: &str, step: Step<'_>) -> (News, Sight) {
        let (path, query) = step.target.split_once('?').map_or((step.target, None), |(p, q)| (p, Some(q)));
        let request = Request { method: step.method, path, query, referer: step.referer };
        let sight =
            Sight { is_trap: step.is_trap, is_disallowed: step.is_disallowed, ..self.reader.read(&request) };
        let host = Some(self.reader.host("example.org"));
        let event = self.site.learn(&sight, host, step.answer, self.now);
        let event = Event { from: step.client, ..event };
        let conduct = self.conduct.entry(who.to_owned()).or_insert_with(|| Conduct::new(self.now));
        let news = conduct.note(&event);
        self.site.meet(news.met);
        (news, sight)
    }

    /// The same, by somebody of a crowd.
    pub(super) fn plays_in(&mut self, crowd: &str, who: &str, step: Step<'_>) {
        let (News { turn, known, .. }, sight) = self.tells(who, step);
        self.crowds.entry(crowd.to_owned()).or_default().note(turn, known, sight.target, self.now);
    }

    /// Something that does not become a request, at this moment.
    pub(super) fn fails(&mut self, who: &str, fault: Fault) {
        let conduct = self.conduct.entry(who.to_owned()).or_insert_with(|| Conduct::new(self.now));
        conduct.note_fault(fault, self.now);
    }

    /// These targets one after the other, at this moment.
    pub(super) fn visits(&mut self, who: &str, targets: &[&str], status: u16) {
        for target in targets {
            self.plays(who, get(target).answered(status));
        }
    }

    /// People who follow links and whose browsers fetch styles: the site shows both signals.
    pub(super) fn people_read(&mut self) {
        for person in 0..5 {
            let who = format!("person {person}");
            self.plays(&who, get("/"));
            for _ in 0..6 {
                self.plays(&who, get("/style.css").from("https://example.org/"));
            }
            self.plays(&who, get("/about").from("https://example.org/"));
            self.wait(30);
        }
    }

    /// What a detector with these thresholds, the rest as they are untuned, believes of somebody.
    pub(super) fn judge(&self, who: &str, behaviour: Behaviour, thresholds: &[u32]) -> Option<Suspicion> {
        let detector: Box<dyn Detector> = spec(behaviour).map(|spec| spec.build(thresholds))?;
        let conduct = self.conduct.get(who)?;
        let signs = self.site.signs(self.now);
        let seen = Seen { conduct, lately: conduct.lately(self.now), site: &signs, now: self.now };
        detector.judge(&seen)
    }

    /// The rule that was met, by the untuned detector.
    pub(super) fn rule(&self, who: &str, behaviour: Behaviour) -> Option<&'static str> {
        self.judge(who, behaviour, &[]).map(|suspicion| suspicion.rule)
    }

    /// The rule that a crowd meets, taken as a network, by the untuned detector.
    pub(super) fn crowd_rule(&self, crowd: &str, behaviour: Behaviour) -> Option<&'static str> {
        let detector: Box<dyn Detector> = spec(behaviour).map(|spec| spec.build(&[]))?;
        let (signs, crowd) = (self.site.signs(self.now), self.crowds.get(crowd)?);
        let seen = SeenCrowd { is_software: false, lately: crowd.lately(self.now), site: &signs };
        detector.judge_crowd(&seen).map(|suspicion| suspicion.rule)
    }
}
