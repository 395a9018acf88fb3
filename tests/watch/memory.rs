//! Promise 2: what is known of conduct stays within its memory, and no number of newcomers hides an offender.

use std::time::Duration;

use weir::clause::Behaviour;
use weir::remedy::Mode;

use super::stage::{MEMORY, Stage, detector, login, page, watching};

/// Promise: a flood of newcomers, ten times as many as can be remembered, neither takes more than the stated memory
/// nor ends a sanction, nor makes a slow offender look new.
#[test]
fn newcomers_hide_nobody() {
    let both = vec![detector(Behaviour::Stuffing, Mode::Enforce), detector(Behaviour::Probe, Mode::Shadow)];
    let mut stage = Stage::new(watching(both, Vec::new()));
    (0..5).for_each(|_| drop(stage.play(login(1, 401))));
    let mut opened = 0;
    for newcomer in 0..100_000_u32 {
        stage.play(page(10_000 + newcomer, "/"));
        if newcomer % 2000 == 0 {
            opened += u32::from(stage.play(page(2, "/.git/config").answered(404)).opened(Behaviour::Probe));
        }
    }
    assert_eq!(opened, 1);
    stage.wait(Duration::from_secs(60));
    assert!(!stage.play(page(1, "/")).is_forwarded());
    let stats = stage.engine.watch_stats();
    assert!(stats.bytes <= MEMORY && stats.principals < 50_000, "{stats:?}");
    assert!(stats.principals > 20_000, "{stats:?}");
}

/// Promise: of more offenders than there is room for, where nobody is refused, the first are remembered, the others
/// counted; and however often all of them come again, nothing is opened or closed for it.
#[test]
fn findings_are_bounded() {
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Probe, Mode::Shadow)], Vec::new()));
    for offender in 0..6_000 {
        for path in ["/.git/config", "/.env"] {
            stage.play(page(offender, path).answered(404));
        }
    }
    let stats = stage.engine.watch_stats();
    assert!(stats.findings_open < 4000, "{stats:?}");
    assert_eq!(stats.findings_open + stats.findings_displaced, 6_000);
    let again = (0..6_000).map(|offender| stage.play(page(offender, "/.env").answered(404)).events.len());
    assert_eq!(again.sum::<usize>(), 0);
    assert_eq!(stage.engine.watch_stats().findings_open, stats.findings_open);
}
