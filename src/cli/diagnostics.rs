//! Diagnostics for people, with the lines that they are about, and for editors and CI, as JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
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
    text
}

/// One object a diagnostic: `file`, `line`, `column`, `severity`, `message`, `expected`, `help`.
pub fn to_json(diagnostics: &Diagnostics) -> Value {
    let one = |diagnostic: &Diagnostic| {
        let (file, position) = diagnostics.locate(diagnostic.place);
        json!({
            "file": file,
            "line": position.line,
            "column": position.column,
            "severity": diagnostic.severity.name(),
            "message": diagnostic.message,
            "expected": diagnostic.expected,
            "help": diagnostic.help,
        })
    };
    diagnostics.list.iter().map(one).collect()
}

fn report<'a>(diagnostic: &'a Diagnostic, all: &'a Diagnostics) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    if let Some(file) = all.file(diagnostic.place.file) {
        if file.text.is_empty() {
            group = group.element(Origin::path(file.name.as_str()));
        } else {
            group = group.element(snippet(diagnostic, file));
            for (place, why) in diagnostic.related.iter().filter(|(p, _)| p.file != diagnostic.place.file) {
                group = group.elements(all.file(place.file).map(|file| related(*place, why, file)));
            }
        }
    }
    if let Some(expected) = diagnostic.expected.as_ref().filter(|_| !is_shown_at_place(diagnostic, all)) {
        group = group.element(Level::NOTE.message(format!("expected {expected}")));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

fn is_shown_at_place(diagnostic: &Diagnostic, all: &Diagnostics) -> bool {
    all.file(diagnostic.place.file).is_some_and(|file| !file.text.is_empty())
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    file: &'a SourceFile,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let label = diagnostic.expected.as_ref().map(|expected| format!("expected {expected}"));
    let here = AnnotationKind::Primary.span(span(diagnostic.place, file));
    let others = diagnostic
        .related
        .iter()
        .filter(|(place, _)| place.file == diagnostic.place.file)
        .map(|(place, why)| AnnotationKind::Context.span(span(*place, file)).label(why.as_str()));
    Snippet::source(file.text.as_str())
        .path(file.name.as_str())
        .annotation(here.label(label))
        .annotations(others)
}

fn related<'a>(
    place: Place,
    why: &'a str,
    file: &'a SourceFile,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(file.text.as_str())
        .path(file.name.as_str())
        .annotation(AnnotationKind::Context.span(span(place, file)).label(why))
}

/// The first line of a place, inside the text and on the borders of characters.
fn span(place: Place, file: &SourceFile) -> std::ops::Range<usize> {
    let floor = |at: usize| {
        let at = at.min(file.text.len());
        (0..=at).rev().find(|&at| file.text.is_char_boundary(at)).unwrap_or(0)
    };
    let start = floor(place.start);
    let written = file.text.get(start..floor(place.end.max(place.start))).unwrap_or_default();
    let line = written.split('\n').next().unwrap_or_default();
    start..start + line.len()
}
