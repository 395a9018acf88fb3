//! State over a restart: what one process counted, the next one goes on from; a file that is not whole is not used.

#![cfg(feature = "proxy")]

#[path = "engine_props/policy.rs"]
#[expect(dead_code, reason = "the engine's own tests use more of it")]
mod policy;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use tempfile::TempDir;
use weir::engine::{Binding, Engine, Extent};
use weir::facts::{Facts, Origin, Outcome};
use weir::policy::{Bound, Cost, Limit, Period, WhoPart};
use weir::remedy::Verdict;
use weir::store::{Damage, Refused, Store};
use weir::time::{Moment, WallTime};

use policy::{everyone, fields, gcra, get, keyed, limits, per_client, sliding};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600 * SECOND;
/// A morning in July 2026.
const START: WallTime = WallTime { unix_ms: 1_783_000_000_000 };

/// A directory with a snapshot of an engine that has used up all of these limits at second 100.
struct Saved {
    directory: TempDir,
    limits: Vec<Limit>,
}

impl Saved {
    fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn of(limits_used: Vec<Limit>, extent: Extent) -> Self {
        Saved::after(limits_used, extent, |engine, binding| {
            while engine.admit(binding, &request(100)).0.verdict == Verdict::Forward {}
        })
    }

    /// The same, of limits that are used up in another way.
    fn after(limits_used: Vec<Limit>, extent: Extent, use_up: impl Fn(&Engine, &Binding)) -> Self {
        let saved = Saved { directory: TempDir::new().expect("a directory"), limits: limits_used };
        let (store, key) = Store::open(&saved.path()).expect("a store");
        let engine = Engine::with_key(1 << 20, key.engine).starting_at(START);
        let binding = engine.bind(limits(saved.limits.clone()));
        use_up(&engine, &binding);
        store.save(&engine, extent, Moment::from_nanos(100 * SECOND)).expect("saved");
        saved
    }

    /// An engine that starts so many seconds after the first one, and what came of the snapshot.
    fn next(&self, seconds: u64) -> (Engine, Result<Option<usize>, Refused>) {
        let (store, key) = Store::open(&self.path()).expect("a store");
        let origin = WallTime { unix_ms: START.unix_ms + seconds * 1000 };
        let engine = Engine::with_key(1 << 20, key.engine).starting_at(origin);
        let loaded = store.load(&engine, Moment::ORIGIN);
        (engine, loaded)
    }

    /// Whether a request is admitted so many seconds after that engine's start.
    fn admits(&self, engine: &Engine, seconds: u64) -> bool {
        let binding = engine.bind(limits(self.limits.clone()));
        engine.admit(&binding, &request(seconds)).0.verdict == Verdict::Forward
    }
}

fn request(seconds: u64) -> Facts<'static> {
    let tenant = Box::leak(Box::new(fields(&[("x-tenant", "acme")])));
    Facts { headers: tenant, ..get(7, seconds * SECOND) }
}

fn quota(units: u64, period: Period) -> Bound {
    Bound::Quota { units: units.try_into().expect("not zero"), period }
}

/// Every kind of limit that outlasts a restart, each with what it has after a restart at second 110, and the second
/// after that start when something is back.
fn kinds() -> Vec<(Limit, u64)> {
    vec![
        (per_client("window", sliding(3, 60 * SECOND)), 51),
        (per_client("parts", sliding(1000, 64 * SECOND)), 55),
        (per_client("paced", gcra(1, 60 * SECOND, 2)), 50),
        (everyone("all", sliding(2, 60 * SECOND)), 51),
        (
            keyed("tenant", &[WhoPart::Header("x-tenant".parse().expect("a name"))], sliding(2, 60 * SECOND)),
            51,
        ),
        (keyed("network", &[WhoPart::Network, WhoPart::Client], sliding(2, 60 * SECOND)), 51),
    ]
}

/// Promise 3: a limit that was used up stays so over a restart, and gives back when it would have: what was taken
/// at second 100 of a minute's window is back at second 160, which is second 50 of a process that began at 110.
#[test]
fn counters_go_on_after_a_restart() {
    for (limit, back) in kinds() {
        let name = limit.name.clone();
        let saved = Saved::of(vec![limit], Extent::Everything);
        let (engine, loaded) = saved.next(110);
        assert_eq!(loaded.expect("whole"), Some(1), "{name}");
        assert!(!saved.admits(&engine, 0), "{name}");
        assert!(!saved.admits(&engine, 49), "{name}");
        assert!(saved.admits(&engine, back), "{name}");
    }
}

/// Promise 3: what was spent of upstream time stays spent over a restart: of four seconds at 100, with three a minute
/// allowed, three are back at 160, second 50 of the next process, and the fourth is spent then.
#[test]
fn upstream_time_goes_on_after_a_restart() {
    let mut limit = per_client("time", sliding(3_000_000, 60 * SECOND));
    limit.cost = Cost::UpstreamTime;
    let spend = |engine: &Engine, binding: &Binding| {
        let outcome = Outcome {
            at: Moment::from_nanos(100 * SECOND),
            origin: Origin::App,
            status: StatusCode::OK,
            request_bytes: 0,
            response_bytes: 0,
            upstream_time: Duration::from_secs(4),
        };
        engine.observe(binding, engine.admit(binding, &request(100)).1, &outcome);
    };
    let saved = Saved::after(vec![limit], Extent::Everything, spend);
    let (engine, loaded) = saved.next(110);
    assert_eq!(loaded.expect("whole"), Some(1));
    assert!(!saved.admits(&engine, 49));
    // A part of the window late at most, which is half a second.
    assert!(saved.admits(&engine, 51));
}

/// Promise 3: what was back before the next process began is not restored.
#[test]
fn what_is_back_is_not_restored() {
    let saved = Saved::of(vec![per_client("window", sliding(3, 60 * SECOND))], Extent::Everything);
    let (engine, loaded) = saved.next(200);
    assert_eq!(loaded.expect("whole"), Some(0));
    assert!(saved.admits(&engine, 0));
}

/// Promise: quotas survive a crash: what is saved at intervals holds them, and leaves out what is soon back.
#[test]
fn quotas_are_long_lived() {
    let month = per_client("month", quota(4, Period::Month));
    let rolling = per_client("rolling", quota(4, Period::Rolling(Duration::from_nanos(30 * DAY))));
    for limit in [month, rolling] {
        let saved = Saved::of(vec![limit], Extent::LongLived);
        let (engine, loaded) = saved.next(3 * 3600);
        assert_eq!(loaded.expect("whole"), Some(1));
        assert!(!saved.admits(&engine, 0));
        assert!(saved.admits(&engine, 31 * 24 * 3600));
    }
    let saved = Saved::of(vec![per_client("window", sliding(3, 60 * SECOND))], Extent::LongLived);
    assert_eq!(saved.next(110).1.expect("whole"), Some(0));
}

/// Promise: a file that was changed, cut or lengthened anywhere is refused as a whole, and nothing of it counts.
#[test]
fn a_damaged_file_is_refused_whole() {
    let saved = Saved::of(vec![per_client("window", sliding(3, 60 * SECOND))], Extent::Everything);
    let whole = fs::read(saved.path()).expect("a file");
    let refuses = |bytes: &[u8]| {
        fs::write(saved.path(), bytes).expect("written");
        let (engine, loaded) = saved.next(110);
        assert!(matches!(loaded, Err(Refused::Damaged(_))), "{loaded:?}");
        assert_eq!(engine.stats().records, 1, "everyone alone");
        assert!(saved.admits(&engine, 0));
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        refuses(&changed);
        refuses(&whole[..at]);
    }
    refuses(&[&whole[..], &[0]].concat());
}

/// Promise: a file of another version says so, and a file under another key is refused: its hashes mean nobody.
#[test]
fn other_versions_and_keys_are_refused() {
    let saved = Saved::of(vec![per_client("window", sliding(3, 60 * SECOND))], Extent::Everything);
    let mut newer = fs::read(saved.path()).expect("a file");
    newer[8] = 200;
    fs::write(saved.path(), &newer).expect("written");
    assert!(matches!(saved.next(110).1, Err(Refused::Damaged(Damage::OtherVersion(200)))));
    newer[8] = 3;
    fs::write(saved.path(), &newer).expect("written");
    assert_eq!(saved.next(110).1.expect("whole"), Some(1));
    fs::remove_file(saved.directory.path().join("state.key")).expect("removed");
    assert!(matches!(saved.next(110).1, Err(Refused::OtherKey(_))));
}

/// Promise 9: nobody but their owner reads the snapshot and the key. A key file that is none is not overwritten.
#[test]
fn files_are_their_owners() {
    let saved = Saved::of(vec![per_client("window", sliding(3, 60 * SECOND))], Extent::Everything);
    let key = saved.directory.path().join("state.key");
    for path in [&saved.path(), &key] {
        assert_eq!(fs::metadata(path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    fs::write(&key, "not a key").expect("written");
    assert!(Store::open(&saved.path()).is_err());
    assert_eq!(fs::read(&key).expect("a file"), b"not a key");
}

/// Promise: the first start finds nothing, and that is no error.
#[test]
fn there_need_not_be_a_file() {
    let directory = TempDir::new().expect("a directory");
    let (store, key) = Store::open(&directory.path().join("state")).expect("a store");
    let engine = Engine::with_key(1 << 20, key.engine);
    assert!(matches!(store.load(&engine, Moment::ORIGIN), Ok(None)));
}
