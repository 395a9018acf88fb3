//! From text to tokens.

use super::{Fault, Span};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Int(i64),
    Double(f64),
    /// An operator, a bracket, a comma or a full stop.
    Sign(&'static str),
}

/// From the longest: `<=` is not `<`.
const SIGNS: [&str; 22] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
    "?", ":",
];

/// More is a program, not a rule; and what follows looks at each token a bounded number of times.
const TOKENS_MAX: usize = 512;

/// Every token with its place.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (token, length) = match first {
            '"' | '\'' => quoted(rest, first, start)?,
            '0'..='9' => number(rest, start)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = length_while(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                (Token::Name(rest.get(..length).unwrap_or_default().to_owned()), length)
            }
            _ => sign(rest, first, start)?,
        };
        if tokens.len() == TOKENS_MAX {
            let message = format!("this is longer than {TOKENS_MAX} names, numbers and signs");
            return Err(Fault::new(start..start + length, message, "several rules"));
        }
        tokens.push((token, start..start + length));
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn sign(rest: &str, first: char, start: usize) -> Result<(Token, usize), Fault> {
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    let (message, expected) = match first {
        '=' => ("`=` alone compares nothing".to_owned(), "`==`"),
        '&' => ("`&` alone joins nothing".to_owned(), "`&&`"),
        '|' => ("`|` alone joins nothing".to_owned(), "`||`"),
        other => {
            (format!("{other:?} means nothing here"), "a name, a number, a text in quotes or an operator")
        }
    };
    Err(Fault::new(start..start + first.len_utf8(), message, expected))
}

fn number(rest: &str, start: usize) -> Result<(Token, usize), Fault> {
    let whole = length_while(rest, |c| c.is_ascii_digit());
    let after = rest.get(whole..).unwrap_or_default();
    let fraction = after.strip_prefix('.').map_or(0, |digits| length_while(digits, |c| c.is_ascii_digit()));
    let length = if fraction == 0 { whole } else { whole + 1 + fraction };
    let digits = rest.get(..length).unwrap_or_default();
    let token = if fraction == 0 {
        digits.parse().ok().map(Token::Int)
    } else {
        digits.parse().ok().map(Token::Double)
    };
    let is_glued = rest.get(length..).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
    match token {
        Some(token) if !is_glued => Ok((token, length)),
        _ => {
            let message = "this is no number".to_owned();
            Err(Fault::new(start..start + length, message, "a number such as 100 or 0.5, without a unit"))
        }
    }
}

/// A text in quotes of either kind, with the escapes that are needed to write those.
fn quoted(rest: &str, quote: char, start: usize) -> Result<(Token, usize), Fault> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => match chars.next().map(|(_, char)| char) {
                Some(char @ ('\\' | '"' | '\'')) => text.push(char),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                _ => {
                    let place = start + at..start + at + 1;
                    let message = "no such escape".to_owned();
                    return Err(Fault::new(place, message, r#"`\\`, `\"`, `\'`, `\n`, `\r` or `\t`"#));
                }
            },
            _ if char == quote => return Ok((Token::Text(text), at + 1)),
            _ => text.push(char),
        }
    }
    let message = "this text has no end".to_owned();
    Err(Fault::new(start..start + rest.len(), message, &format!("`{quote}` at its end")))
}

fn length_while(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|char| !is(char)).unwrap_or(text.len())
}

impl Token {
    /// For a message.
    pub(super) fn show(&self) -> String {
        match self {
            Token::Name(name) => format!("`{name}`"),
            Token::Text(text) => format!("the text {text:?}"),
            Token::Int(number) => format!("the number {number}"),
            Token::Double(number) => format!("the number {number}"),
            Token::Sign(sign) => format!("`{sign}`"),
        }
    }
}
