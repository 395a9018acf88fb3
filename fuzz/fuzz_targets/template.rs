//! Any template and any path: a template covers itself and all that a narrower one matches.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::policy::path::{PathRules, normalise};
use weir::policy::template::Template;

fuzz_target!(|data: (&str, &str, &str)| {
    let (wide, narrow, raw) = data;
    let rules = PathRules::default();
    let (Ok(wide), Ok(narrow)) = (Template::parse(wide, &rules), Template::parse(narrow, &rules)) else {
        return;
    };
    assert!(wide.covers(&wide) && narrow.covers(&narrow));
    if let Ok(path) = normalise(raw, &rules, true) {
        assert!(!wide.covers(&narrow) || !narrow.matches(&path) || wide.matches(&path));
    }
});
