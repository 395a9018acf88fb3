//! What is wrong with a configuration, as plain data. Rendering it for a terminal is the command line's work.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::place::{FileId, Place, Position, SourceFile};

/// Whether the configuration can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub place: Place,
    /// What is wrong, as a phrase without a full stop.
    pub message: String,
    /// What would have been right here: `a rate such as "100/10s"`.
    pub expected: Option<String>,
    /// What to do about it: the nearest valid name, or an example.
    pub help: Option<String>,
    /// Other places that take part, each with why.
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, place, message.into())
    }

    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, place, message.into())
    }

    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Offers the one of `names` that was probably meant by `written`, and lists them all.
    #[must_use]
    pub fn one_of<'n>(mut self, written: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        if let Some(near) = super::nearest(written, names.iter().copied()) {
            self.help = Some(format!("did you mean `{near}`?"));
        }
        self.expected = Some(list_of_names(&names));
        self
    }

    #[must_use]
    pub fn related(mut self, place: Place, why: impl Into<String>) -> Self {
        self.related.push((place, why.into()));
        self
    }

    fn new(severity: Severity, place: Place, message: String) -> Self {
        Diagnostic { severity, place, message, expected: None, help: None, related: Vec::new() }
    }
}

/// `` `a`, `b` or `c` ``, cut after two dozen.
fn list_of_names(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 24;
    match names {
        [] => "nothing: none is defined".to_owned(),
        [only] => format!("`{only}`"),
        [init @ .., last] if names.len() <= SHOWN_MAX => {
            let init: Vec<String> = init.iter().map(|n| format!("`{n}`")).collect();
            format!("{} or `{last}`", init.join(", "))
        }
        many => {
            let shown: Vec<String> = many.iter().take(SHOWN_MAX).map(|n| format!("`{n}`")).collect();
            format!("{} or {} more", shown.join(", "), many.len() - SHOWN_MAX)
        }
    }
}

/// Everything found in one reading of the configuration, with the files that it points into.
///
/// As an error (of [`load`](fn@super::load)) it holds at least one [`Severity::Error`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    pub files: Vec<SourceFile>,
    /// In the order of the files, then of their text.
    pub list: Vec<Diagnostic>,
    /// How many more there were than anyone would read.
    pub omitted: usize,
}

impl Diagnostics {
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::from(id.0))
    }

    /// The file's name, line and column of a place.
    pub fn locate(&self, place: Place) -> (&str, Position) {
        self.file(place.file).map_or(("", Position { line: 1, column: 1 }), |file| {
            (file.name.as_str(), file.position(place.start))
        })
    }

    fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }
}

/// One line a diagnostic, without a newline at the end: `weir.toml:3:8: error: unknown key …; expected …; did you mean …`. For logs.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, d) in self.list.iter().enumerate() {
            let (name, Position { line, column }) = self.locate(d.place);
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{name}:{line}:{column}: {}: {}", d.severity.name(), d.message)?;
            if let Some(expected) = &d.expected {
                write!(f, "; expected {expected}")?;
            }
            if let Some(help) = &d.help {
                write!(f, "; {help}")?;
            }
        }
        if self.omitted > 0 { write!(f, "\nand {} more", self.omitted) } else { Ok(()) }
    }
}

impl std::error::Error for Diagnostics {}

/// Collects diagnostics while the configuration is read and compiled, so that none hides another.
///
/// A large file can be wrong in every line; of each severity only the first hundred are kept.
#[derive(Debug, Default)]
pub struct Problems {
    list: RefCell<Vec<Diagnostic>>,
    omitted: Cell<usize>,
}

/// Diagnostics of one severity that are kept; the others are counted.
const SHOWN_MAX: usize = 100;

impl Problems {
    pub fn add(&self, diagnostic: Diagnostic) {
        let mut list = self.list.borrow_mut();
        // Counted apart, so that no number of warnings can hide an error.
        if list.iter().filter(|d| d.severity == diagnostic.severity).count() < SHOWN_MAX {
            list.push(diagnostic);
        } else {
            self.omitted.set(self.omitted.get().saturating_add(1));
        }
    }

    pub fn has_errors(&self) -> bool {
        self.list.borrow().iter().any(|d| d.severity == Severity::Error)
    }

    /// Everything collected, sorted by place.
    pub fn into_diagnostics(self, files: Vec<SourceFile>) -> Diagnostics {
        let mut list = self.list.into_inner();
        list.sort_by_key(|d| (d.place.file.0, d.place.start));
        list.dedup();
        Diagnostics { files, list, omitted: self.omitted.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a file that is wrong in a million lines is answered in a hundred, and warnings hide no error.
    #[test]
    fn endless_problems_are_counted() {
        let problems = Problems::default();
        for at in 0..SHOWN_MAX + 7 {
            problems.add(Diagnostic::warning(place(at), "odd"));
        }
        problems.add(Diagnostic::error(place(0), "wrong"));
        assert!(problems.has_errors());
        let all = problems.into_diagnostics(Vec::new());
        assert_eq!((all.warnings(), all.errors(), all.omitted), (SHOWN_MAX, 1, 7));
        assert!(all.to_string().ends_with("and 7 more"));
    }

    fn place(start: usize) -> Place {
        Place { file: FileId(0), start, end: start + 1 }
    }

    /// Promise: every problem is reported, in the order of the file, and a log line says where and what instead.
    #[test]
    fn problems_come_sorted_and_located() {
        let problems = Problems::default();
        problems.add(Diagnostic::warning(place(4), "odd"));
        problems.add(Diagnostic::error(place(0), "unknown key `limts`").one_of("limts", ["limits", "log"]));
        let files = vec![SourceFile { name: "w.toml".into(), text: "a\nb\nc\n".into() }];
        let all = problems.into_diagnostics(files);
        assert_eq!((all.errors(), all.warnings()), (1, 1));
        assert_eq!(
            all.to_string(),
            "w.toml:1:1: error: unknown key `limts`; expected `limits` or `log`; did you mean `limits`?\n\
             w.toml:3:1: warning: odd"
        );
    }
}
