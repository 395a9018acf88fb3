//! What an expression says of a request, once it is checked.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use smallvec::SmallVec;

use super::names::{Counter, Memory};
use super::syntax::{Arithmetic, Comparison};
use crate::detect::{Event, Health, Seen};
use crate::finding::{Evidence, Reasons};

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub(super) text: Box<str>,
    pub(super) condition: Condition,
    /// At most [`QUESTIONS_MAX`].
    pub(super) questions: Box<[Question]>,
    /// Those that the condition reads, each once, with a number that it is compared with.
    pub(super) reads: Box<[(&'static Counter, u32)]>,
}

/// A bit each.
pub(super) const QUESTIONS_MAX: usize = 64;

/// A request, as an expression asks about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub route: &'a str,
    pub user_agent: &'a str,
    pub referer: &'a str,
    /// Of each known account behind the request, its id and plan.
    pub accounts: &'a [(&'a str, &'a str)],
    pub address: IpAddr,
    pub headers: &'a HeaderMap,
}

/// What an expression's questions were answered with, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers(u64);

/// What an expression reads its numbers from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub seen: &'a Seen<'a>,
    pub event: &'a Event<'a>,
}

impl Scene<'_> {
    pub(super) fn health(&self) -> Health {
        self.seen.conduct.health(self.seen.now).unwrap_or_default()
    }
}

impl Program {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Asks about a request what can be asked before its answer is known. `None`: whatever the numbers will be, the
    /// expression is not true of it.
    pub fn ask(&self, asked: &Asked<'_>) -> Option<Answers> {
        let bits = self.questions.iter().enumerate();
        let answers =
            Answers(bits.fold(0, |bits, (at, question)| bits | u64::from(question.is_so(asked)) << at));
        (self.condition.foresee(answers) != Some(false)).then_some(answers)
    }

    /// Whether the expression is true, and the numbers that it read.
    pub fn holds(&self, answers: Answers, scene: &Scene<'_>) -> Option<Reasons> {
        self.condition.holds(answers, scene).then(|| {
            let evidence = self.reads.iter().map(|(counter, threshold)| Evidence {
                counter: counter.name,
                value: u32::try_from((counter.read)(scene)).unwrap_or(u32::MAX),
                threshold: *threshold,
            });
            evidence.collect()
        })
    }

    /// Whether all that it reads is demand: then arrivals that weir refused count as they came.
    pub fn is_demand(&self) -> bool {
        self.reads.iter().all(|(counter, _)| counter.is_demand)
    }

    /// Whether it looks back an hour at most.
    pub fn is_brief(&self) -> bool {
        self.reads.iter().all(|(counter, _)| matches!(counter.memory, Memory::Answer | Memory::Hour))
    }

    /// Whether it reads the counter of this name.
    pub fn reads(&self, counter: &str) -> bool {
        self.reads.iter().any(|(read, _)| read.name == counter)
    }
}

/// Something that is true or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Is(bool),
    /// By its place among the questions.
    Asked(u8),
    Any(Box<[Condition]>),
    All(Box<[Condition]>),
    Not(Box<Condition>),
    Same(Box<Condition>, Box<Condition>),
    Compare(Comparison, Number, Number),
}

/// A number. Whole ones stop at the ends of 64 bits, the others are IEEE 754's: what is divided by zero compares with
/// nothing, or is larger than everything.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
    Read(&'static Counter),
    Negative(Box<Number>),
    Sum(Arithmetic, Box<Number>, Box<Number>),
    /// A whole one, as one with a fraction.
    AsDouble(Box<Number>),
}

/// What a number comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Double(f64),
}

impl Condition {
    /// What it comes to whatever the numbers are, if that can be said.
    fn foresee(&self, answers: Answers) -> Option<bool> {
        match self {
            Condition::Is(is) => Some(*is),
            Condition::Asked(at) => Some(answers.0 >> at & 1 == 1),
            Condition::Any(parts) => foresee_first(parts, answers, true),
            Condition::All(parts) => foresee_first(parts, answers, false),
            Condition::Not(of) => of.foresee(answers).map(|is| !is),
            Condition::Same(a, b) => Some(a.foresee(answers)? == b.foresee(answers)?),
            Condition::Compare(..) => None,
        }
    }

    fn holds(&self, answers: Answers, scene: &Scene<'_>) -> bool {
        match self {
            Condition::Is(is) => *is,
            Condition::Asked(at) => answers.0 >> at & 1 == 1,
            Condition::Any(parts) => parts.iter().any(|part| part.holds(answers, scene)),
            Condition::All(parts) => parts.iter().all(|part| part.holds(answers, scene)),
            Condition::Not(of) => !of.holds(answers, scene),
            Condition::Same(a, b) => a.holds(answers, scene) == b.holds(answers, scene),
            Condition::Compare(comparison, a, b) => compare(*comparison, a.value(scene), b.value(scene)),
        }
    }
}

/// `decides`: what one part alone makes of the whole.
fn foresee_first(parts: &[Condition], answers: Answers, decides: bool) -> Option<bool> {
    let mut is_open = false;
    for part in parts {
        match part.foresee(answers) {
            Some(is) if is == decides => return Some(decides),
            Some(_) => {}
            None => is_open = true,
        }
    }
    (!is_open).then_some(!decides)
}

impl Number {
    fn value(&self, scene: &Scene<'_>) -> Value {
        match self {
            Number::Int(number) => Value::Int(*number),
            Number::Double(number) => Value::Double(*number),
            Number::Read(counter) => {
                let read = i64::try_from((counter.read)(scene)).unwrap_or(i64::MAX);
                if counter.is_share { Value::Double(double(read) / 1000.0) } else { Value::Int(read) }
            }
            Number::Negative(of) => match of.value(scene) {
                Value::Int(number) => Value::Int(number.saturating_neg()),
                Value::Double(number) => Value::Double(-number),
            },
            Number::Sum(arithmetic, a, b) => sum(*arithmetic, a.value(scene), b.value(scene)),
            Number::AsDouble(of) => Value::Double(of.value(scene).as_double()),
        }
    }

    /// Whether it is a whole one.
    pub(super) fn is_int(&self) -> bool {
        match self {
            Number::Int(_) => true,
            Number::Double(_) | Number::AsDouble(_) => false,
            Number::Read(counter) => !counter.is_share,
            Number::Negative(of) | Number::Sum(_, of, _) => of.is_int(),
        }
    }
}

impl Value {
    fn as_double(self) -> f64 {
        match self {
            Value::Int(number) => double(number),
            Value::Double(number) => number,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "as CEL's double()")]
fn double(number: i64) -> f64 {
    number as f64
}

fn sum(arithmetic: Arithmetic, a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(match arithmetic {
            Arithmetic::Add => a.saturating_add(b),
            Arithmetic::Subtract => a.saturating_sub(b),
            Arithmetic::Multiply => a.saturating_mul(b),
            // Is not checked in: whole numbers are not divided.
            Arithmetic::Divide => a.checked_div(b).unwrap_or(0),
        }),
        (a, b) => {
            let (a, b) = (a.as_double(), b.as_double());
            Value::Double(match arithmetic {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide => a / b,
            })
        }
    }
}

#[expect(clippy::float_cmp, reason = "as it is written")]
fn compare(comparison: Comparison, a: Value, b: Value) -> bool {
    macro_rules! with {
        ($a:expr, $b:expr) => {
            match comparison {
                Comparison::Equal => $a == $b,
                Comparison::Unequal => $a != $b,
                Comparison::Less => $a < $b,
                Comparison::AtMost => $a <= $b,
                Comparison::Greater => $a > $b,
                Comparison::AtLeast => $a >= $b,
            }
        };
    }
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => with!(a, b),
        (a, b) => with!(a.as_double(), b.as_double()),
    }
}

/// What is asked about a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    Text(Fact, Test),
    /// Whether two facts are the same text.
    Same(Fact, Fact),
    /// Whether a field is there.
    Has(HeaderName),
    /// Whether the client is in one of these.
    From(Box<[IpNet]>),
}

/// A text of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Method,
    Host,
    Path,
    Query,
    Route,
    UserAgent,
    Referer,
    Account,
    Plan,
    Header(HeaderName),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    OneOf(Box<[Box<str>]>),
    Starts(Box<str>),
    Ends(Box<str>),
    Contains(Box<str>),
}

impl Question {
    fn is_so(&self, asked: &Asked<'_>) -> bool {
        match self {
            Question::Text(fact, test) => fact.texts(asked).iter().any(|text| test.is_met(text)),
            Question::Same(a, b) => {
                let theirs = b.texts(asked);
                a.texts(asked).iter().any(|text| theirs.contains(text))
            }
            Question::Has(name) => asked.headers.contains_key(name),
            Question::From(networks) => networks.iter().any(|network| network.contains(&asked.address)),
        }
    }
}

impl Fact {
    /// Mostly one; of several accounts, each one's. What is not there is an empty text.
    fn texts<'a>(&self, asked: &Asked<'a>) -> SmallVec<[&'a str; 1]> {
        let one = |text| SmallVec::from_buf([text]);
        match self {
            Fact::Method => one(asked.method),
            Fact::Host => one(asked.host),
            Fact::Path => one(asked.path),
            Fact::Query => one(asked.query),
            Fact::Route => one(asked.route),
            Fact::UserAgent => one(asked.user_agent),
            Fact::Referer => one(asked.referer),
            Fact::Account | Fact::Plan if asked.accounts.is_empty() => one(""),
            Fact::Account => asked.accounts.iter().map(|(id, _)| *id).collect(),
            Fact::Plan => asked.accounts.iter().map(|(_, plan)| *plan).collect(),
            // A value that is no text is not the text that is asked for.
            Fact::Header(name) => one(asked
                .headers
                .get(name)
                .map_or("", |value| std::str::from_utf8(HeaderValue::as_bytes(value)).unwrap_or("\u{fffd}"))),
        }
    }
}

impl Test {
    pub(super) fn is_met(&self, text: &str) -> bool {
        match self {
            Test::OneOf(texts) => texts.iter().any(|one| **one == *text),
            Test::Starts(start) => text.starts_with(&**start),
            Test::Ends(end) => text.ends_with(&**end),
            Test::Contains(part) => text.contains(&**part),
        }
    }
}
