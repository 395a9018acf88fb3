//! From tokens to a tree: the grammar of CEL, as far as rules use it.
//!
//! ```text
//! expr     = and { "||" and }
//! and      = relation { "&&" relation }
//! relation = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" ) sum ]
//! sum      = product { ( "+" | "-" ) product }
//! product  = unary { ( "*" | "/" ) unary }
//! unary    = "!" unary | "-" unary | member
//! member   = primary { "." NAME "(" expr ")" | "[" expr "]" }
//! primary  = NAME | NAME "(" expr ")" | TEXT | NUMBER | "true" | "false" | "(" expr ")" | "[" expr { "," expr } "]"
//! ```

use super::token::{Token, tokens};
use super::{Fault, Span};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    List(Vec<Expr>),
    /// At least two.
    Any(Vec<Expr>),
    /// At least two.
    All(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Method {
        of: Box<Expr>,
        name: String,
        name_span: Span,
        argument: Box<Expr>,
    },
    Call {
        name: String,
        name_span: Span,
        argument: Box<Expr>,
    },
    Index(Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Brackets and signs within each other: what reads the tree follows it down.
const DEPTH_MAX: usize = 32;

const OPERAND: &str = "a name, a number, a text in quotes, `!` or `(`";

pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end: text.trim_end().len() };
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => {
            let message = format!("{} does not belong here", token.show());
            Err(Fault::new(parser.place(), message, "an operator such as `&&` or `>`, or the end"))
        }
    }
}

struct Parser<'a> {
    tokens: &'a [(Token, Span)],
    at: usize,
    depth: usize,
    /// Of the text.
    end: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("this is more than {DEPTH_MAX} brackets deep");
            return Err(Fault::new(self.place(), message, "a flatter expression"));
        }
        let expr = self.several("||", Self::all, Kind::Any);
        self.depth -= 1;
        expr
    }

    fn all(&mut self) -> Result<Expr, Fault> {
        self.several("&&", Self::relation, Kind::All)
    }

    fn several(
        &mut self,
        sign: &'static str,
        one: fn(&mut Self) -> Result<Expr, Fault>,
        join: fn(Vec<Expr>) -> Kind,
    ) -> Result<Expr, Fault> {
        let first = one(self)?;
        let mut parts = vec![first];
        while self.take(sign) {
            parts.push(one(self)?);
        }
        let span = span_of(&parts);
        Ok(match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                parts.extend(last);
                Expr { kind: join(parts), span }
            }
        })
    }

    fn relation(&mut self) -> Result<Expr, Fault> {
        let left = self.sum()?;
        let Some(relation) = self.relation_sign() else { return Ok(left) };
        let right = self.sum()?;
        let span = left.span.start..right.span.end;
        if self.relation_sign().is_some() {
            let message = "two comparisons in a row".to_owned();
            return Err(Fault::new(
                span,
                message,
                "`&&` between two comparisons, as in `1 < pages && pages < 9`",
            ));
        }
        let (left, right) = (Box::new(left), Box::new(right));
        let kind = match relation {
            Some(comparison) => Kind::Compare(comparison, left, right),
            None => Kind::In(left, right),
        };
        Ok(Expr { kind, span })
    }

    /// `Some(None)`: `in`.
    #[expect(clippy::option_option, reason = "no relation, `in`, or one of the others")]
    fn relation_sign(&mut self) -> Option<Option<Comparison>> {
        let relation = match self.peek()? {
            Token::Sign("==") => Some(Comparison::Equal),
            Token::Sign("!=") => Some(Comparison::Unequal),
            Token::Sign("<") => Some(Comparison::Less),
            Token::Sign("<=") => Some(Comparison::AtMost),
            Token::Sign(">") => Some(Comparison::Greater),
            Token::Sign(">=") => Some(Comparison::AtLeast),
            Token::Name(name) if name == "in" => None,
            _ => return None,
        };
        self.at += 1;
        Some(relation)
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        let signs = [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        self.chain(&signs, Self::product)
    }

    fn product(&mut self) -> Result<Expr, Fault> {
        let signs = [("*", Arithmetic::Multiply), ("/", Arithmetic::Divide)];
        self.chain(&signs, Self::unary)
    }

    fn chain(
        &mut self,
        signs: &[(&'static str, Arithmetic)],
        one: fn(&mut Self) -> Result<Expr, Fault>,
    ) -> Result<Expr, Fault> {
        let mut left = one(self)?;
        while let Some((_, arithmetic)) = signs.iter().find(|(sign, _)| self.take(sign)) {
            let right = one(self)?;
            let span = left.span.start..right.span.end;
            left = Expr { kind: Kind::Arithmetic(*arithmetic, Box::new(left), Box::new(right)), span };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let start = self.place().start;
        let wrap: fn(Box<Expr>) -> Kind = match self.peek() {
            Some(Token::Sign("!")) => Kind::Not,
            Some(Token::Sign("-")) => Kind::Negate,
            _ => return self.member(),
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} signs in a row");
            return Err(Fault::new(self.place(), message, "one at most"));
        }
        self.at += 1;
        let of = self.unary();
        self.depth -= 1;
        let of = of?;
        let span = start..of.span.end;
        Ok(Expr { kind: wrap(Box::new(of)), span })
    }

    fn member(&mut self) -> Result<Expr, Fault> {
        let mut of = self.primary()?;
        loop {
            if self.take(".") {
                let name_span = self.place();
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return Err(self.wrong("`contains(…)`, `startsWith(…)` or `endsWith(…)`"));
                };
                self.at += 1;
                let argument = Box::new(self.argument("(", ")")?);
                let span = of.span.start..self.before();
                of = Expr { kind: Kind::Method { of: Box::new(of), name, name_span, argument }, span };
            } else if self.peek() == Some(&Token::Sign("[")) {
                let key = self.argument("[", "]")?;
                let span = of.span.start..self.before();
                of = Expr { kind: Kind::Index(Box::new(of), Box::new(key)), span };
            } else {
                return Ok(of);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let span = self.place();
        let kind = match self.peek() {
            Some(Token::Name(name)) if name == "true" || name == "false" => Kind::Bool(name == "true"),
            Some(Token::Name(name)) if name != "in" => {
                let name = name.clone();
                self.at += 1;
                if self.peek() != Some(&Token::Sign("(")) {
                    return Ok(Expr { kind: Kind::Name(name), span });
                }
                let argument = Box::new(self.argument("(", ")")?);
                let whole = span.start..self.before();
                return Ok(Expr { kind: Kind::Call { name, name_span: span, argument }, span: whole });
            }
            Some(Token::Text(text)) => Kind::Text(text.clone()),
            Some(Token::Int(number)) => Kind::Int(*number),
            Some(Token::Double(number)) => Kind::Double(*number),
            Some(Token::Sign("(")) => return self.argument("(", ")"),
            Some(Token::Sign("[")) => return self.list(),
            _ => return Err(self.wrong(OPERAND)),
        };
        self.at += 1;
        Ok(Expr { kind, span })
    }

    /// One expression in brackets.
    fn argument(&mut self, open: &'static str, close: &'static str) -> Result<Expr, Fault> {
        self.need(open)?;
        let expr = self.any()?;
        self.need(close)?;
        Ok(expr)
    }

    fn list(&mut self) -> Result<Expr, Fault> {
        let start = self.place().start;
        self.need("[")?;
        let mut items = vec![self.any()?];
        while self.take(",") {
            items.push(self.any()?);
        }
        self.need("]")?;
        Ok(Expr { kind: Kind::List(items), span: start..self.before() })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let is_it = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_it);
        is_it
    }

    fn need(&mut self, sign: &'static str) -> Result<(), Fault> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong(&format!("`{sign}`"))) }
    }

    /// Of the next token; behind the text when there is none.
    fn place(&self) -> Span {
        self.tokens.get(self.at).map_or(self.end..self.end, |(_, span)| span.clone())
    }

    /// Where the token before ends.
    fn before(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, span)| span.end)
    }

    fn wrong(&self, expected: &str) -> Fault {
        let message = match self.peek() {
            Some(token) => format!("{} does not belong here", token.show()),
            None => "this ends too early".to_owned(),
        };
        Fault::new(self.place(), message, expected)
    }
}

fn span_of(parts: &[Expr]) -> Span {
    let start = parts.first().map_or(0, |part| part.span.start);
    start..parts.last().map_or(start, |part| part.span.end)
}
