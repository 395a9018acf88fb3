//! Any lines as an access log of any format: reading them never panics, what a line says does not depend on the lines
//! before it, and whatever is read can be judged.

#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use weir::config;
use weir::replay::Replay;
use weir::replay::formats::fields::Fields;
use weir::replay::formats::{Format, LineReader};

/// One for all inputs: a new one for each would take most of the time.
static REPLAY: LazyLock<Mutex<Replay>> = LazyLock::new(|| {
    let text = "[listen]\nproxy = \"127.0.0.1:0\"\n[upstreams.app]\nservers = [\"127.0.0.1:1\"]\n\
        [[limits]]\nname = \"all\"\nkey = [\"client\"]\nrate = \"2/1m\"\n";
    let policy = config::from_str("weir.toml", text, Path::new(".")).expect("a sound configuration").policy;
    Mutex::new(Replay::new(Arc::new(policy), 1 << 20))
});

fuzz_target!(|data: &[u8]| {
    let mut replay = REPLAY.lock().expect("a panic ends it all");
    let mut any = LineReader::default();
    let mut each = Format::ALL.map(|format| LineReader::new(Some(format), Fields::default()));
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let text = any.read(line, |entry| {
            replay.judge(entry);
            format!("{entry:?}")
        });
        let of_each = each.each_mut().map(|reader| reader.read(line, |entry| format!("{entry:?}")));
        let alone = Format::ALL.map(|format| {
            LineReader::new(Some(format), Fields::default()).read(line, |entry| format!("{entry:?}"))
        });
        assert_eq!(of_each, alone);
        // Whatever is read as any format is what one of them says.
        assert!(text.is_none() || alone.contains(&text));
    }
});
