//! Detectors and what they know of the site: defaults, what is written, and the reference.

use std::time::Duration;

use http::{Method, StatusCode};
use weir::clause::Behaviour;
use weir::detect;
use weir::policy::conduct::{Addresses, Answer, Conduct};
use weir::policy::describe::{Means, Upholder};
use weir::remedy::Mode;

use super::{MINIMAL, load_text};

fn conduct(more: &str) -> Conduct {
    load_text(&format!("{MINIMAL}{more}")).policy.conduct
}

/// Promise: a newcomer sees findings of every detector at once, and nobody is refused for one.
#[test]
fn every_detector_runs_in_shadow() {
    let policy = load_text(MINIMAL).policy;
    let behaviours: Vec<Behaviour> = policy.conduct.detectors.iter().map(|one| one.behaviour).collect();
    assert_eq!(behaviours, detect::specs().iter().map(|spec| spec.behaviour).collect::<Vec<_>>());
    for detector in &policy.conduct.detectors {
        assert_eq!(detector.mode, Mode::Shadow, "{detector:?}");
        assert!(policy.clause(detector.clause).forbids.contains(&detector.behaviour), "{detector:?}");
        let knobs = detect::spec(detector.behaviour).unwrap().knobs;
        assert_eq!(*detector.thresholds, *knobs.iter().map(|knob| knob.default).collect::<Vec<_>>());
    }
}

/// Promise: what is written of a detector is what runs, and of the others the defaults.
#[test]
fn detectors_run_as_written() {
    let conduct = conduct(
        "[detectors.retry]\nmode = \"enforce\"\nclause = \"load\"\nconfidence = \"95%\"\nanswer = 403\n\
         for = \"1h\"\nexempt = { ranges = [\"192.0.2.0/24\"] }\nrepeats = 50\n\
         [detectors.flood]\nmode = \"off\"\n",
    );
    assert_eq!(conduct.detector(Behaviour::Flood), None);
    assert_eq!(conduct.detectors.len(), detect::specs().len() - 1);
    let retry = conduct.detector(Behaviour::Retry).unwrap();
    assert_eq!((retry.mode, retry.clause.0, retry.answer), (Mode::Enforce, 0, Answer::Forbidden));
    assert_eq!((retry.confidence, retry.lasts), (0.95, Duration::from_secs(3600)));
    assert_eq!((retry.exempt.ranges.len(), &*retry.thresholds), (1, &[50][..]));
    let crawl = conduct.detector(Behaviour::Crawl).unwrap();
    assert_eq!(
        (crawl.confidence, crawl.lasts, crawl.answer),
        (0.8, Duration::from_secs(600), Answer::default())
    );
}

/// Promise: no remedy without a clause: what no clause forbids is not looked for, unless it is given one.
#[test]
fn without_a_clause_nobody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "[[clauses]]\nid = \"load\"\ntitle = \"t\"\ntext = \"x\"\nforbids = [\"load\", \"flood\"]\n";
    std::fs::write(folder.path().join("own.toml"), policy).unwrap();
    let load = |more: &str| {
        let text = format!("{MINIMAL}[policy]\nfile = \"own.toml\"\n{more}");
        weir::config::from_str("test.toml", &text, folder.path())
    };
    let names = |more| {
        let conduct = load(more).unwrap().policy.conduct;
        conduct.detectors.iter().map(|one| one.behaviour.name()).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["flood", "load"]);
    assert_eq!(names("[detectors.crawl]\nclause = \"load\"\n"), ["crawl", "flood", "load"]);
    let refused = load("[detectors.crawl]\n").unwrap_err();
    assert!(refused.to_string().contains("no clause forbids `crawl`"), "{refused}");
}

/// Promise: the site is known as it is written down.
#[test]
fn the_site_is_known_as_written() {
    let usual = conduct("");
    assert_eq!((usual.robots, usual.addresses, usual.memory_bytes(1000)), (true, Addresses::Client, 500));
    assert!(!usual.is_trap("/trap/a") && usual.logins.find(&Method::POST, "/login").is_some());
    let own = conduct(
        "[detection]\ntraps = [\"/trap/**\", \"/secret\"]\nrobots = false\naddresses = \"none\"\n\
         memory_share = \"10%\"\n[[detection.logins]]\npath = [\"/in\", \"/api/token\"]\n\
         succeeded = { status = [200] }\n",
    );
    assert_eq!((own.robots, own.addresses, own.memory_bytes(1000)), (false, Addresses::None, 100));
    assert!(own.is_trap("/trap/a") && own.is_trap("/secret") && !own.is_trap("/"));
    assert_eq!(own.logins.find(&Method::POST, "/login"), None);
    let login = own.logins.find(&Method::POST, "/api/token").unwrap();
    assert!(own.logins.has_failed(login, StatusCode::FOUND) && !own.logins.has_failed(login, StatusCode::OK));
}

/// Promise: config/weir.toml has every threshold of every detector, in its table, with its default.
#[test]
fn the_reference_has_every_threshold() {
    let text = std::fs::read_to_string("config/weir.toml").unwrap();
    for spec in detect::specs() {
        let heading = format!("\n[detectors.{}]", spec.behaviour);
        let (_, table) = text.split_once(&heading).unwrap_or_else(|| panic!("{heading} is missing"));
        let table = table.split("\n[").next().unwrap_or_default();
        for knob in spec.knobs {
            let line = format!("\n# {} = {} ", knob.name, knob.default);
            assert!(table.contains(&line), "{heading} lacks {line}");
        }
    }
}

/// Promise: a rule is in shadow, about everyone, for ten minutes and certain, until something else is said; it stands
/// for its clause; one that is off is left out, and what its expression asks does not depend on how TOML wrote it.
#[test]
fn rules_have_defaults() {
    let rules = r#"
        [[rules]]
        name = "a"
        clause = "custom"
        when = "path == \"/x\" && pages > 3"
        [[rules]]
        name = "b"
        clause = "probe"
        when = 'path == "/x" && pages > 3'
        mode = "enforce"
        [[rules]]
        name = "c"
        clause = "custom"
        when = "true"
        mode = "off"
    "#;
    let policy = load_text(&format!("{MINIMAL}{rules}")).policy;
    assert_eq!(policy.conduct.rules.len(), 2);
    let (a, b) = (&policy.conduct.rules[0], &policy.conduct.rules[1]);
    assert_eq!((a.mode, a.confidence, a.answer), (Mode::Shadow, 1.0, Answer::TooManyRequests));
    assert_eq!((a.lasts, a.of.len(), b.mode), (Duration::from_secs(600), 0, Mode::Enforce));
    assert_eq!(a.when, b.when);
    let upheld = policy.upheld_by();
    let of = |id: &str| &upheld[policy.clauses.iter().position(|clause| clause.id == id).unwrap()];
    let by = |name| Upholder {
        by: Means::Rule(name),
        mode: if name == "a" { Mode::Shadow } else { Mode::Enforce },
    };
    assert!(of("custom").contains(&by("a")) && of("probe").contains(&by("b")));
}
