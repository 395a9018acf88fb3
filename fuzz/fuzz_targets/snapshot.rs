//! Any bytes as the snapshot of an engine, under a checksum that fits: it is refused, or what is restored from it can be
//! saved again.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use weir::config;
use weir::engine::{Engine, Extent};
use weir::store::Store;
use weir::time::Moment;

const NOW: Moment = Moment::from_nanos(1_700_000_000_000_000_000);
/// `weirsnap` and the version.
const BEFORE_HEAD: usize = 12;

/// In memory where the system has such a directory: a file is written for each input.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = Path::new("/dev/shm");
    let directory = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    directory.join(format!("weir-fuzz-{}", std::process::id()))
});

/// A file as weir writes it, from its beginning to the end of its head.
static BEGINNING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (store, _) = Store::open(&FILE).expect("a directory to write in");
    store.save(&engine(), Extent::Everything, NOW).expect("room for it");
    let whole = fs::read(&*FILE).expect("it was written");
    let length = whole[BEFORE_HEAD..BEFORE_HEAD + 4].try_into().expect("four bytes");
    whole[..BEFORE_HEAD + 4 + u32::from_le_bytes(length) as usize].to_vec()
});

/// One for all inputs: a new one for each would take most of the time, and what it holds is bounded.
static ENGINE: LazyLock<Engine> = LazyLock::new(engine);

fn engine() -> Engine {
    let engine = Engine::with_key(1 << 20, [7; 16]).watching(1 << 20);
    let text = "[listen]\nproxy = \"127.0.0.1:0\"\n[upstreams.app]\nservers = [\"127.0.0.1:1\"]\n[[limits]]\nname = \"all\"\nkey = [\"client\"]\nrate = \"2/1m\"\n";
    let policy = config::from_str("weir.toml", text, Path::new(".")).expect("a sound configuration").policy;
    // So that the head has names of limits.
    drop(engine.bind(policy.into()));
    engine
}

fuzz_target!(|data: &[u8]| {
    let Some((&keeps_head, data)) = data.split_first() else { return };
    let mut bytes = if keeps_head % 4 == 0 { BEGINNING[..BEFORE_HEAD].to_vec() } else { BEGINNING.clone() };
    // Two parts, cut where the first byte says; an empty one would be the end.
    let (first, second) = data.split_at(data.len() * usize::from(keeps_head) / 256);
    for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
        bytes.extend(u32::try_from(part.len()).expect("a small input").to_le_bytes());
        bytes.extend(part);
    }
    bytes.extend([0; 4]);
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    fs::write(&*FILE, &bytes).expect("room for it");

    let (store, _) = Store::open(&FILE).expect("a directory to write in");
    if store.load(&ENGINE, NOW).is_ok() {
        assert!(store.save(&ENGINE, Extent::Everything, NOW).is_ok());
        assert!(store.load(&ENGINE, NOW).is_ok());
    }
});
