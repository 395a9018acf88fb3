//! Which module may import which: the table of ARCHITECTURE.md, and what in the sources contradicts it.

use super::source::{Source, behind_bracket, name_at, words};

/// The table is a part of ARCHITECTURE.md, so that the page cannot fall behind the code.
const PAGE: &str = include_str!("../../ARCHITECTURE.md");
const HEADING: &str = "## Which module may import which";

/// One row: a module or a part of one, its layer, and what it may import besides itself. `policy` stands for all
/// of that module, `policy::RouteId` for that name alone.
pub(crate) struct Row {
    pub(crate) module: &'static str,
    layer: u8,
    may_import: Vec<&'static str>,
    everything: bool,
}

/// The rows of the table in ARCHITECTURE.md.
pub(crate) fn table() -> Vec<Row> {
    let (_, section) = PAGE.split_once(HEADING).expect("ARCHITECTURE.md has the table of arrows");
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows: Vec<Row> = section.lines().filter_map(row).collect();
    assert!(rows.len() > 10, "only {} rows under {HEADING:?} could be read", rows.len());
    rows
}

/// Whether a file belongs to layers 0 to 3.
pub(crate) fn is_pure(table: &[Row], path: &str) -> bool {
    row_of(table, &module_of(path).join("::")).is_some_and(|row| row.layer <= 3)
}

/// One import: where, and of what, as a path below the crate.
pub(crate) struct Import {
    pub(crate) at: usize,
    pub(crate) path: String,
}

/// Every import that the table does not allow, and every module that it does not know.
pub(crate) fn findings(table: &[Row], sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let module = module_of(&source.path).join("::");
        if module.is_empty() {
            continue; // lib.rs and main.rs: they declare and start, nothing else
        }
        let Some(row) = row_of(table, &module) else {
            findings.push(format!("{}: {module} has no row in the table; give it a layer", source.path));
            continue;
        };
        for import in imports(source) {
            if !row.allows(&import.path) {
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
        found.extend(paths(&code[from..]).into_iter().map(|path| Import { at, path }));
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
                let paths = paths(code[item..here].trim_start()).into_iter();
                found.extend(paths.filter(|path| !path.is_empty()).map(|path| Import { at, path }));
                item = here + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The first two names of a path, `policy::RouteId`, or of each path of a group behind the first name. One name where
/// no other follows.
fn paths(code: &str) -> Vec<String> {
    let first = name_at(code);
    let behind = code[first.len()..].strip_prefix("::").unwrap_or_default();
    let group = behind_bracket(behind, 0).filter(|_| behind.starts_with('{'));
    let names: Vec<&str> = match group {
        Some(end) => behind[1..end - 1].split(',').map(|path| name_at(path.trim_start())).collect(),
        None => vec![name_at(behind)],
    };
    let names = names.into_iter().filter(|name| !name.is_empty());
    let paths: Vec<String> = names.map(|second| format!("{first}::{second}")).collect();
    if paths.is_empty() { vec![first.to_owned()] } else { paths }
}

impl Row {
    fn allows(&self, import: &str) -> bool {
        let own = self.module.split("::").next().unwrap_or(self.module);
        let of = import.split("::").next().unwrap_or(import);
        self.everything || of == own || self.may_import.iter().any(|&name| name == of || name == import)
    }
}

/// A line of the table that names a module: `` | `time` | 0 | nothing | … ``.
fn row(line: &'static str) -> Option<Row> {
    let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
    let module = cells.next()?.trim_end_matches('`');
    let layer = cells.next()?.parse().ok()?;
    let imports = cells.next()?;
    let may_import = imports.split('`').skip(1).step_by(2).collect();
    Some(Row { module, layer, may_import, everything: imports == "everything" })
}

/// The row of a module: the longest one that covers it.
fn row_of<'t>(table: &'t [Row], module: &str) -> Option<&'t Row> {
    let covers = |row: &&Row| {
        module.strip_prefix(row.module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    table.iter().filter(covers).max_by_key(|row| row.module.len())
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
