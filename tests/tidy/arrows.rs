//! Which module may import which: the table, and what in the sources contradicts it.

use super::source::{Source, behind_bracket, name_at, words};

/// A module, or one part of it (the longest that matches counts), and what it may import besides itself. `policy`
/// stands for all of the module, `policy::RouteId` for that name alone.
const ARROWS: &[(&str, &[&str])] = &[
    // 0 vocabulary. The ids are plain numbers; that they are declared beside what they number is no dependency.
    ("build_info", &[]),
    ("time", &[]),
    ("clause", &[]),
    ("facts", &["time", "policy::RouteId"]),
    ("remedy", &["policy::LimitId"]),
    // 1 mechanisms
    ("limit", &["time"]),
    // 2 policy: what was written, what can run, and the one step from the first to the second.
    ("config", &["clause", "remedy", "policy"]),
    ("policy", &["clause", "remedy"]),
    ("policy::compile", &["clause", "remedy", "config"]),
    // 3 engine
    ("engine", &["clause", "facts", "limit", "policy", "remedy", "time"]),
    // 4 drivers. proxy and admin never import each other: cli::run joins them.
    ("clock", &["time"]),
    ("metrics", &["build_info", "clause", "engine", "facts", "policy", "remedy", "time"]),
    ("logs", &["clause", "facts", "policy", "remedy", "time"]),
    ("proxy", &["clause", "clock", "engine", "facts", "logs", "metrics", "policy", "remedy", "time"]),
    ("admin", &["build_info", "clause", "clock", "engine", "facts", "metrics", "policy", "remedy", "time"]),
    // 5 edge
    ("cli", &[EVERYTHING]),
];

/// The edge joins what may not know each other.
const EVERYTHING: &str = "*";

/// The modules that build without the `proxy` feature.
const PURE: &[&str] = &["clause", "config", "engine", "facts", "limit", "policy", "remedy", "time"];

/// One import: where, and of what, as a path below the crate.
pub(crate) struct Import {
    pub(crate) at: usize,
    pub(crate) path: String,
}

/// Whether a file belongs to layers 0 to 3.
pub(crate) fn is_pure(path: &str) -> bool {
    module_of(path).first().is_some_and(|module| PURE.contains(&module.as_str()))
}

/// Every import that the table does not allow, and every module that it does not know.
pub(crate) fn findings(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let module = module_of(&source.path).join("::");
        if module.is_empty() {
            continue; // lib.rs and main.rs: they declare and start, nothing else
        }
        let Some(allowed) = allowed(&module) else {
            findings.push(format!("{}: no row in the table; give its module a layer", source.path));
            continue;
        };
        for import in imports(source) {
            if !is_allowed(&module, allowed, &import.path) {
                findings.push(format!("{}: {module} imports {}", source.place(import.at), import.path));
            }
        }
    }
    findings
}

/// What shipped code names of this crate outside its own module: `crate::…` and `super::…` that leave it.
pub(crate) fn imports(source: &Source) -> Vec<Import> {
    let mut found = Vec::new();
    for at in words(&source.shipped, "crate::") {
        if !source.shipped[..at].ends_with('$') {
            expand(source, at, at + "crate::".len(), &mut found);
        }
    }
    let depth = module_of(&source.path).len();
    for at in words(&source.shipped, "super::") {
        let behind = &source.shipped[at..];
        let supers = behind.len() - behind.trim_start_matches("super::").len();
        let starts_here = !source.shipped[..at].ends_with("super::");
        if starts_here && supers / "super::".len() >= depth {
            expand(source, at, at + supers, &mut found);
        }
    }
    found
}

/// The paths that begin at `from`: one, or those of a `{…}` group.
fn expand(source: &Source, at: usize, from: usize, found: &mut Vec<Import>) {
    let code = &source.shipped;
    if !code[from..].starts_with('{') {
        found.push(Import { at, path: two_names(&code[from..]) });
        return;
    }
    let end = behind_bracket(code, from).unwrap_or(code.len());
    let mut item = from + 1;
    let mut depth = 0_usize;
    for (offset, c) in code[from + 1..end].char_indices() {
        let here = from + 1 + offset;
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let path = two_names(code[item..here].trim_start());
                if !path.is_empty() {
                    found.push(Import { at, path });
                }
                item = here + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The first two names of a path: `policy::RouteId`; one where it ends or opens a group.
fn two_names(code: &str) -> String {
    let first = name_at(code);
    match code[first.len()..].strip_prefix("::").map(name_at) {
        Some(second) if !second.is_empty() => format!("{first}::{second}"),
        _ => first.to_owned(),
    }
}

fn is_allowed(module: &str, allowed: &[&str], import: &str) -> bool {
    let own = module.split("::").next().unwrap_or(module);
    let of = import.split("::").next().unwrap_or(import);
    of == own || [EVERYTHING, of, import].iter().any(|name| allowed.contains(name))
}

/// The row of a module: the longest one that covers it.
fn allowed(module: &str) -> Option<&'static [&'static str]> {
    ARROWS
        .iter()
        .filter(|(row, _)| {
            module.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        .max_by_key(|(row, _)| row.len())
        .map(|&(_, allowed)| allowed)
}

/// `src/proxy/pool.rs` is `[proxy, pool]`, `src/proxy/mod.rs` is `[proxy]`, `src/lib.rs` is `[]`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut names: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        names.pop();
    }
    names
}
