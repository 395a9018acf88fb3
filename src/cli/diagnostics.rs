//! Diagnostics for people, with the lines that they are about, and for editors and CI, as JSON.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::config::{Diagnostic, Diagnostics, Place, Severity, SourceFile};

/// Renders every diagnostic in the manner of rustc: `file:line:column`, the line, what was expected, and help.
pub fn render(diagnostics: &Diagnostics, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in &diagnostics.list {
        text.push_str(&renderer.render(&[report(diagnostic, diagnostics)]));
        text.push_str("\n\n");
    }
    if diagnostics.omitted > 0 {
        let _ = writeln!(text, "and {} more\n", diagnostics.omitted);
    }
    text
}

/// One object a diagnostic: `file`, `line`, `column`, `severity`, `message`, `expected`, `help`, and the places
/// that are `related`.
pub fn to_json(diagnostics: &Diagnostics) -> Value {
    let one = |diagnostic: &Diagnostic| {
        let (file, position) = diagnostics.locate(diagnostic.place);
        let related: Vec<Value> = diagnostic
            .related
            .iter()
            .map(|(place, why)| {
                let (file, position) = diagnostics.locate(*place);
                json!({ "file": file, "line": position.line, "column": position.column, "message": why })
            })
            .collect();
        json!({
            "file": file,
            "line": position.line,
            "column": position.column,
            "severity": diagnostic.severity.name(),
            "message": diagnostic.message,
            "expected": diagnostic.expected,
            "help": diagnostic.help,
            "related": related,
        })
    };
    diagnostics.list.iter().map(one).collect()
}

/// One line a diagnostic in weir's own log, each with its place.
pub fn log(warnings: &Diagnostics) {
    for line in warnings.to_string().lines() {
        tracing::warn!("{line}");
    }
}

/// What is expected stands beside the place if it is no longer than this, else in a note of its own.
const LABEL_CHARS_MAX: usize = 90;

fn report<'a>(diagnostic: &'a Diagnostic, all: &'a Diagnostics) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let expected = diagnostic.expected.as_ref().map(|expected| format!("expected {expected}"));
    let (label, note) = match expected {
        Some(long) if long.chars().count() > LABEL_CHARS_MAX => (None, Some(long)),
        short => (short, None),
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    if let Some(file) = all.file(diagnostic.place.file) {
        if file.text.is_empty() {
            group = group.element(Origin::path(file.name.as_str()));
            group = group.elements(label.map(|label| Level::NOTE.message(label)));
        } else {
            group = group.element(snippet(diagnostic, file, label));
        }
    }
    group
        .elements(note.map(|note| Level::NOTE.message(note)))
        .elements(diagnostic.help.as_ref().map(|help| Level::HELP.message(help.as_str())))
}

/// The lines around a diagnostic's places. Related ones are always in the same file.
fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    file: &'a SourceFile,
    label: Option<String>,
) -> Snippet<'a, Annotation<'a>> {
    let here = first_line(diagnostic.place, file);
    let others: Vec<(Range<usize>, &str)> = diagnostic
        .related
        .iter()
        .filter(|(place, _)| place.file == diagnostic.place.file)
        .map(|(place, why)| (first_line(*place, file), why.as_str()))
        .collect();
    // Only the lines from the first place to the last: a large file is not rendered whole for each of its errors.
    let spans = || std::iter::once(&here).chain(others.iter().map(|(span, _)| span));
    let first = spans().map(|span| span.start).min().unwrap_or(0);
    let last = spans().map(|span| span.end).max().unwrap_or(0);
    let start = file.text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = file
        .text
        .get(last..)
        .and_then(|after| after.find(['\r', '\n']))
        .map_or(file.text.len(), |at| last + at);
    let within = |span: Range<usize>| span.start - start..span.end - start;
    Snippet::source(file.text.get(start..end).unwrap_or_default())
        .line_start(file.position(start).line)
        .path(file.name.as_str())
        .annotation(AnnotationKind::Primary.span(within(here.clone())).label(label))
        .annotations(
            others.iter().map(|(span, why)| AnnotationKind::Context.span(within(span.clone())).label(*why)),
        )
}

/// The part of a place in its first line, inside the text and on the borders of characters.
fn first_line(place: Place, file: &SourceFile) -> Range<usize> {
    let start = boundary(&file.text, place.start);
    let end = boundary(&file.text, place.end.max(start));
    let written = file.text.get(start..end).unwrap_or_default();
    let line = written.lines().next().unwrap_or_default();
    start..start + line.len()
}

/// The last border between characters that is not after `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::config;

    fn refused(text: &str) -> Diagnostics {
        config::from_str("weir.toml", text, Path::new("config")).unwrap_err()
    }

    const TWICE: &str = "\
        [listen]\nproxy = \"127.0.0.1:8080\"\n[upstreams.app]\nservers = [\"127.0.0.1:3000\"]\n\
        [[limits]]\nname = \"x\"\nkey = [\"client\"]\nrate = \"1/s\"\n\
        [[limits]]\nname = \"x\"\nkey = [\"cleint\"]\nrate = \"2/s\"\n";

    /// Promise: a person sees the line, the place in it, both places that clash, and what to write instead.
    #[test]
    fn the_line_is_shown() {
        let text = render(&refused(TWICE), false);
        for part in [
            "error: two limits are called \"x\"",
            "--> weir.toml:10:8",
            " 6 | name = \"x\"",
            "--- the first",
            "10 | name = \"x\"",
            "^^^ expected a name of its own for each limit",
            "--> weir.toml:11:8",
            "help: did you mean `client`?",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    /// Promise: a program learns the same.
    #[test]
    fn json_says_the_same() {
        let json = to_json(&refused(TWICE));
        assert_eq!(json[0]["file"], "weir.toml");
        assert_eq!((json[0]["line"].as_u64(), json[0]["column"].as_u64()), (Some(10), Some(8)));
        assert_eq!(json[0]["severity"], "error");
        assert_eq!(json[0]["expected"], "a name of its own for each limit");
        assert_eq!(json[0]["related"][0]["line"], 6);
        assert_eq!(json[1]["help"], "did you mean `client`?");
    }

    /// Promise: colours are for terminals only.
    #[test]
    fn plain_text_has_no_colours() {
        assert!(!render(&refused(TWICE), false).contains('\u{1b}'));
        assert!(render(&refused(TWICE), true).contains('\u{1b}'));
    }

    proptest! {
        /// Promise: whatever is in the file, reading it and showing what is wrong never panics. The files are
        /// the reference with a piece cut out and another put in.
        #[test]
        fn any_file_is_answered(at in 0.0..1.0_f64, cut in 0_usize..200, put in ".{0,20}|\\PC{0,3}|[\\[\\]{}\"=\\n]{0,6}") {
            let mut text = include_str!("../../config/weir.toml").to_owned();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "any place will do")]
            let start = boundary(&text, (at * text.len() as f64) as usize);
            let end = boundary(&text, start + cut);
            text.replace_range(start..end, &put);
            match config::from_str("weir.toml", &text, Path::new("config")) {
                Ok(loaded) => { render(&loaded.warnings, false); }
                Err(found) => {
                    prop_assert!(found.errors() > 0);
                    prop_assert!(!render(&found, true).is_empty());
                    to_json(&found);
                }
            }
        }
    }
}
