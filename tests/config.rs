//! What is accepted as configuration, and what a person is told when it is not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails by a panic")]

#[path = "config/conduct.rs"]
mod conduct;
#[path = "config/identity.rs"]
mod identity;
#[path = "config/layers.rs"]
mod layers;
#[path = "config/limits.rs"]
mod limits;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use weir::config::{self, Diagnostics, Loaded, TABLES};
use weir::policy::{Bound, ForwardedHeader, Policy, describe::describe};
use weir::remedy::Mode;

/// Every bad file in tests/config_bad has a file beside it that says what its author must be told: where, the
/// text that is meant, what is wrong, what was expected, and the nearest name. The expectations were written
/// from what a person needs, before the messages.
///
/// Promise: all errors come at once, each with file, line, column, what was expected and the nearest name.
#[test]
fn bad_files_are_answered_as_expected() {
    let mut wrong = String::new();
    let files = toml_files(Path::new("tests/config_bad"));
    assert!(files.len() >= 25, "only {} bad files were found", files.len());
    for file in files {
        let expected = std::fs::read_to_string(file.with_extension("expected")).unwrap();
        let told = match config::load(&file) {
            Ok(_) => "(accepted)\n".to_owned(),
            Err(found) => told(&found),
        };
        if told != expected {
            let _ = write!(wrong, "\n{}\n--- expected\n{expected}--- told\n{told}", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Promise: each file that operators were shown is accepted as it stands, tls.toml with its certificate beside it; each
/// bad one is refused.
#[test]
fn the_acceptance_files_are_answered_as_promised() {
    let folder = Path::new("../shared/acceptance");
    if !folder.is_dir() {
        eprintln!("passed without a look: there is no {}", folder.display());
        return;
    }
    for name in ["quickstart.toml", "weir.toml"] {
        if let Err(found) = config::load(&folder.join(name)) {
            panic!("{name} is refused:\n{found}");
        }
    }
    let tls = config::load(&folder.join("tls.toml")).unwrap_err();
    let missing: Vec<_> = tls.list.iter().map(|found| tls.locate(found.place).1.line).collect();
    assert_eq!(missing, [8, 8], "nothing but its two files: {tls}");
    for (name, line, words) in [
        ("bad-rate.toml", 8, "100 per banana"),
        ("duplicate-limit.toml", 11, "\"x\""),
        ("missing-rate.toml", 6, "`rate`"),
        ("override-of-nothing.toml", 10, "did you mean `per-account`?"),
        ("unknown-key.toml", 6, "did you mean `limits`?"),
        ("unknown-upstream.toml", 8, "did you mean `app`?"),
    ] {
        let found = config::load(&folder.join("bad").join(name)).unwrap_err();
        assert_eq!(found.errors(), 1, "{name}: {found}");
        assert_eq!(found.locate(found.list[0].place).1.line, line, "{name}: {found}");
        assert!(found.to_string().contains(words), "{name}: {found}");
        assert!(found.list[0].expected.is_some(), "{name}: {found}");
    }
}

/// Promise: the shipped files are accepted, without a warning.
#[test]
fn the_shipped_files_are_valid() {
    for name in ["config/weir.toml", "config/minimal.toml"] {
        match config::load(Path::new(name)) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
            Err(found) => panic!("{name} is refused:\n{found}"),
        }
    }
}

/// Promise: config/weir.toml is the reference: each key that the reader knows stands in it, set or in a comment.
#[test]
fn the_reference_has_every_key() {
    let text = std::fs::read_to_string("config/weir.toml").unwrap();
    let missing: Vec<String> = TABLES
        .iter()
        .flat_map(|table| table.keys.iter().map(|key| (table.title, *key)))
        .filter(|(_, key)| !is_mentioned(&text, key))
        .map(|(title, key)| format!("{key} of {title}"))
        .collect();
    assert!(missing.is_empty(), "config/weir.toml does not mention {missing:?}");
}

/// Promise: the comments in config/weir.toml speak the truth: with every commented default switched on, the
/// policy is the same.
#[test]
fn the_reference_states_the_defaults() {
    let text = std::fs::read_to_string("config/weir.toml").unwrap();
    let uncommented: String = text.lines().flat_map(|line| [uncomment_default(line), "\n"]).collect();
    assert_ne!(text, uncommented);
    let as_written = load_text(&text);
    let with_defaults = load_text(&uncommented);
    assert_eq!(describe(&as_written.policy), describe(&with_defaults.policy));
}

/// Promise: a change of any file that took part is noticed.
#[test]
fn every_file_that_takes_part_is_watched() {
    let loaded = config::load(Path::new("config/weir.toml")).unwrap();
    let names = ["config/weir.toml", "config/policy.toml", "config/accounts.toml"];
    assert_eq!(loaded.files, names.map(PathBuf::from));
}

/// Promise: the least that a person writes is protected by the stated defaults.
#[test]
fn the_least_gets_the_defaults() {
    let policy = load_text(MINIMAL).policy;
    assert_eq!(policy.enforcement.mode, Mode::Enforce);
    assert_eq!(policy.client.ipv6, 64);
    assert_eq!(policy.http.head_bytes_max, 65_536);
    assert_eq!(policy.timeouts.head_read, Duration::from_secs(10));
    assert_eq!(policy.timeouts.total, Some(Duration::from_secs(3600)));
    assert_eq!(policy.shutdown.drain_timeout, Duration::from_secs(30));
    assert_eq!(policy.routes[0].path.as_str(), "/**");
    assert_eq!(policy.find_route("any.example", "/any/path").map(|id| id.0), Some(0));
    let limit = &policy.limits[0];
    assert_eq!(policy.clause(limit.clause).id, "load");
    let window = Duration::from_secs(10);
    assert_eq!(limit.bound, Bound::SlidingWindow { units: 100.try_into().unwrap(), window });
}

/// Promise: nobody believes to be protected by what is not upheld yet: such a limit is left out, and named.
#[test]
fn what_has_no_effect_is_named() {
    let mut text =
        format!("{MINIMAL}[[limits]]\nname = \"shape\"\nkey = [\"fingerprint\"]\nrate = \"1/s\"\n");
    text.push_str("[detectors.crawl]\n[detectors.spam]\n[detectors.surf]\nmode = \"off\"\n[detectors.load]\n[standing]\n");
    let Policy { limits: upheld, without_effect, .. } = load_text(&text).policy;
    assert_eq!(upheld.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["per-client"]);
    let mut parts: Vec<&str> = without_effect.iter().map(|part| part.part.as_str()).collect();
    parts.sort_unstable();
    assert_eq!(parts, ["detectors.load", "detectors.spam", "limits.shape", "standing"]);
}

/// Promise: what was written is what runs: bounds, keys and matches.
#[test]
fn limits_run_as_written() {
    let limits = "\
        [[limits]]\nname = \"paced\"\nkey = [\"everyone\"]\nrate = \"1M/30d\"\nalgorithm = \"gcra\"\n\
        [[limits]]\nname = \"burst\"\nkey = [\"route\"]\nrate = \"600/min\"\nalgorithm = \"gcra\"\nburst = 50\n\
        [[limits]]\nname = \"flight\"\nkey = [\"client\", \"upstream\", \"method\"]\nconcurrency = 8\n\
        match = { path = [\"/a/*\", \"/b\"], method = \"GET\", host = \"*.Example.COM\" }\nclause = \"dos\"\n";
    let policy = load_text(&format!("{MINIMAL}{limits}")).policy;
    let [_, paced, burst, flight] = policy.limits.as_slice() else { panic!("{:?}", policy.limits) };

    let month = Duration::from_secs(30 * 24 * 60 * 60);
    let units = 1_000_000.try_into().unwrap();
    assert_eq!(paced.bound, Bound::Gcra { units, window: month, burst: 1.try_into().unwrap() });
    assert_eq!(paced.key.parts(), ["everyone"]);
    let (units, window) = (600.try_into().unwrap(), Duration::from_secs(60));
    assert_eq!(burst.bound, Bound::Gcra { units, window, burst: 50.try_into().unwrap() });
    assert_eq!(burst.key.parts(), ["everyone", "route"]);

    assert_eq!(flight.bound, Bound::Concurrency { requests: 8.try_into().unwrap() });
    assert_eq!(flight.key.parts(), ["client", "upstream", "method"]);
    assert_eq!(policy.clause(flight.clause).id, "dos");
    assert!(flight.matches.covers(&Method::HEAD, "a.example.com", "/a/x"));
    assert!(flight.matches.covers(&Method::GET, "a.example.com", "/b"));
    assert!(!flight.matches.covers(&Method::POST, "a.example.com", "/b"));
    assert!(!flight.matches.covers(&Method::GET, "example.com", "/b"));
    assert!(!flight.matches.covers(&Method::GET, "a.example.com", "/c"));
}

/// Promise: a listener's own words go before those of `[listen]`, and only for it.
#[test]
fn listeners_differ_in_whom_they_trust() {
    let text = "\
        [listen]\ntrusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]\nproxy = [\"127.0.0.1:1\", \
        { address = \"127.0.0.1:2\", trusted_proxies = [] }, \
        { address = \"[::1]:3\", forwarded_header = \"CF-Connecting-IP\" }]\n\
        [upstreams.app]\nservers = [\"127.0.0.1:3000\"]\n";
    let listeners = load_text(text).policy.listen.proxy;
    let [plain, alone, other] = listeners.as_slice() else { panic!("{listeners:?}") };
    assert!(plain.trust.covers("10.1.2.3".parse().unwrap()));
    assert!(plain.trust.covers("::ffff:192.0.2.1".parse().unwrap()));
    assert!(!plain.trust.covers("192.0.2.2".parse().unwrap()));
    assert_eq!(plain.trust.header, ForwardedHeader::XForwardedFor);
    assert!(!alone.trust.covers("10.1.2.3".parse().unwrap()));
    assert!(other.trust.covers("10.1.2.3".parse().unwrap()));
    assert_eq!(other.trust.header, ForwardedHeader::Single("cf-connecting-ip".parse().unwrap()));
}

/// Promise: what can run but is probably not meant is a warning, and does not stop weir.
#[test]
fn doubtful_things_are_warned_of() {
    let text = "\
        [listen]\nproxy = \"127.0.0.1:8080\"\nadmin = \"0.0.0.0:9900\"\ntrusted_proxies = [\"0.0.0.0/0\"]\n\
        [upstreams.app]\nservers = [\"127.0.0.1:3000\"]\n[upstreams.idle]\nservers = [\"127.0.0.1:3001\"]\n\
        [[routes]]\npath = \"/**\"\nupstream = \"app\"\n";
    let warnings = load_text(text).warnings;
    assert_eq!((warnings.errors(), warnings.warnings()), (0, 3), "{warnings}");
    for words in ["is not on loopback", "trusts everyone's forwarding header", "no route leads to"] {
        assert!(warnings.to_string().contains(words), "{words}: {warnings}");
    }
}

const MINIMAL: &str = "\
    [listen]\nproxy = \"127.0.0.1:8080\"\n[upstreams.app]\nservers = [\"127.0.0.1:3000\"]\n\
    [[limits]]\nname = \"per-client\"\nkey = [\"client\"]\nrate = \"100/10s\"\n";

fn load_text(text: &str) -> Loaded {
    match config::from_str("test.toml", text, Path::new("config")) {
        Ok(loaded) => loaded,
        Err(found) => panic!("{found}"),
    }
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// The form of the `.expected` files.
fn told(found: &Diagnostics) -> String {
    let mut out = String::new();
    for diagnostic in &found.list {
        let (file, position) = found.locate(diagnostic.place);
        let text = &found.file(diagnostic.place.file).unwrap().text;
        let meant = text.get(diagnostic.place.start..diagnostic.place.end).unwrap();
        let name = Path::new(file).file_name().unwrap_or(file.as_ref()).display();
        let line = format!("{name}:{}:{}: {meant}", position.line, position.column);
        let _ =
            writeln!(out, "{}\n  {}: {}", line.trim_end(), diagnostic.severity.name(), diagnostic.message);
        if let Some(expected) = &diagnostic.expected {
            let _ = writeln!(out, "  expected {expected}");
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(out, "  help: {help}");
        }
    }
    out
}

/// `key =`, `key.`, `.key` or `[key` as a word of its own.
fn is_mentioned(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(at, _)| {
        let before = text[..at].chars().next_back().unwrap_or('\n');
        let after = text[at + key.len()..].trim_start_matches(' ');
        let starts = !before.is_alphanumeric() && before != '_';
        starts && (after.starts_with(['=', '.', ']']))
    })
}

/// A line `# key = value   # comment` without its first `#`, unless its comment says that it is no default.
fn uncomment_default(line: &str) -> &str {
    let Some(setting) = line.strip_prefix("# ") else { return line };
    let key = setting.split(" = ").next().unwrap_or_default();
    let is_key =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit());
    let is_example = setting.contains("default: ") || NO_DEFAULTS.contains(&key);
    if is_key && setting.contains(" = ") && !is_example { setting } else { line }
}

/// Keys that a comment shows by an example, as the default is to have none.
const NO_DEFAULTS: [&str; 6] =
    ["health_check", "learn_account_from", "access", "clause", "path", "proxy_tls"];
