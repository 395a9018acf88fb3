//! What the documents name: files, folders, and modules of this crate, held against those there are.

use super::source::{Source, has_extension, line_of, root, words};

/// The folders of this package that a path in a document begins with.
const FOLDERS: &[&str] = &[".ci/", "benches/", "config/", "deploy/", "docs/", "fuzz/", "src/", "tests/"];

/// Everything that a Markdown file of ours names and that does not exist.
pub(crate) fn findings(files: &[String], sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for path in files.iter().filter(|path| has_extension(path, "md") && !path.starts_with("tests/")) {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        let mut missing = |at: usize, name: &str| {
            findings.push(format!("{path}:{}: {name} does not exist", line_of(&text, at)));
        };
        for (at, name) in quoted(&text) {
            if is_path(name) && !root().join(name).exists() {
                missing(at, name);
            }
        }
        if path == "ARCHITECTURE.md" {
            for (at, name) in items(&text).into_iter().filter(|(_, name)| is_missing_item(name, sources)) {
                missing(at, name);
            }
        }
        for (at, target) in links(&text) {
            let folder = root().join(path);
            let there = folder.parent().is_some_and(|folder| folder.join(target).exists());
            if !there {
                missing(at, target);
            }
        }
    }
    findings
}

/// What stands between backticks on one line, outside fenced blocks.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut fenced, mut start) = (Vec::new(), false, 0);
    for line in text.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced {
            let mut at = start;
            for (index, piece) in line.split('`').enumerate() {
                if index % 2 == 1 {
                    found.push((at, piece));
                }
                at += piece.len() + 1;
            }
        }
        start += line.len();
    }
    found
}

/// Paths into a crate, such as `policy::RouteId`, wherever they stand, pictures included.
fn items(text: &str) -> Vec<(usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(|c| !is_part(c)) {
        let name = piece.trim_end_matches(|c| !is_part(c)).trim_end_matches(':');
        if name.contains("::") {
            found.push((at, name));
        }
        at += piece.len();
    }
    found
}

/// The targets of links to files: `[text](target)`, without the part behind `#`.
fn links(text: &str) -> Vec<(usize, &str)> {
    text.match_indices("](")
        .filter_map(|(at, _)| {
            let target = text[at + 2..].split([')', '#', ' ', '\n']).next()?;
            (!target.is_empty() && !target.contains(':')).then_some((at, target))
        })
        .collect()
}

fn is_path(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
    plain && FOLDERS.iter().any(|folder| name.starts_with(folder))
}

/// Whether `name` is a path into this crate, such as `policy::path` or `policy::RouteId`, and leads nowhere.
fn is_missing_item(name: &str, sources: &[Source]) -> bool {
    let Some((module, item)) = name.split_once("::") else { return false };
    let inside = format!("src/{}", module.to_lowercase());
    let mut of_module = sources.iter().filter(|source| source.path.starts_with(&inside)).peekable();
    let last = item.rsplit("::").next().unwrap_or(item);
    of_module.peek().is_some() && !of_module.any(|source| declares(source, last))
}

fn declares(source: &Source, name: &str) -> bool {
    ["mod", "fn", "struct", "enum", "trait", "const", "type"]
        .iter()
        .any(|kind| !words(&source.code, &format!("{kind} {name}")).is_empty())
}
