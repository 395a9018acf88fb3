//! From a tree to a program: names that exist, and types that go together.

use std::net::IpAddr;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use ipnet::IpNet;

use super::names::{self, Counter};
use super::program::{Condition, Fact, Number, Program, QUESTIONS_MAX, Question, Test};
use super::syntax::{self, Arithmetic, Comparison, Expr, Kind};
use super::{Fault, Span};

impl Program {
    /// What `text` means, or all that is wrong with it.
    pub fn compile(text: &str) -> Result<Program, Vec<Fault>> {
        const LENGTH_MAX: usize = 4096;
        if text.len() > LENGTH_MAX {
            let message = format!("this is longer than {LENGTH_MAX} bytes");
            return Err(vec![Fault::new(0..text.len(), message, "several rules")]);
        }
        let tree = syntax::parse(text).map_err(|fault| vec![fault])?;
        let mut checker = Checker::default();
        let condition = checker.condition(&tree, "a rule");
        if checker.questions.len() > QUESTIONS_MAX {
            let message = format!("this asks more than {QUESTIONS_MAX} things about a request");
            checker.faults.push(Fault::new(0..text.len(), message, "several rules, or `in [\u{2026}]`"));
        }
        match condition {
            Some(condition) if checker.faults.is_empty() => Ok(Program {
                text: text.into(),
                condition,
                questions: checker.questions.into(),
                reads: checker.reads.into(),
            }),
            _ => Err(checker.faults),
        }
    }
}

#[derive(Default)]
struct Checker {
    questions: Vec<Question>,
    reads: Vec<(&'static Counter, u32)>,
    faults: Vec<Fault>,
}

/// What an expression stands for.
enum Term {
    Condition(Condition),
    Number(Number),
    Fact(Fact),
    Text(String),
    Client,
    Headers,
    List,
}

impl Term {
    fn what(&self) -> &'static str {
        match self {
            Term::Condition(_) => "a condition",
            Term::Number(number) if number.is_int() => "a whole number",
            Term::Number(_) => "a number with a fraction",
            Term::Fact(_) | Term::Text(_) => "a text",
            Term::Client => "an address",
            Term::Headers => "all fields of the request",
            Term::List => "a list",
        }
    }
}

const ADDRESSES: &str = "an address or a network such as \"192.0.2.0/24\"";

impl Checker {
    fn condition(&mut self, expr: &Expr, of: &str) -> Option<Condition> {
        match self.term(expr)? {
            Term::Condition(condition) => Some(condition),
            other => {
                let message = format!("{of} is true or not, and this is {}", other.what());
                self.refuse(&expr.span, message, "a comparison, such as `pages > 100`")
            }
        }
    }

    fn term(&mut self, expr: &Expr) -> Option<Term> {
        let span = &expr.span;
        Some(match &expr.kind {
            Kind::Bool(is) => Term::Condition(Condition::Is(*is)),
            Kind::Text(text) => Term::Text(text.clone()),
            Kind::Int(number) => Term::Number(Number::Int(*number)),
            Kind::Double(number) => Term::Number(Number::Double(*number)),
            Kind::List(_) => Term::List,
            Kind::Name(name) => return self.name(name, span),
            Kind::Any(parts) => Term::Condition(Condition::Any(self.conditions(parts, "||")?)),
            Kind::All(parts) => Term::Condition(Condition::All(self.conditions(parts, "&&")?)),
            Kind::Not(of) => {
                Term::Condition(Condition::Not(Box::new(self.condition(of, "what `!` denies")?)))
            }
            Kind::Negate(of) => Term::Number(Number::Negative(Box::new(self.number(of)?))),
            Kind::Compare(comparison, a, b) => Term::Condition(self.compare(*comparison, a, b, span)?),
            Kind::In(one, among) => Term::Condition(self.is_in(one, among)?),
            Kind::Arithmetic(arithmetic, a, b) => Term::Number(self.arithmetic(*arithmetic, a, b, span)?),
            Kind::Method { of, name, name_span, argument } => {
                Term::Condition(self.method(of, name, name_span, argument)?)
            }
            Kind::Call { name, name_span, argument } => {
                if name != "double" {
                    let message = format!("there is no function `{name}`");
                    self.faults.push(Fault::unknown(name_span.clone(), message, name, vec!["double"]));
                    return None;
                }
                Term::Number(Number::AsDouble(Box::new(self.number(argument)?)))
            }
            Kind::Index(of, key) => Term::Fact(self.field(of, key)?),
        })
    }

    fn name(&mut self, name: &str, span: &Span) -> Option<Term> {
        if let Some(counter) = names::counter(name) {
            if self.reads.iter().all(|(read, _)| *read != counter) {
                self.reads.push((counter, 0));
            }
            return Some(Term::Number(Number::Read(counter)));
        }
        Some(match name {
            "method" => Term::Fact(Fact::Method),
            "host" => Term::Fact(Fact::Host),
            "path" => Term::Fact(Fact::Path),
            "query" => Term::Fact(Fact::Query),
            "route" => Term::Fact(Fact::Route),
            "user_agent" => Term::Fact(Fact::UserAgent),
            "referer" => Term::Fact(Fact::Referer),
            "account" => Term::Fact(Fact::Account),
            "plan" => Term::Fact(Fact::Plan),
            "client" => Term::Client,
            "headers" => Term::Headers,
            _ => {
                let message = format!("nothing is called `{name}`");
                self.faults.push(Fault::unknown(span.clone(), message, name, names::all()));
                return None;
            }
        })
    }

    /// All of them are looked at before any may end the check.
    fn conditions(&mut self, parts: &[Expr], sign: &str) -> Option<Box<[Condition]>> {
        let of = format!("what `{sign}` joins");
        let parts: Vec<Option<Condition>> = parts.iter().map(|part| self.condition(part, &of)).collect();
        parts.into_iter().collect()
    }

    fn number(&mut self, expr: &Expr) -> Option<Number> {
        match self.term(expr)? {
            Term::Number(number) => Some(number),
            other => {
                let message = format!("only numbers can be reckoned with, and this is {}", other.what());
                self.refuse(&expr.span, message, "a number or a counter")
            }
        }
    }

    fn arithmetic(&mut self, arithmetic: Arithmetic, a: &Expr, b: &Expr, span: &Span) -> Option<Number> {
        let (a, b) = (self.number(a), self.number(b));
        let (a, b) = (a?, b?);
        if a.is_int() != b.is_int() {
            let message = "a whole number and one with a fraction do not mix".to_owned();
            return self.refuse(span, message, "`double(…)` around the whole one, or `2.0` for `2`");
        }
        if arithmetic == Arithmetic::Divide && a.is_int() {
            let message = "whole numbers are not divided: what is left over would be lost".to_owned();
            return self.refuse(span, message, "`double(a) / double(b)`, or a product such as `a * 2 > b`");
        }
        Some(Number::Sum(arithmetic, Box::new(a), Box::new(b)))
    }

    fn compare(&mut self, comparison: Comparison, a: &Expr, b: &Expr, span: &Span) -> Option<Condition> {
        let (left, right) = (self.term(a), self.term(b));
        let (left, right) = (left?, right?);
        let is_equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
        let equal = match (left, right) {
            (Term::Number(a), Term::Number(b)) => {
                self.note_threshold(&a, &b);
                return Some(Condition::Compare(comparison, a, b));
            }
            (Term::Condition(a), Term::Condition(b)) if is_equality => {
                Condition::Same(Box::new(a), Box::new(b))
            }
            (Term::Fact(a), Term::Fact(b)) if is_equality => self.ask(Question::Same(a, b)),
            (Term::Fact(fact), Term::Text(text)) | (Term::Text(text), Term::Fact(fact)) if is_equality => {
                let texts = Box::new([text.into_boxed_str()]);
                self.ask(Question::Text(fact, Test::OneOf(texts)))
            }
            (Term::Text(a), Term::Text(b)) if is_equality => Condition::Is(a == b),
            (Term::Client, Term::Text(text)) if is_equality => self.from(&[(text, b.span.clone())])?,
            (Term::Text(text), Term::Client) if is_equality => self.from(&[(text, a.span.clone())])?,
            (left, right) => {
                let message = format!("{} and {} cannot be compared so", left.what(), right.what());
                let expected = "two numbers; or with `==` and `!=`, two texts or two conditions";
                return self.refuse(span, message, expected);
            }
        };
        Some(if comparison == Comparison::Equal { equal } else { Condition::Not(Box::new(equal)) })
    }

    /// The number that a counter is compared with goes into the evidence.
    fn note_threshold(&mut self, a: &Number, b: &Number) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "thousandths of a share")]
        let threshold = |number: &Number| match number {
            Number::Int(number) => u32::try_from(*number).ok(),
            Number::Double(number) => Some((number * 1000.0).clamp(0.0, 1000.0) as u32),
            _ => None,
        };
        let (counter, threshold) = match (a, b) {
            (Number::Read(counter), other) | (other, Number::Read(counter)) => (counter, threshold(other)),
            _ => return,
        };
        let read = self.reads.iter_mut().find(|(read, known)| read == counter && *known == 0);
        if let (Some((_, known)), Some(threshold)) = (read, threshold) {
            *known = threshold;
        }
    }

    fn is_in(&mut self, one: &Expr, among: &Expr) -> Option<Condition> {
        let term = self.term(one)?;
        let Kind::List(items) = &among.kind else {
            let name = match (&among.kind, &term) {
                (Kind::Name(name), Term::Text(text)) if name == "headers" => text,
                _ => {
                    let message = "`in` looks for something in a list".to_owned();
                    return self.refuse(
                        &among.span,
                        message,
                        "a list such as `[1, 2]`, or `\"x-tenant\" in headers`",
                    );
                }
            };
            let name = self.header_name(name, &one.span)?;
            return Some(self.ask(Question::Has(name)));
        };
        match term {
            Term::Fact(fact) => {
                let texts: Vec<_> = self.texts(items)?.into_iter().map(|(text, _)| text.into()).collect();
                Some(self.ask(Question::Text(fact, Test::OneOf(texts.into()))))
            }
            Term::Client => {
                let texts = self.texts(items)?;
                self.from(&texts)
            }
            Term::Number(number) => {
                let items: Vec<Option<Number>> = items.iter().map(|item| self.number(item)).collect();
                let items: Option<Vec<Number>> = items.into_iter().collect();
                let equal = |item| Condition::Compare(Comparison::Equal, number.clone(), item);
                Some(Condition::Any(items?.into_iter().map(equal).collect()))
            }
            other => {
                let message = format!("{} is not looked for in a list", other.what());
                self.refuse(&one.span, message, "a text of the request, `client` or a number")
            }
        }
    }

    fn texts(&mut self, items: &[Expr]) -> Option<Vec<(String, Span)>> {
        let texts = items.iter().map(|item| match &item.kind {
            Kind::Text(text) => Some((text.clone(), item.span.clone())),
            _ => self.refuse(&item.span, "this is no text in quotes".to_owned(), "texts in quotes alone"),
        });
        let texts: Vec<Option<_>> = texts.collect();
        texts.into_iter().collect()
    }

    fn from(&mut self, networks: &[(String, Span)]) -> Option<Condition> {
        let parsed = networks.iter().map(|(text, span)| {
            let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
            let network = text.parse::<IpNet>().ok().or_else(address);
            network.or_else(|| self.refuse(span, format!("{text:?} is no address"), ADDRESSES))
        });
        let parsed: Vec<Option<IpNet>> = parsed.collect();
        let networks: Vec<IpNet> = parsed.into_iter().collect::<Option<_>>()?;
        Some(self.ask(Question::From(networks.into())))
    }

    fn method(&mut self, of: &Expr, name: &str, name_span: &Span, argument: &Expr) -> Option<Condition> {
        let test: fn(Box<str>) -> Test = match name {
            "startsWith" => Test::Starts,
            "endsWith" => Test::Ends,
            "contains" => Test::Contains,
            _ => {
                let names = vec!["startsWith", "endsWith", "contains"];
                let message = format!("a text has no `{name}`");
                self.faults.push(Fault::unknown(name_span.clone(), message, name, names));
                return None;
            }
        };
        let term = self.term(of)?;
        let Kind::Text(text) = &argument.kind else {
            return self.refuse(&argument.span, "this is no text in quotes".to_owned(), "a text in quotes");
        };
        match term {
            Term::Fact(fact) => Some(self.ask(Question::Text(fact, test(text.as_str().into())))),
            Term::Text(own) => Some(Condition::Is(test(text.as_str().into()).is_met(&own))),
            other => {
                let message = format!("`{name}` asks about a text, and this is {}", other.what());
                self.refuse(&of.span, message, "a text of the request, such as `path`")
            }
        }
    }

    fn field(&mut self, of: &Expr, key: &Expr) -> Option<Fact> {
        if !matches!(self.term(of)?, Term::Headers) {
            let message = "only `headers` has parts".to_owned();
            return self.refuse(&of.span, message, "`headers[\"x-tenant\"]`");
        }
        let Kind::Text(name) = &key.kind else {
            return self.refuse(
                &key.span,
                "this is no text in quotes".to_owned(),
                "a field's name in quotes",
            );
        };
        let name = self.header_name(name, &key.span)?;
        if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(&name) {
            let message = format!("what `{name}` holds is a secret, and not looked at");
            return self.refuse(&key.span, message, &format!("whether it is there: `\"{name}\" in headers`"));
        }
        Some(Fact::Header(name))
    }

    fn header_name(&mut self, name: &str, span: &Span) -> Option<HeaderName> {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        parsed.or_else(|| {
            self.refuse(span, format!("no field can be called {name:?}"), "a name such as \"x-tenant\"")
        })
    }

    fn ask(&mut self, question: Question) -> Condition {
        let known = self.questions.iter().position(|asked| *asked == question);
        let at = known.unwrap_or_else(|| {
            self.questions.push(question);
            self.questions.len() - 1
        });
        // Of more than there can be, which is reported, none is ever asked.
        Condition::Asked(u8::try_from(at).unwrap_or(0))
    }

    fn refuse<T>(&mut self, span: &Span, message: String, expected: &str) -> Option<T> {
        self.faults.push(Fault::new(span.clone(), message, expected));
        None
    }
}
