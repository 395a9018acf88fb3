//! The rules of this project that no compiler and no lint holds, each with its reason.
//!
//! They read the sources as text. A path reached through a re-export can escape them; that layers 0 to 3 build
//! without the `proxy` feature is the firm guard. To make an exception, add it to the list beside the rule with
//! the reason; an exception that nothing needs any more fails too.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/source.rs"]
mod source;

use source::{Source, behind_bracket, files_in, root, sources_in, words};

/// Lines of one file in `src/`: more is more than one subject.
const SRC_LINES_MAX: usize = 600;
/// Lines of one file in `tests/`, `benches/` and `fuzz/`, which may tell a longer story.
const TEST_LINES_MAX: usize = 800;
/// Lines of one function: what fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// An exception from a rule: the file, the words it is about, and why.
struct Except {
    path: &'static str,
    about: &'static str,
    because: &'static str,
}

const LONG_FUNCTIONS: &[Except] = &[];
const SLEEPS: &[Except] = &[Except {
    path: "tests/it/harness/wait.rs",
    about: "sleep",
    because: "another process announces nothing when its gauge returns to zero; the harness polls here only",
}];
const PANICS: &[Except] = &[];
const METRIC_NAMES: &[Except] = &[];

/// Promise: whoever reads one layer need not know those above it: the arrows are those of ARCHITECTURE.md.
#[test]
fn modules_import_only_what_the_table_allows() {
    let findings = arrows::findings(&arrows::table(), &sources_in(&["src"]));
    report("pass in what is needed, or change the table in ARCHITECTURE.md and say why there", &findings);
}

/// Promise: a reader of the documents is never sent to something that is not there.
#[test]
fn documents_name_only_what_exists() {
    let findings = documents::findings(&files_in(&[""]), &sources_in(&["src"]));
    report("correct the document", &findings);
}

/// Promise: the engine and all below it can be embedded, replayed and tested without I/O. The build without the
/// `proxy` feature proves it for crates; this says where.
#[test]
fn pure_layers_name_no_io_crate() {
    let (mut findings, table) = (Vec::new(), arrows::table());
    for source in sources_in(&["src"]).iter().filter(|source| arrows::is_pure(&table, &source.path)) {
        for name in ["tokio", "hyper", "hyper_util", "prometheus", "tracing", "socket2", "rustix", "notify"] {
            for at in words(&source.code, &format!("{name}::")) {
                findings
                    .push(format!("{}: {name}; do it in a driver and pass in the result", source.place(at)));
            }
        }
    }
    report("layers 0 to 3 do no I/O", &findings);
}

/// Promise: a file is one subject, read in one sitting.
#[test]
fn files_are_short() {
    let mut findings = Vec::new();
    for source in sources_in(&["src", "tests", "benches", "fuzz"]) {
        let lines = source.text.lines().count();
        let max = if source.path.starts_with("src/") { SRC_LINES_MAX } else { TEST_LINES_MAX };
        if lines > max {
            findings.push(format!("{}: {lines} lines, {max} at most", source.path));
        }
    }
    report("split the file by subject; move long unit tests to a file tests.rs beside it", &findings);
}

/// Promise: a function is seen whole.
#[test]
fn functions_are_short() {
    let mut exceptions = Exceptions::new(LONG_FUNCTIONS);
    let mut findings = Vec::new();
    for source in sources_in(&["src", "tests", "benches"]) {
        for function in source.functions() {
            if function.lines > FUNCTION_LINES_MAX && !exceptions.cover(&source.path, function.name) {
                let (place, name) = (source.place(function.at), function.name);
                findings.push(format!("{place}: {name} has {} lines", function.lines));
            }
        }
    }
    findings.extend(exceptions.unused());
    report("give the parts of a function over 70 lines names of their own", &findings);
}

/// Promise: time is data, so that a test, a replay and the proxy drive the same engine. Only `src/clock.rs`
/// reads a clock.
#[test]
fn only_the_clock_reads_clocks() {
    let mut findings = Vec::new();
    for source in sources_in(&["src"]).iter().filter(|source| source.path != "src/clock.rs") {
        for call in ["Instant::now", "SystemTime::now", "UNIX_EPOCH.elapsed"] {
            findings
                .extend(words(&source.code, call).iter().map(|&at| format!("{}: {call}", source.place(at))));
        }
    }
    report("take a `Moment` or a `WallTime`, or a `clock::Clock` in a driver", &findings);
}

/// Promise: no test passes or fails by how fast the machine is. A test waits for an event, with a deadline.
#[test]
fn tests_do_not_sleep() {
    let mut exceptions = Exceptions::new(SLEEPS);
    let mut findings = Vec::new();
    for source in sources_in(&["src", "tests", "benches"]) {
        for call in ["sleep", "sleep_until"] {
            for at in words(&source.code, call).into_iter().filter(|&at| source.is_test(at)) {
                let is_call = source.code[at + call.len()..].starts_with('(');
                if is_call && !exceptions.cover(&source.path, call) {
                    findings.push(format!("{}: {call}", source.place(at)));
                }
            }
        }
    }
    findings.extend(exceptions.unused());
    report("wait for the event itself: read, receive, join, or poll by the harness's one helper", &findings);
}

/// Promise: nothing that comes from outside can end the process or a connection by a panic. Errors are values.
#[test]
fn shipped_code_does_not_panic() {
    let mut exceptions = Exceptions::new(PANICS);
    let mut findings = Vec::new();
    for source in sources_in(&["src"]) {
        for call in [".unwrap()", ".expect(", "panic!", "unreachable!", "todo!", "unimplemented!"] {
            for at in words(&source.shipped, call) {
                // A method of ours may be called so; std's is given a message.
                let argument = source.uncommented[at + call.len()..].trim_start();
                let is_ours = call == ".expect(" && !argument.starts_with(['"', '&']);
                if !is_ours && !exceptions.cover(&source.path, call) {
                    findings.push(format!("{}: {call}", source.place(at)));
                }
            }
        }
    }
    findings.extend(exceptions.unused());
    report("return an error, or say by an exception why it cannot happen", &findings);
}

/// Promise: what weir can be asked about itself is found in one place, beside its help, labels and buckets.
#[test]
fn metrics_are_named_in_metrics_only() {
    let mut exceptions = Exceptions::new(METRIC_NAMES);
    let mut findings = Vec::new();
    for source in sources_in(&["src"]).iter().filter(|source| !source.path.starts_with("src/metrics")) {
        let named = source.uncommented.match_indices("\"weir_").map(|(at, _)| at);
        let named = named.filter(|&at| !source.is_test(at));
        for at in named.chain(words(&source.shipped, "prometheus::")) {
            if !exceptions.cover(&source.path, "weir_") {
                findings.push(source.place(at));
            }
        }
    }
    findings.extend(exceptions.unused());
    report("declare the metric in src/metrics and call the handle", &findings);
}

/// Promise: whoever opens a file learns in the first line what it is about. (A `tests.rs` is about the file that
/// declares it.)
#[test]
fn files_open_with_their_subject() {
    let mut findings = Vec::new();
    for source in sources_in(&["src", "tests", "benches"]) {
        if !source.text.starts_with("//!") && !source.path.ends_with("/tests.rs") {
            findings.push(format!(
                "{}: begins with {:?}",
                source.path,
                source.text.lines().next().unwrap_or("")
            ));
        }
    }
    report("begin the file with a `//!` line that says what it is about", &findings);
}

/// Promise: whoever breaks a test learns which promise it was that broke.
#[test]
fn tests_say_their_promise() {
    let mut findings = Vec::new();
    for source in sources_in(&["src", "tests"]) {
        for attribute in ["#[test]", "#[tokio::test"] {
            for (at, _) in source.code.match_indices(attribute) {
                if !has_comment_above(&source.text, at) {
                    findings.push(source.place(at));
                }
            }
        }
    }
    report("put a `///` line above the test that says which promise it keeps", &findings);
}

/// Promise: a silenced lint can be judged by its next reader.
#[test]
fn silenced_lints_say_why() {
    let mut findings = Vec::new();
    for source in sources_in(&["src", "tests", "benches"]) {
        for attribute in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in source.code.match_indices(attribute) {
                let open = at + attribute.len() - 1;
                let end = behind_bracket(&source.code, open).unwrap_or(source.code.len());
                if words(&source.code[open..end], "reason").is_empty() {
                    findings.push(source.place(at));
                }
            }
        }
    }
    report("write `#[expect(lint, reason = \"…\")]`", &findings);
}

/// Promise: what is checked in works on any machine, and says nothing about the one it was written on.
#[test]
fn no_file_names_a_developers_machine() {
    let mut findings = Vec::new();
    for path in files_in(&[""]) {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for folder in ["work", "farm", "Users", "root"] {
            for (at, _) in text.match_indices(&format!("/{folder}/")) {
                // A path only where it starts: the same in the middle of a route is none.
                let before = text[..at].chars().next_back();
                if !before.is_some_and(|c| c.is_alphanumeric() || "./_-}*".contains(c)) {
                    findings.push(format!("{path}:{}: /{folder}/", source::line_of(&text, at)));
                }
            }
        }
    }
    report("use a path relative to the package", &findings);
}

fn has_comment_above(text: &str, at: usize) -> bool {
    let above =
        text[..at].lines().rev().map(str::trim).skip_while(|line| line.is_empty() || line.starts_with("#["));
    above.take(1).any(|line| line.starts_with("//") && !line.starts_with("//!"))
}

/// The exceptions from one rule, and which of them were needed.
struct Exceptions {
    list: &'static [Except],
    needed: Vec<bool>,
}

impl Exceptions {
    fn new(list: &'static [Except]) -> Self {
        Exceptions { list, needed: vec![false; list.len()] }
    }

    fn cover(&mut self, path: &str, about: &str) -> bool {
        let found = self.list.iter().position(|e| e.path == path && e.about == about);
        if let Some(needed) = found.and_then(|at| self.needed.get_mut(at)) {
            *needed = true;
        }
        found.is_some()
    }

    fn unused(self) -> Vec<String> {
        self.list
            .iter()
            .zip(self.needed)
            .filter(|(_, needed)| !needed)
            .map(|(e, _)| {
                format!(
                    "{}: the exception for {} is not needed any more ({}); remove it",
                    e.path, e.about, e.because
                )
            })
            .collect()
    }
}

/// Fails with every finding and what to do about them.
fn report(what_to_do: &str, findings: &[String]) {
    assert!(findings.is_empty(), "\n  {}\n\nwhat to do: {what_to_do}\n", findings.join("\n  "));
}

mod of_tidy_itself {
    use super::*;

    const EXAMPLE: &str = "//! \"weir_a\" and crate::proxy\nuse crate::{time::Moment, policy};\n\
        fn f<'a>(x: &'a str) -> char {\n    let s = r#\"panic!\"#; /* { */ '{'\n}\n\
        #[cfg(test)]\nmod tests {\n    fn g() { x(\"weir_b\").unwrap() }\n}\nfn h();\n";

    /// Promise: a rule sees code only: not comments, not strings, and tests only where it asks for them.
    #[test]
    fn comments_strings_and_tests_are_told_apart() {
        let source = Source::new("src/x.rs".into(), EXAMPLE.into());
        assert_eq!(source.code.len(), EXAMPLE.len());
        assert!(words(&source.code, "weir_a").is_empty() && words(&source.code, "panic").is_empty());
        assert!(!source.uncommented.contains("weir_a") && source.uncommented.contains("panic!"));
        assert_eq!(words(&source.code, ".unwrap()").len(), 1);
        assert!(words(&source.shipped, ".unwrap()").is_empty());
        let in_test = source.text.find("\"weir_b\"").expect("the example has it");
        assert!(source.is_test(in_test) && !source.is_test(0));
    }

    /// Promise: the length of a function is its lines from `fn` to its last brace, whatever braces strings hold.
    #[test]
    fn functions_are_measured() {
        let source = Source::new("src/x.rs".into(), EXAMPLE.into());
        let measured: Vec<_> = source.functions().iter().map(|f| (f.name.to_owned(), f.lines)).collect();
        assert_eq!(measured, [("f".to_owned(), 3), ("g".to_owned(), 1)]);
    }

    /// Promise: no spelling of an import hides an arrow.
    #[test]
    fn imports_are_seen_in_every_form() {
        let text = "use crate::{time::Moment, policy};\nuse super::super::proxy::Pool;\nuse crate::facts::{Facts, Who};\n\
                    use crate::remedy::*;\nlet x = crate::admin::y();";
        let source = Source::new("src/engine/state.rs".into(), text.into());
        let seen: Vec<String> = arrows::imports(&source).into_iter().map(|import| import.path).collect();
        assert_eq!(
            seen,
            ["time::Moment", "policy", "facts::Facts", "facts::Who", "remedy", "admin::y", "proxy::Pool"]
        );
    }
}
