//! The operator's own rules: a small expression over what is known of a request and of whoever sent it.
//!
//! The language is a part of CEL, the Common Expression Language that Envoy and Kubernetes use: what is written here
//! means the same there. It has no loops and no functions of its own, its texts and lists are those that were written,
//! and every name and type is checked when the configuration is loaded. So an evaluation cannot fail, and looks at each
//! part of the expression once at most; arithmetic stops at the ends of its numbers.
//!
//! A [`Program`] runs in two steps. [`Program::ask`] looks at the request while it is there, and keeps one bit for each
//! question; [`Program::holds`] looks at the counters once the answer is known, if the bits leave it open.
//!
//! | file | what it knows |
//! |---|---|
//! | [`token`] | text into tokens |
//! | [`syntax`] | tokens into a tree, by the grammar |
//! | [`names`] | which facts and counters there are |
//! | [`check`] | which trees mean something |
//! | [`program`] | what they say of a request |

mod check;
mod names;
mod program;
mod syntax;
#[cfg(test)]
mod tests;
mod token;

use std::ops::Range;

pub use names::{Counter, FACTS, Memory, counters};
pub use program::{Answers, Asked, Program, Scene};

/// A range of bytes in the text of an expression.
pub type Span = Range<usize>;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub span: Span,
    /// A phrase without a full stop.
    pub message: String,
    pub expected: String,
    /// A name that is unknown, and all that would have been right in its place.
    pub unknown: Option<(String, Vec<&'static str>)>,
}

impl Fault {
    fn new(span: Span, message: String, expected: &str) -> Self {
        Fault { span, message, expected: expected.to_owned(), unknown: None }
    }

    fn unknown(span: Span, message: String, written: &str, names: Vec<&'static str>) -> Self {
        Fault { span, message, expected: String::new(), unknown: Some((written.to_owned(), names)) }
    }
}
