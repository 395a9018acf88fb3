//! The operator's own rules: what they find, of whom, and what is done about it.

use std::sync::Arc;
use std::time::Duration;

use weir::clause::{Behaviour, RuleId};
use weir::engine::{FindingEvent, FindingFilter};
use weir::facts::PrincipalKind;
use weir::policy::conduct::{Answer, Rule};
use weir::policy::template::Template;
use weir::policy::{ClauseId, Exempt, Match, Policy};
use weir::remedy::{Mode, Verdict};
use weir::rule::Program;

use super::policy::{accounts, per_client, sliding};
use super::stage::{Stage, Step, address, page, watching};

pub(crate) const NAME: &str = "exports-at-night";

pub(crate) fn rule(when: &str, mode: Mode) -> Rule {
    Rule {
        name: NAME.into(),
        clause: ClauseId(0),
        mode,
        confidence: 0.9,
        answer: Answer::Forbidden,
        lasts: Duration::from_secs(600),
        exempt: Exempt::default(),
        matches: Match::default(),
        of: Vec::new(),
        when: Program::compile(when).expect("an expression"),
    }
}

pub(crate) fn ruled(rules: Vec<Rule>) -> Policy {
    let mut policy = watching(Vec::new(), vec![per_client("a", sliding(1000, 1))]);
    policy.conduct.rules = rules;
    policy
}

pub(crate) fn behaviour() -> Behaviour {
    Behaviour::Rule(RuleId::named(NAME))
}

/// Promise: a rule finds what it says at the request that makes it true, under its own name, for its clause, with the
/// numbers that it read; in shadow nobody is refused for it.
#[test]
fn a_rule_finds_what_it_says() {
    let mut stage = Stage::new(ruled(vec![rule("path == '/export' && pages > 2", Mode::Shadow)]));
    for _ in 0..2 {
        assert!(stage.play(page(1, "/export")).events.is_empty());
    }
    assert!(stage.play(page(1, "/other")).events.is_empty());
    let came = stage.play(page(1, "/export"));
    let [FindingEvent::Opened(case)] = came.events.as_slice() else { panic!("{came:?}") };
    assert_eq!((&*case.detector, case.finding.behaviour, case.mode), (NAME, behaviour(), Mode::Shadow));
    assert_eq!((case.finding.principal, case.finding.confidence), (address(1).1.into(), 0.9));
    let evidence = case.finding.evidence[0];
    assert_eq!((evidence.counter, evidence.value, evidence.threshold), ("pages", 4, 2));
    assert!(stage.play(page(1, "/export")).is_forwarded());
    assert!(stage.play(page(2, "/export")).events.is_empty());
    assert_eq!(stage.found(behaviour())[0].finding.times, 2);
}

/// Promise: an enforced rule refuses whom it finds with the stated answer and for the stated time, but nobody who is
/// exempt; a rule that is taken out of the policy refuses nobody, and the finding keeps its name.
#[test]
fn an_enforced_rule_refuses() {
    let mut exempting = rule("asked_10s >= 3", Mode::Enforce);
    exempting.exempt.ranges = vec![address(2).0.into()];
    let mut stage = Stage::new(ruled(vec![exempting]));
    for client in [1, 2] {
        (0..3).for_each(|n| drop(stage.play(page(client, &format!("/{n}")))));
    }
    assert!(stage.play(page(2, "/")).is_forwarded());
    let Verdict::Convict(conviction) = stage.play(page(1, "/")).verdict else { panic!("admitted") };
    assert_eq!((conviction.behaviour, conviction.answer), (behaviour(), Answer::Forbidden));
    assert_eq!(conviction.until, stage.now.after(Duration::from_secs(600)));
    stage.reload(ruled(Vec::new()));
    assert!(stage.play(page(1, "/")).is_forwarded());
    assert!(stage.found(behaviour()).iter().all(|case| &*case.detector == NAME));
}

/// Promise: what was done before a sanction does not prolong it, nor do a few retries; a rule on demand that is met
/// again while its principal is refused does.
#[test]
fn a_sanction_does_not_feed_itself() {
    let mut stage = Stage::new(ruled(vec![rule("asked_10s >= 3", Mode::Enforce)]));
    (0..3).for_each(|n| drop(stage.play(page(1, &format!("/{n}")))));
    let until = |stage: &Stage| stage.found(behaviour())[0].sanction.expect("a sanction").until;
    let first = until(&stage);
    stage.wait(Duration::from_secs(20));
    (0..2).for_each(|_| drop(stage.play(page(1, "/"))));
    assert_eq!(until(&stage), first);
    drop(stage.play(page(1, "/")));
    assert_eq!(until(&stage), stage.now.after(Duration::from_secs(600)));
}

/// Promise: a rule about the app's answers learns nothing from what weir refused itself.
#[test]
fn refusals_are_no_evidence() {
    let mut stage = Stage::new(ruled(vec![
        rule("asked_10s >= 2", Mode::Enforce),
        Rule { name: "answers".into(), ..rule("status != 200", Mode::Shadow) },
    ]));
    (0..5).for_each(|n| drop(stage.play(page(1, &format!("/{n}")))));
    assert!(stage.found(Behaviour::Rule(RuleId::named("answers"))).is_empty());
    assert!(stage.play(page(2, "/").answered(500)).opened(Behaviour::Rule(RuleId::named("answers"))));
}

/// Promise: a rule is asked only of the requests that it matches, and only of the kinds of principal that it names.
#[test]
fn a_rule_is_asked_where_it_can_apply() {
    let template = Template::parse("/api/**", &Default::default()).expect("a template");
    let of_accounts = Rule {
        of: vec![PrincipalKind::Account],
        matches: Match { paths: vec![template], ..Match::default() },
        ..rule("true", Mode::Shadow)
    };
    let mut stage = Stage::new(ruled(vec![of_accounts]));
    let who = accounts(&[("acme", 0)]);
    assert!(!stage.play(page(1, "/api/items")).opened(behaviour()));
    assert!(!stage.play(Step { who: &who, ..page(1, "/items") }).opened(behaviour()));
    assert!(stage.play(Step { who: &who, ..page(1, "/api/items") }).opened(behaviour()));
}

/// Promise: a finding of a rule that looks back an hour at most closes after ten quiet minutes, another after a day.
#[test]
fn findings_of_rules_close() {
    let mut stage = Stage::new(ruled(vec![
        rule("asked_10s >= 2", Mode::Shadow),
        Rule { name: "slow".into(), ..rule("pages >= 2", Mode::Shadow) },
    ]));
    (0..2).for_each(|n| drop(stage.play(page(1, &format!("/{n}")))));
    let open = |stage: &Stage| {
        let filter = FindingFilter { is_open: Some(true), ..FindingFilter::default() };
        let mut names: Vec<Arc<str>> =
            stage.engine.findings(&filter, usize::MAX).into_iter().map(|case| case.detector).collect();
        names.sort();
        names
    };
    assert_eq!(open(&stage).len(), 2);
    stage.wait(Duration::from_secs(601));
    assert_eq!(stage.engine.sweep_findings(stage.now).len(), 1);
    assert_eq!(open(&stage), ["slow".into()]);
    stage.wait(Duration::from_secs(24 * 3600));
    stage.engine.sweep_findings(stage.now);
    assert!(open(&stage).is_empty());
}
