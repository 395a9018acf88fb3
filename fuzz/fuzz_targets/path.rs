//! Any path under any rules: a reading, if there is one, is canonical and stays as it is. Any host likewise.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::policy::path::{Case, Parameters, PathRules, TrailingSlash, host, normalise};

fuzz_target!(|data: (u8, &str)| {
    let (choice, raw) = data;
    let rules = PathRules {
        trailing_slash: if choice & 1 == 0 { TrailingSlash::Ignore } else { TrailingSlash::Distinct },
        case: if choice & 2 == 0 { Case::Sensitive } else { Case::Insensitive },
        parameters: if choice & 4 == 0 { Parameters::Keep } else { Parameters::Strip },
    };
    let slashes = choice & 8 != 0;
    if let Ok(path) = normalise(raw, &rules, slashes) {
        assert!(path == "*" || path.starts_with('/'));
        assert!(!path.contains("//") && path.split('/').all(|segment| segment != "." && segment != ".."));
        assert_eq!(normalise(&path, &rules, slashes).as_deref(), Ok(&*path));
    }
    if let Ok(name) = host(raw) {
        assert_eq!(host(&name).as_deref(), Ok(&*name));
    }
});
