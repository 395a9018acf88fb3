//! Networks and software, by what many clients do for the first time.

use std::time::Duration;

use weir::clause::Behaviour;
use weir::facts::{Account, Fingerprint, Principal, PrincipalKind, Who};
use weir::policy::{Policy, TermsId};
use weir::remedy::Mode;

use super::stage::{Stage, Step, detector, login, page, watching};

/// A site where Referers show, and clients 0 to 65,535 are of one network, 65,536 to 131,071 of the next.
fn stage(behaviour: Behaviour, mode: Mode) -> Stage {
    let mut stage = Stage::new(policy(behaviour, mode));
    stage.people_read();
    stage
}

fn policy(behaviour: Behaviour, mode: Mode) -> Policy {
    let mut policy = watching(vec![detector(behaviour, mode)], vec![]);
    policy.network.prefix.ipv4 = 16;
    policy
}

const NEXT: u32 = 1 << 16;

/// Promise: 10,372 addresses that each ask for one page within seven minutes are one finding of their network, and one
/// of their software, which names some of them; no address has one, nor a network whose people read on.
#[test]
fn one_request_from_each_of_very_many() {
    let mut stage = stage(Behaviour::Swarm, Mode::Shadow);
    let who =
        Who { fingerprint: Some(Fingerprint::new("t13d1516h2_8daaf6152771_e5627efa2ab1")), ..Who::default() };
    for client in 0..10_372 {
        let path = format!("/object/{client}");
        stage.play(Step { who: &who, ..page(2000 + client, &path) });
        if client % 20 == 0 {
            stage.play(page(NEXT + client, &path));
            stage.play(Step { referer: Some("https://app.test/object/1"), ..page(NEXT + client, "/docs") });
            let led = format!("https://app.test{path}");
            stage.play(Step { referer: Some(&led), ..page(NEXT + client, "/about") });
        }
        stage.wait(Duration::from_millis(40));
    }
    let found = stage.found(Behaviour::Swarm);
    let mut kinds: Vec<_> = found.iter().map(|case| case.finding.principal.kind()).collect();
    kinds.sort();
    assert_eq!(kinds, [PrincipalKind::Network, PrincipalKind::Fingerprint]);
    for case in &found {
        assert!(stage.now.since(case.finding.opened) > Duration::from_secs(6 * 55), "within a minute or so");
        assert_eq!(case.finding.clients.len(), 16);
    }
    let network = stage.binding.policy().network.of([10, 0, 0, 9].into());
    assert!(found.iter().any(|case| case.finding.principal == network));
}

/// Promise: in enforce, a newcomer from there is refused; who was seen to look at pages is not, nor anybody with an
/// account, nor somebody from elsewhere. The refused do not prolong it: after ten minutes it is over.
#[test]
fn a_refused_network() {
    const HERE: u32 = 2 * NEXT;
    let mut stage = stage(Behaviour::Swarm, Mode::Enforce);
    stage.play(page(HERE + 60_000, "/"));
    stage.play(Step { referer: Some("https://app.test/"), ..page(HERE + 60_000, "/docs") });
    let mut refused_since = None;
    for client in 0..200 {
        let came = stage.play(page(HERE + client, &format!("/object/{client}")));
        refused_since = refused_since.or((!came.is_forwarded()).then_some(client));
        stage.wait(Duration::from_secs(1));
    }
    // The first fifty have had their thirty seconds when the third half-minute begins.
    assert!(refused_since.is_some_and(|client| (80..=120).contains(&client)), "{refused_since:?}");
    let account = Account { id: "acme".into(), principal: Principal::account("acme"), terms: TermsId(0) };
    let customer = Who { accounts: [account].into_iter().collect(), ..Who::default() };
    assert!(!stage.play(page(HERE + 9999, "/")).is_forwarded());
    assert!(stage.play(Step { who: &customer, ..page(HERE + 9998, "/") }).is_forwarded());
    assert!(stage.play(page(HERE + 60_000, "/docs")).is_forwarded());
    assert!(stage.play(page(NEXT, "/")).is_forwarded());
    stage.wait(Duration::from_secs(601 - 80));
    assert!(stage.play(page(HERE + 9997, "/")).is_forwarded());
}

/// Promise: a list of passwords that is tried once from each of many addresses is stuffing by their network.
#[test]
fn a_password_from_each_of_many() {
    let mut stage = stage(Behaviour::Stuffing, Mode::Shadow);
    for client in 0..30 {
        stage.play(login(2000 + client, 200));
        stage.play(login(NEXT + client, 200));
        stage.play(login(NEXT + client, 302));
    }
    let found = stage.found(Behaviour::Stuffing);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].finding.principal.kind(), PrincipalKind::Network);
    assert_eq!(found[0].finding.principal, stage.binding.policy().network.of([10, 0, 0, 9].into()));
}
