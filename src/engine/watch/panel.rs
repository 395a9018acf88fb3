//! The detectors and rules of a policy: who looks for what, and whom it spares.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use smallvec::SmallVec;

use super::arrival::{Arrival, Fields, Text};
use super::case::{self, Case};
use crate::clause::Behaviour;
use crate::detect::{self, Detector, Suspicion};
use crate::engine::Binding;
use crate::engine::binding::Fit;
use crate::facts::{Principal, Who};
use crate::finding::Finding;
use crate::policy::{ClauseId, Exempt, Policy, conduct};
use crate::remedy::{Answer, Mode};
use crate::rule::{Answers, Asked, Scene};

/// Detectors with the thresholds of one policy, and its rules. Made once per reload.
#[derive(Default)]
pub(in crate::engine) struct Panel {
    pub(super) own: Vec<Own>,
    pub(super) rules: Vec<Ruled>,
    no_headers: HeaderMap,
}

/// One of weir's detectors.
pub(super) struct Own {
    pub(super) judge: Judge,
    pub(super) detector: Box<dyn Detector>,
    /// Whether it looks at arrivals, admitted or not.
    pub(super) is_demand: bool,
}

/// One of the operator's rules.
pub(super) struct Ruled {
    pub(super) judge: Judge,
    rule: conduct::Rule,
    is_demand: bool,
}

/// What is done about what one detector or rule finds.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) behaviour: Behaviour,
    pub(super) terms: Terms,
    name: Arc<str>,
    clause: Arc<str>,
    pub(super) quiet: Duration,
    /// Its place among all of the panel.
    place: usize,
}

/// As the policy has it.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) clause: ClauseId,
    pub(super) mode: Mode,
    /// From which on a finding is acted upon.
    pub(super) confidence: f32,
    pub(super) answer: Answer,
    pub(super) lasts: Duration,
    exempt: Exempt,
}

/// What one request is never refused for: a bit for each of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spared(u64);

/// A rule that may be true of a request, by its place, and what it was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedRule {
    pub(super) rule: u8,
    pub(super) answers: Answers,
}

// Every detector and rule has a bit.
const _: () = assert!(detect::specs().len() + conduct::RULES_MAX <= 64);

impl Panel {
    pub(in crate::engine) fn new(policy: &Policy) -> Self {
        let own = policy.conduct.detectors.iter().enumerate().filter_map(|(place, one)| {
            let spec = detect::spec(one.behaviour)?;
            let terms = Terms {
                clause: one.clause,
                mode: one.mode,
                confidence: one.confidence,
                answer: one.answer,
                lasts: one.lasts,
                exempt: one.exempt.clone(),
            };
            let quiet = case::quiet_after(one.behaviour);
            Some(Own {
                judge: Judge::new(one.behaviour, one.behaviour.name().into(), terms, quiet, policy).at(place),
                detector: spec.build(&one.thresholds),
                is_demand: spec.is_demand,
            })
        });
        let own: Vec<Own> = own.collect();
        let rules = (policy.conduct.detectors.len()..).zip(&policy.conduct.rules).map(|(place, rule)| {
            let terms = Terms {
                clause: rule.clause,
                mode: rule.mode,
                // Whatever it finds is acted upon: how sure that is, the operator has said.
                confidence: 0.0,
                answer: rule.answer,
                lasts: rule.lasts,
                exempt: rule.exempt.clone(),
            };
            let quiet = if rule.when.is_brief() { case::QUIET_BRIEF } else { case::QUIET };
            Ruled {
                judge: Judge::new(rule.behaviour(), Arc::clone(&rule.name), terms, quiet, policy).at(place),
                is_demand: rule.when.is_demand(),
                rule: rule.clone(),
            }
        });
        Panel { rules: rules.collect(), own, no_headers: HeaderMap::new() }
    }

    pub(super) fn judge(&self, behaviour: Behaviour) -> Option<&Judge> {
        self.judges().find(|judge| judge.behaviour == behaviour)
    }

    /// What a request from here is never refused for, whoever else does it.
    pub(super) fn spares(&self, address: IpAddr, who: &Who) -> Spared {
        let spared = self.judges().filter(|judge| judge.spares(address, who));
        Spared(spared.fold(0, |bits, judge| bits | judge.bit()))
    }

    /// The rules that may be true of a request, once its answer is known.
    pub(super) fn ask(&self, binding: &Binding, arrival: &Arrival<'_>) -> SmallVec<[AskedRule; 1]> {
        let mut may_hold = SmallVec::new();
        if self.rules.is_empty() {
            return may_hold;
        }
        let policy = binding.policy();
        let Arrival { address, who, method, path, text, .. } = *arrival;
        let Text { query, host, route, fields } = text;
        let headers = if let Fields::All(headers) = fields { headers } else { &self.no_headers };
        let fit = Fit { method, host, path, headers, who, address };
        let accounts: SmallVec<[(&str, &str); 1]> = who
            .accounts
            .iter()
            .map(|account| {
                let plan = policy.terms(account.terms).and_then(|terms| terms.plan.as_deref());
                (&*account.id, plan.unwrap_or_default())
            })
            .collect();
        let asked = Asked {
            method: method.as_str(),
            host,
            path,
            query: query.unwrap_or_default(),
            route: route.map_or("", |route| &policy.route(route).name),
            user_agent: fields.user_agent(),
            referer: fields.referer(),
            accounts: &accounts,
            address,
            headers,
        };
        for (at, Ruled { rule, .. }) in (0..).zip(&self.rules) {
            if binding.fits(&rule.matches, fit, true)
                && let Some(answers) = rule.when.ask(&asked)
            {
                may_hold.push(AskedRule { rule: at, answers });
            }
        }
        may_hold
    }

    fn judges(&self) -> impl Iterator<Item = &Judge> {
        self.own.iter().map(|own| &own.judge).chain(self.rules.iter().map(|rule| &rule.judge))
    }
}

impl Spared {
    /// Whether it may be refused for everything.
    pub(super) const fn is_nobody(self) -> bool {
        self.0 == 0
    }
}

impl Ruled {
    /// Whether the rule is true of a request and of one of those who are charged with it.
    pub(super) fn judge(
        &self,
        principal: Principal,
        answers: Answers,
        scene: &Scene<'_>,
        is_refused: bool,
    ) -> Option<Suspicion> {
        let Ruled { rule, is_demand, .. } = self;
        let is_asked =
            (*is_demand || !is_refused) && (rule.of.is_empty() || rule.of.contains(&principal.kind()));
        let evidence = if is_asked { rule.when.holds(answers, scene) } else { None };
        evidence.map(|evidence| Suspicion { confidence: rule.confidence, rule: "when", evidence })
    }
}

impl Judge {
    fn new(behaviour: Behaviour, name: Arc<str>, terms: Terms, quiet: Duration, policy: &Policy) -> Self {
        let clause = policy.clauses.get(usize::from(terms.clause.0));
        let clause = clause.map(|clause| clause.id.as_str().into()).unwrap_or_default();
        Judge { behaviour, terms, name, clause, quiet, place: 0 }
    }

    fn at(self, place: usize) -> Self {
        Judge { place, ..self }
    }

    /// A finding, and nothing done about it yet.
    pub(super) fn case(&self, finding: Finding, mode: Mode) -> Case {
        Case {
            finding,
            detector: Arc::clone(&self.name),
            clause: Arc::clone(&self.clause),
            mode,
            sanction: None,
            lasting: 0,
            quiet: self.quiet,
            earlier: None,
        }
    }

    pub(super) fn spares(&self, address: IpAddr, who: &Who) -> bool {
        self.terms.exempt.ranges.iter().any(|range| range.contains(&address))
            || who.accounts.iter().any(|account| self.spares_account(&account.id))
    }

    pub(super) fn spares_account(&self, id: &Arc<str>) -> bool {
        self.terms.exempt.accounts.contains(id)
    }

    /// The mode in which it meets a request, given the most that anything may be then.
    pub(super) fn mode(&self, spared: Spared, most: Mode) -> Mode {
        let own = self.terms.mode.at_most(most);
        if spared.0 & self.bit() == 0 { own } else { own.at_most(Mode::Shadow) }
    }

    const fn bit(&self) -> u64 {
        1 << (self.place % 64)
    }
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.judges()).finish()
    }
}
