//! Requests that lead nowhere, which weir answers itself.

use weir::clause::Behaviour;
use weir::remedy::Mode;

use super::stage::{Stage, address, detector, page, watching};

/// Promise: whoever asks again and again for what no route leads to is found as if the app had answered, though weir did;
/// what weir refuses is no evidence of that kind.
#[test]
fn what_leads_nowhere_is_missed_as_the_apps_is() {
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Probe, Mode::Shadow)], Vec::new()));
    for n in 0..9 {
        let path = format!("/nowhere/{n}x");
        stage.play_astray(page(1, &path).answered(404));
        stage.play(page(2, &path).answered(404));
    }
    let found = stage.found(Behaviour::Probe);
    let who = |client: u32| found.iter().find(|case| case.finding.principal == address(client).1.into());
    let (astray, missing) = (who(1).expect("a finding"), who(2).expect("a finding"));
    assert_eq!(astray.finding.rule, missing.finding.rule);
    assert_eq!(astray.finding.evidence, missing.finding.evidence);
}
