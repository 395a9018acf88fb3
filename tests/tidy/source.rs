//! Rust source as text, cut just finely enough for the rules: comments and strings apart from code, tests apart
//! from what ships. Not a parser: what a macro hides from it, it does not see.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// One file of this package.
pub(crate) struct Source {
    /// From the package root, with `/`: `src/proxy/mod.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of strings blanked; same length, same lines.
    pub(crate) code: String,
    /// The text with comments blanked, strings kept.
    pub(crate) uncommented: String,
    /// `code`, with tests blanked as well.
    pub(crate) shipped: String,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let (code, uncommented) = blank_comments(&text);
        let tests =
            if is_test_file(&path) { vec![Range { start: 0, end: code.len() }] } else { tests_in(&code) };
        let mut shipped = code.clone();
        for test in &tests {
            shipped.replace_range(test.clone(), &blank(&code[test.clone()]));
        }
        Source { path, text, code, uncommented, shipped, tests }
    }

    /// `path:line` of a byte offset, as editors understand it.
    pub(crate) fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, line_of(&self.text, offset))
    }

    /// Whether the byte at `offset` is part of a test.
    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|test| test.contains(&offset))
    }

    /// The functions that have a body.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        words(&self.code, "fn").into_iter().filter_map(|at| function_at(&self.code, at)).collect()
    }
}

/// A function, from `fn` to its closing brace.
pub(crate) struct Function<'s> {
    pub(crate) name: &'s str,
    pub(crate) at: usize,
    pub(crate) lines: usize,
}

/// The Rust files below some folders of the package, in a stable order.
pub(crate) fn sources_in(folders: &[&str]) -> Vec<Source> {
    files_in(folders)
        .into_iter()
        .filter(|path| has_extension(path, "rs"))
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).expect("sources are UTF-8");
            Source::new(path, text)
        })
        .collect()
}

/// Every file below some folders of the package (`""`: the package), but for what is built or belongs to git.
pub(crate) fn files_in(folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending: Vec<String> = folders.iter().map(ToString::to_string).collect();
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !["target", ".git"].contains(&name.as_str()) => {
                    pending.push(path);
                }
                Ok(kind) if kind.is_file() && name != ".git" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

/// Where `needle` stands in `code` as whole words: not as part of a longer name.
pub(crate) fn words(code: &str, needle: &str) -> Vec<usize> {
    code.match_indices(needle)
        .map(|(at, _)| at)
        .filter(|&at| {
            let before = code[..at].chars().next_back();
            let after = code[at + needle.len()..].chars().next();
            let part_before = needle.starts_with(is_name) && before.is_some_and(is_name);
            let part_behind = needle.ends_with(is_name) && after.is_some_and(is_name);
            !part_before && !part_behind
        })
        .collect()
}

/// The name at the start of `code`, perhaps empty.
pub(crate) fn name_at(code: &str) -> &str {
    &code[..code.find(|c| !is_name(c)).unwrap_or(code.len())]
}

/// The offset behind the bracket that closes the one at `open`.
pub(crate) fn behind_bracket(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/simulation/")
}

fn function_at(code: &str, at: usize) -> Option<Function<'_>> {
    let behind = code[at + "fn".len()..].trim_start();
    let name = name_at(behind);
    if name.is_empty() {
        return None; // a type such as `fn(u8) -> u8`
    }
    // The body opens at the first brace outside any bracket; a semicolon there means that there is none.
    let mut from = at;
    loop {
        let next = from + code[from..].find(['(', '[', '{', ';'])?;
        match code.as_bytes()[next] {
            b';' => return None,
            b'{' => {
                let end = behind_bracket(code, next)?;
                let lines = line_of(code, end) - line_of(code, at) + 1;
                return Some(Function { name, at, lines });
            }
            _ => from = behind_bracket(code, next)?,
        }
    }
}

/// Every item under `#[cfg(test)]`.
fn tests_in(code: &str) -> Vec<Range<usize>> {
    let end_of_item = |from: usize| {
        let opens = from + code[from..].find(['{', ';'])?;
        if code[opens..].starts_with(';') { Some(opens + 1) } else { behind_bracket(code, opens) }
    };
    code.match_indices("#[cfg(test)]").map(|(at, _)| at..end_of_item(at).unwrap_or(code.len())).collect()
}

/// As many bytes, the same lines, nothing else.
fn blank(text: &str) -> String {
    text.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
}

/// The text without comments and string contents, and the text without comments only.
fn blank_comments(text: &str) -> (String, String) {
    let (mut code, mut uncommented) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let previous = text[..text.len() - rest.len()].chars().next_back();
        let (length, kind) =
            token(rest, previous.is_some_and(is_name)).unwrap_or((first.len_utf8(), Token::Code));
        let (this, behind) = rest.split_at(length.min(rest.len()));
        match kind {
            Token::Code => {
                code.push_str(this);
                uncommented.push_str(this);
            }
            Token::Comment => {
                code.push_str(&blank(this));
                uncommented.push_str(&blank(this));
            }
            Token::Literal => {
                code.push_str(&blank(this));
                uncommented.push_str(this);
            }
        }
        rest = behind;
    }
    (code, uncommented)
}

enum Token {
    Code,
    Comment,
    Literal,
}

/// The comment or literal at the start of `rest`, and its length in bytes.
fn token(rest: &str, inside_name: bool) -> Option<(usize, Token)> {
    if rest.starts_with("//") {
        return Some((rest.find('\n').unwrap_or(rest.len()), Token::Comment));
    }
    if rest.starts_with("/*") {
        return Some((block_comment(rest), Token::Comment));
    }
    if !inside_name && let Some(length) = raw_string(rest) {
        return Some((length, Token::Literal));
    }
    if rest.starts_with('"') {
        return Some((quoted(rest, '"'), Token::Literal));
    }
    if let Some(behind) = rest.strip_prefix('\'') {
        // A character, or else a lifetime.
        let mut chars = behind.chars();
        let is_char = chars.next() == Some('\\') || chars.next() == Some('\'');
        return Some(if is_char { (quoted(rest, '\''), Token::Literal) } else { (1, Token::Code) });
    }
    None
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let behind = &rest.as_bytes()[at..];
        if behind.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if behind.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`, …
fn raw_string(rest: &str) -> Option<usize> {
    let behind =
        rest.strip_prefix('b').or_else(|| rest.strip_prefix('c')).unwrap_or(rest).strip_prefix('r')?;
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    let inside = behind[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(rest.len(), |at| rest.len() - inside.len() + at + close.len());
    Some(end)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
