//! A typed reader of TOML that reports every error instead of the first.
//!
//! A [`Table`] knows its valid keys and reports all others; an [`Item`] is one value that is asked for as
//! what it should be. `None` always means that the trouble was reported already, or that nothing was written.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Problems};
use super::place::{At, FileId, Place};
use super::units;

/// One kind of table: what it is called in messages, and its keys.
#[derive(Debug, PartialEq, Eq)]
pub struct TableKind {
    /// As a person would write its header: `[listen]`, `[[limits]]`.
    pub title: &'static str,
    pub keys: &'static [&'static str],
}

/// One table of the file that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    kind: &'static TableKind,
    /// Keys beside the kind's own, where a table of its kind may have others than the next.
    more: &'a [&'a str],
    entries: &'a DeTable<'a>,
    pub(super) place: Place,
    pub(super) problems: &'a Problems,
}

impl<'a> Table<'a> {
    /// The table at the root of a file. Reports unknown keys.
    pub(super) fn root(
        entries: &'a DeTable<'a>,
        file: FileId,
        kind: &'static TableKind,
        problems: &'a Problems,
    ) -> Self {
        Self::new(entries, Place { file, start: 0, end: 0 }, kind, &[], problems)
    }

    /// What is written under `key`, which must be one of the table's keys.
    pub(super) fn item(&self, key: &str) -> Option<Item<'a>> {
        let is_key = self.kind.keys.contains(&key) || self.more.contains(&key);
        debug_assert!(is_key, "{key} is not a key of {}", self.kind.title);
        let (key, value) = self.entries.get_key_value(key)?;
        Some(Item::new(key.get_ref(), value, self.place.file, self.problems))
    }

    /// Reads `key` if it is written.
    pub(super) fn read<T>(&self, key: &str, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<T> {
        self.item(key).and_then(read)
    }

    /// Reads `key`, and reports when it is not written.
    pub(super) fn require<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(item) = self.item(key) {
            return read(item);
        }
        let message = format!("`{key}` is missing from {}", self.kind.title);
        self.problems.add(Diagnostic::error(self.place, message).expected(expected));
        None
    }

    fn new(
        entries: &'a DeTable<'a>,
        place: Place,
        kind: &'static TableKind,
        more: &'a [&'a str],
        problems: &'a Problems,
    ) -> Self {
        for (key, _) in entries {
            let name = key.get_ref().as_ref();
            if !kind.keys.contains(&name) && !more.contains(&name) {
                let place = Place { file: place.file, start: key.span().start, end: key.span().end };
                problems.add(unknown_key(name, place, kind, more));
            }
        }
        Table { kind, more, entries, place, problems }
    }
}

/// One value, with the key it stands under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) key: &'a str,
    pub(super) place: Place,
    value: &'a DeValue<'a>,
    pub(super) problems: &'a Problems,
}

impl<'a> Item<'a> {
    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// Whether it is a table with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(self.value, DeValue::Table(entries) if entries.contains_key(key))
    }

    pub(super) fn is_boolean(&self) -> bool {
        matches!(self.value, DeValue::Boolean(_))
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(super) fn is_array(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// Joins a value that was read to its place.
    pub(super) fn at<T>(&self, value: T) -> At<T> {
        At::new(value, self.place)
    }

    /// Reports that the value is wrong.
    pub(super) fn wrong(&self, message: impl Into<String>, expected: &str) {
        self.problems.add(Diagnostic::error(self.place, message).expected(expected));
    }

    /// Reports that the value is wrong, and yields `None`.
    pub(super) fn refuse<T>(&self, message: impl Into<String>, expected: &str) -> Option<T> {
        self.wrong(message, expected);
        None
    }

    pub(super) fn table(&self, kind: &'static TableKind) -> Option<Table<'a>> {
        self.table_with(kind, &[])
    }

    /// A table with keys beside those of its kind.
    pub(super) fn table_with(&self, kind: &'static TableKind, more: &'a [&'a str]) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(entries, self.place, kind, more, self.problems)),
            _ => self.wrong_type(if kind.title.starts_with('[') { kind.title } else { "a table" }),
        }
    }

    /// A string that is not empty.
    pub(super) fn text(&self, expected: &str) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) if text.is_empty() => {
                self.refuse(format!("`{}` is empty", self.key), expected)
            }
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(expected),
        }
    }

    /// A string that is not empty, and its place.
    pub(super) fn text_at(&self, expected: &str) -> Option<At<String>> {
        self.text(expected).map(|text| self.at(text.to_owned()))
    }

    /// Where the first character of a string stands in the file, if it stands there as it is.
    pub(super) fn first_character(&self) -> Option<usize> {
        let DeValue::String(Cow::Borrowed(text)) = self.value else { return None };
        let around = (self.place.end - self.place.start).checked_sub(text.len())?;
        // One quote on either side; or three, and perhaps a line's end after the first three.
        let before = match around {
            2 => 1,
            6..=8 => around - 3,
            _ => return None,
        };
        Some(self.place.start + before)
    }

    /// A name of the operator's choosing, for messages and metrics.
    pub(super) fn name(&self) -> Option<At<String>> {
        let name = self.parse(NAME, |text| is_name(text).then(|| text.to_owned()))?;
        Some(self.at(name))
    }

    /// A string that `parse` understands.
    pub(super) fn parse<T>(&self, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(expected)?;
        parse(text).or_else(|| self.refuse(format!("`{}` cannot be {}", self.key, quoted(text)), expected))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("`true` or `false`"),
        }
    }

    /// A whole number in a range.
    pub(super) fn whole<N: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Option<N> {
        let expected = if range.start() == range.end() {
            format!("the number {}", range.start())
        } else {
            format!("a whole number from {} to {}", range.start(), range.end())
        };
        let DeValue::Integer(integer) = self.value else {
            return self.wrong_type(&expected);
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|n| range.contains(n))
            .and_then(|n| N::try_from(n).ok())
            .or_else(|| self.refuse(format!("`{}` cannot be {integer}", self.key), &expected))
    }

    /// One of several numbers.
    pub(super) fn one_of<T: Copy>(&self, numbers: &[(u16, T)]) -> Option<T> {
        let names: Vec<String> = numbers.iter().map(|(number, _)| number.to_string()).collect();
        let expected = names.join(" or ");
        let DeValue::Integer(integer) = self.value else {
            return self.wrong_type(&expected);
        };
        let written = u16::from_str_radix(integer.as_str(), integer.radix()).ok();
        let found = numbers.iter().find(|(number, _)| Some(*number) == written);
        found
            .map(|(_, value)| *value)
            .or_else(|| self.refuse(format!("`{}` cannot be {integer}", self.key), &expected))
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let DeValue::String(text) = self.value else {
            let quoted: Vec<String> = names().map(|n| format!("\"{n}\"")).collect();
            return self.wrong_type(&quoted.join(" or "));
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| name == text) {
            return Some(*value);
        }
        let message = format!("`{}` cannot be {}", self.key, quoted(text));
        self.problems.add(Diagnostic::error(self.place, message).one_of(text, names()));
        None
    }

    /// A length of time in a range, such as `"10s"`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let expected = format!(
            "a time such as \"10s\", \"500ms\" or \"2min\", from {} to {}",
            units::time_text(*range.start()),
            units::time_text(*range.end())
        );
        self.parse(&expected, |text| units::duration(text).filter(|d| range.contains(d)))
    }

    /// A size in a range, such as `"64KiB"`; a bare number is bytes.
    pub(super) fn bytes(&self, range: RangeInclusive<u64>) -> Option<u64> {
        if let DeValue::Integer(_) = self.value {
            return self.whole(range);
        }
        let expected =
            format!("a size such as \"64KiB\" or \"10MiB\", from {} to {} bytes", range.start(), range.end());
        self.parse(&expected, |text| units::bytes(text).filter(|n| range.contains(n)))
    }

    /// A share of a whole, `0.5` or `"50%"`, in thousandths: more than nothing, at most all.
    pub(super) fn share(&self) -> Option<u32> {
        const EXPECTED: &str = "a share such as 0.5 or \"50%\", above 0 and at most 1";
        let in_range = |permille: &u32| (1..=1000).contains(permille);
        let (DeValue::Float(_) | DeValue::Integer(_)) = self.value else {
            return self.parse(EXPECTED, |text| units::permille(text).filter(in_range));
        };
        let written = match self.value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            _ => "",
        };
        units::fraction_permille(written)
            .filter(in_range)
            .or_else(|| self.refuse(format!("`{}` cannot be {written}", self.key), EXPECTED))
    }

    /// An address and port to listen on.
    pub(super) fn socket_address(&self) -> Option<SocketAddr> {
        self.parse("an address and port such as \"127.0.0.1:8080\" or \"[::]:8080\"", |text| {
            text.parse().ok()
        })
    }

    /// Every element of an array; `None` when it is none or any element is bad.
    pub(super) fn list<T>(&self, read: impl Fn(Item<'a>) -> Option<T>) -> Option<Vec<T>> {
        let DeValue::Array(values) = self.value else {
            return self.wrong_type("an array");
        };
        // Collected before the verdict: the first bad element must not hide the second.
        let read: Vec<Option<T>> = values
            .iter()
            .map(|value| read(Item::new(self.key, value, self.place.file, self.problems)))
            .collect();
        read.into_iter().collect()
    }

    /// Every table of an array of tables that can be read at all; the others are reported and left out.
    pub(super) fn tables<T>(&self, count_max: usize, read: impl Fn(Item<'a>) -> Option<T>) -> Vec<T> {
        if !self.is_array() {
            let expected = format!("[[{}]], in double brackets, once for each", self.key);
            return self.wrong_type(&expected).unwrap_or_default();
        }
        let tables = self.list(|item| Some(read(item))).unwrap_or_default();
        if tables.len() > count_max {
            let message = format!("there are {} of `{}`", tables.len(), self.key);
            return self.refuse(message, &format!("at most {count_max}")).unwrap_or_default();
        }
        tables.into_iter().flatten().collect()
    }

    /// An array, or a single element that stands for an array of one.
    pub(super) fn one_or_list<T>(&self, read: impl Fn(Item<'a>) -> Option<T>) -> Option<Vec<T>> {
        if self.is_array() { self.list(read) } else { read(*self).map(|one| vec![one]) }
    }

    /// The entries of a table whose keys are the operator's own names, in the order of the file.
    pub(super) fn entries(&self) -> Option<Vec<(At<String>, Item<'a>)>> {
        let DeValue::Table(table) = self.value else {
            return self.wrong_type(&format!("[{}.NAME], once for each", self.key));
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let item = Item::new(key.get_ref(), value, self.place.file, self.problems);
                let place = Place { file: self.place.file, start: key.span().start, end: key.span().end };
                if !is_name(key.get_ref()) {
                    let message = format!("{} cannot be a name", quoted(key.get_ref()));
                    self.problems.add(Diagnostic::error(place, message).expected(NAME));
                }
                (At::new(key.get_ref().to_string(), place), item)
            })
            .collect();
        entries.sort_by_key(|(name, _)| name.place.start);
        Some(entries)
    }

    fn new(
        key: &'a str,
        value: &'a toml::Spanned<DeValue<'a>>,
        file: FileId,
        problems: &'a Problems,
    ) -> Self {
        let span = value.span();
        let place = Place { file, start: span.start, end: span.end };
        Item { key, place, value: value.get_ref(), problems }
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.refuse(format!("`{}` cannot be {found}", self.key), expected)
    }
}

const NAME: &str = "a name of at most 128 bytes without control characters";

/// Names stand in metrics, headers and terminals.
fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// What was written, for a message: in quotes, without control characters, and cut where it is endless.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{:?}…", text.get(..at).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Offers the nearest key of the table, or else the table to which the key belongs.
fn unknown_key(name: &str, place: Place, kind: &TableKind, more: &[&str]) -> Diagnostic {
    let unknown = Diagnostic::error(place, format!("unknown key `{name}` in {}", kind.title))
        .one_of(name, kind.keys.iter().chain(more).copied());
    match super::TABLES.iter().find(|other| other.keys.contains(&name)) {
        Some(owner) if unknown.help.is_none() => {
            unknown.help(format!("`{name}` is a key of {}", owner.title))
        }
        _ => unknown,
    }
}
