//! No spelling of a path that the application would serve escapes its template.

use proptest::prelude::*;
use weir::policy::path::{Case, Parameters, PathRules, TrailingSlash, normalise};
use weir::policy::template::Template;

fn rules() -> impl Strategy<Value = PathRules> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(slash, case, parameters)| PathRules {
        trailing_slash: if slash { TrailingSlash::Ignore } else { TrailingSlash::Distinct },
        case: if case { Case::Sensitive } else { Case::Insensitive },
        parameters: if parameters { Parameters::Keep } else { Parameters::Strip },
    })
}

/// Paths of every kind, made of what matters to the reading.
fn raw_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "%2e", "%2E", "%2f", "%5C", "\\", "%25", "%20", "%c3", "%7E", "%41", "%",
        "%0", "%00", ";", "%3b", "a", "B", "é", " ", "*", "?", "~", ":",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// What an application serves: names after decoding, none of them special.
fn resource() -> impl Strategy<Value = Vec<String>> {
    let name = "[a-zA-Z0-9 \"<é!$'()*+,=:@~_-]{1,6}(\\.[a-z]{1,3})?";
    prop::collection::vec(name, 1..5)
}

/// How an attacker writes one octet, and what is put before a segment.
#[derive(Clone, Copy, Debug)]
struct Disguise {
    octet: u8,
    before: u8,
}

/// Writes `resource` as disguised as RFC 3986 lets it be without another meaning.
fn spell(resource: &[String], disguises: &[Disguise], rules: PathRules) -> String {
    let mut disguises = disguises.iter().copied().cycle();
    let mut next = || disguises.next().unwrap_or(Disguise { octet: 0, before: 0 });
    let mut spelling = String::new();
    // An empty segment before `..` is read in two ways, so only one kind is mixed in.
    let dots = next().before % 2 == 0;
    for name in resource {
        spelling.push_str(match (next().before % 5, dots) {
            (1, true) => "/.",
            (2, true) => "/x/%2e.",
            (3, true) => "/%2E",
            (1..=3, false) => "//",
            _ => "",
        });
        spelling.push('/');
        for octet in name.bytes() {
            let disguise = next().octet;
            let octet = match rules.case {
                Case::Insensitive if disguise & 4 != 0 => octet.to_ascii_uppercase(),
                _ => octet,
            };
            let must_encode = !octet.is_ascii() || matches!(octet, b' ' | b'"' | b'<');
            match disguise % 4 {
                1 => spelling.push_str(&encoded(octet)),
                2 => spelling.push_str(&encoded(octet).to_lowercase()),
                _ if must_encode => spelling.push_str(&encoded(octet)),
                _ => spelling.push(char::from(octet)),
            }
        }
        if rules.parameters == Parameters::Strip && next().before % 3 == 0 {
            spelling.push_str(";v=%31");
        }
    }
    if rules.trailing_slash == TrailingSlash::Ignore && next().before % 3 == 0 {
        spelling.push('/');
    }
    spelling
}

/// The reference: the canonical path, written down from its definition instead of parsed.
fn canonical(resource: &[String], rules: PathRules) -> String {
    let mut path = String::new();
    for name in resource {
        path.push('/');
        for octet in name.bytes() {
            let octet = if rules.case == Case::Insensitive { octet.to_ascii_lowercase() } else { octet };
            if octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&octet) {
                path.push(char::from(octet));
            } else {
                path.push_str(&encoded(octet));
            }
        }
    }
    path
}

fn encoded(octet: u8) -> String {
    format!("%{octet:02X}")
}

fn disguises() -> impl Strategy<Value = Vec<Disguise>> {
    prop::collection::vec(
        (any::<u8>(), any::<u8>()).prop_map(|(octet, before)| Disguise { octet, before }),
        1..60,
    )
}

fn template() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "*", "{id}"]);
    (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, open)| {
        let mut written: String = segments.iter().flat_map(|s| ["/", s]).collect();
        match (open, written.is_empty()) {
            (true, _) => written.push_str("/**"),
            (false, true) => written.push('/'),
            (false, false) => {}
        }
        written
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Every spelling of a resource has the one canonical reading.
    #[test]
    fn every_spelling_has_one_reading(resource in resource(), disguises in disguises(), rules in rules()) {
        let spelling = spell(&resource, &disguises, rules);
        let reading = normalise(&spelling, &rules, false);
        let canonical = canonical(&resource, rules);
        prop_assert_eq!(reading.as_deref(), Ok(canonical.as_str()), "{}", spelling);
    }

    /// A limit on a resource holds for every spelling of it: none escapes the template.
    #[test]
    fn no_spelling_escapes_its_template(resource in resource(), disguises in disguises(), rules in rules()) {
        prop_assume!(!resource.iter().any(|name| name.contains('*')));
        let written = format!("/{}", resource.join("/"));
        let exact = Template::parse(&written, &rules).unwrap();
        let open = Template::parse(&format!("{written}/**"), &rules).unwrap();
        let spelling = spell(&resource, &disguises, rules);
        let path = normalise(&spelling, &rules, false).unwrap();
        prop_assert!(exact.matches(&path) && open.matches(&path), "{} read as {}", spelling, path);
    }

    /// Reading a reading changes nothing, and a reading holds nothing that has another spelling.
    #[test]
    fn reading_is_idempotent(raw in raw_path(), rules in rules(), slashes in any::<bool>()) {
        if let Ok(path) = normalise(&raw, &rules, slashes) {
            let again = normalise(&path, &rules, slashes);
            prop_assert_eq!(again.as_deref(), Ok(&*path));
            prop_assert!(path.starts_with('/') && path.is_ascii() && !path.contains("//"));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(!path.contains(|c: char| !c.is_ascii_graphic() || "\"#<>?[\\]^`{|}".contains(c)), "{}", path);
        }
    }

    /// Allowing encoded slashes changes no reading of a path without them.
    #[test]
    fn allowing_slashes_only_allows(raw in raw_path(), rules in rules()) {
        if let Ok(path) = normalise(&raw, &rules, false) {
            let allowed = normalise(&raw, &rules, true);
            prop_assert_eq!(allowed.as_deref(), Ok(&*path));
        }
    }

    /// One template covers another exactly when no path tells them apart.
    #[test]
    fn covering_is_what_matching_says(wide in template(), narrow in template()) {
        let rules = PathRules::default();
        let (wide, narrow) = (Template::parse(&wide, &rules).unwrap(), Template::parse(&narrow, &rules).unwrap());
        // `c` stands for every name that no template has; four segments are one more than any template has.
        let mut paths = vec![String::new()];
        for length in 0..4 {
            let longer: Vec<_> = paths
                .iter()
                .filter(|path| path.matches('/').count() == length)
                .flat_map(|path| ["a", "b", "c"].map(|name| format!("{path}/{name}")))
                .collect();
            paths.extend(longer);
        }
        let paths = paths.iter().map(|path| if path.is_empty() { "/" } else { path });
        let escaped = paths.chain(["*"]).find(|path| narrow.matches(path) && !wide.matches(path));
        prop_assert_eq!(wide.covers(&narrow), escaped.is_none(), "{:?}", escaped);
    }
}
