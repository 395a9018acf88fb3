//! Many more clients than there is memory for, through the whole proxy. benches/flood.rs plays the same, larger.

use std::net::SocketAddr;

use crate::harness::{Launch, Weir};

#[path = "../../benches/flood/story.rs"]
mod story;
#[path = "../../benches/flood/traffic.rs"]
mod traffic;

use story::{ACCOUNTS, LIMIT, OFFENDERS, Stage};
use traffic::{Answers, start_app};

/// A third of these are known at once.
const CLIENTS: u64 = 30_000;
/// More than may be held at once.
const CROWD: u64 = 9_600;
/// Beside the state: connections, buffers and what else grows while a proxy warms up.
const KIB_BESIDE_THE_STATE: u64 = 24 << 10;

/// Promise 2: while new clients arrive in any number, memory stays as configured, nobody who is over a limit gets one
/// request more, and nobody is refused for being new. When more clients are over their limits than can be remembered,
/// their networks answer for them and for nobody else, and accounts keep what they had.
#[test]
fn a_flood_displaces_no_offender_and_refuses_nobody_new() {
    let weir = start("1MiB");
    let stage = Stage { proxy: weir.addr(), connections: 4 };
    let all = |admitted, refused| Answers { admitted, refused, other: 0 };
    assert_eq!(stage.accounts().unwrap(), [all(LIMIT * ACCOUNTS, 0), all(0, ACCOUNTS)]);
    assert_eq!(stage.offenders().unwrap(), [all(LIMIT * OFFENDERS, 0), all(0, OFFENDERS)]);
    let before = weir.peak_memory_kib();

    assert_eq!(stage.flood(CLIENTS).unwrap(), [all(CLIENTS, 0), all(0, CLIENTS / 100)]);
    assert_eq!(stage.offenders_again().unwrap(), all(0, OFFENDERS));
    assert_eq!(stage.accounts_again(0).unwrap(), all(0, ACCOUNTS));
    let metrics = weir.metrics();
    assert!(metrics.count("weir_state_evictions_total", &[]) > CLIENTS / 2);
    assert_eq!(metrics.count("weir_state_charged_to_networks_total", &[]), 0);

    let [first, within, over] = stage.crowd(CROWD).unwrap();
    assert_eq!((first, over), (all(CROWD, 0), all(0, CROWD)));
    // One that its network answers for may get less than its limit, never more.
    assert_eq!(within.admitted + within.refused, (LIMIT - 1) * CROWD);
    assert_eq!(stage.crowd_again(CROWD).unwrap(), all(0, CROWD));
    assert_eq!(stage.neighbours(CROWD).unwrap(), all(CROWD / 128, 0));
    assert_eq!(stage.offenders_again().unwrap(), all(0, OFFENDERS));
    assert_eq!(stage.accounts_again(1).unwrap(), all(0, ACCOUNTS));
    let metrics = weir.metrics();
    assert!(metrics.count("weir_state_charged_to_networks_total", &[]) > 0);
    assert_eq!(metrics.count("weir_state_let_off_total", &[]), 0);
    assert!(metrics.count("weir_state_bytes", &[]) <= metrics.count("weir_state_bytes_max", &[]));
    let growth = weir.peak_memory_kib() - before;
    assert!(growth <= (1 << 10) + KIB_BESIDE_THE_STATE, "grew by {growth} KiB");
}

fn start(memory: &str) -> Weir {
    let app: SocketAddr = start_app().unwrap();
    Launch::of_text(story::config(app, memory)).beside("accounts.toml", &story::accounts()).start()
}
