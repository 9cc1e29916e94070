//! Reads tables of TOML key by key and gathers every mistake with its place, instead of stopping at the first.
//!
//! A value that is wrong is noted and then treated as absent, so that the rest is still looked at. Knows the form of
//! values and nothing of what they mean.

use super::keys::{self, nearest};
use super::{Mistake, Place};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// So many characters of a wrong value are shown.
const SHOWN_MAX: usize = 40;
/// In MiB/s: faster than any disk; what lies beyond was meant in other units.
const RATE_MAX: i64 = 1_000_000;

/// A file being read.
pub(super) struct Reader<'t> {
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            mistakes: RefCell::default(),
        }
    }

    /// The whole file; what is no TOML at all is noted, and the rest is read.
    pub(super) fn parse(&self) -> Spanned<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let what = format!("this is not TOML: {}", error.message());
            self.note(error.span().as_ref(), what);
        }
        table
    }

    /// Notes a mistake.
    pub(super) fn note(&self, span: Option<&Range<usize>>, what: String) {
        let place = span.map(|span| self.place(span.start));
        self.mistakes.borrow_mut().push(Mistake { place, what });
    }

    /// Every mistake so far, in the order of the file.
    pub(super) fn mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.place);
        mistakes
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }
}

/// A table being read.
pub(super) struct Section<'r, 't> {
    reader: &'r Reader<'t>,
    name: &'static str,
    table: Option<&'r DeTable<'t>>,
    span: Option<Range<usize>>,
}

impl<'r, 't> Section<'r, 't> {
    /// A table that is there; notes the keys that do not belong in it.
    pub(super) fn new(
        reader: &'r Reader<'t>,
        name: &'static str,
        table: &'r DeTable<'t>,
        span: Option<Range<usize>>,
    ) -> Self {
        let section = Self {
            reader,
            name,
            table: Some(table),
            span,
        };
        let known = keys::names(name);
        for (key, _) in table {
            let word = key.get_ref().as_ref();
            if !known.contains(&word) {
                let meant = keys::meant(name, word)
                    .unwrap_or_else(|| format!("known are {}", known.join(", ")));
                let what = format!("unknown key `{}`: {meant}", section.full(word));
                reader.note(Some(&key.span()), what);
            }
        }
        section
    }

    /// A table that is not there; it has every default.
    pub(super) fn absent(reader: &'r Reader<'t>, name: &'static str) -> Self {
        Self {
            reader,
            name,
            table: None,
            span: None,
        }
    }

    fn full(&self, key: &str) -> String {
        match self.name {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<&'r Spanned<DeValue<'t>>> {
        let mut entries = self.table?.iter();
        let found = entries.find(|(name, _)| name.get_ref().as_ref() == key);
        found.map(|(_, value)| value)
    }

    /// Notes what is wrong with a key: at its value, else where its table begins.
    pub(super) fn wrong(&self, key: &str, why: &str) {
        let span = self.value(key).map(Spanned::span).or(self.span.clone());
        let what = format!("{}: {why}", self.full(key));
        self.reader.note(span.as_ref(), what);
    }

    /// Where a key's value stands, or its table.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        let span = self.value(key).map(Spanned::span).or(self.span.clone());
        span.map(|span| self.reader.place(span.start))
    }

    /// Notes that a key is missing; the answer is only there to be returned.
    pub(super) fn missing<T>(&self, key: &str, example: &str) -> Option<T> {
        if self.value(key).is_none() {
            let what = format!("{}: is required, such as {example}", self.full(key));
            self.reader.note(self.span.as_ref(), what);
        }
        None
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let got = read(value.get_ref());
        if got.is_none() {
            let written = self.reader.text.get(value.span()).unwrap_or_default();
            let shown: String = written.chars().take(SHOWN_MAX).collect();
            self.wrong(key, &format!("must be {wanted}, not {shown}"));
        }
        got
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.typed(key, "a text in quotes", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    /// An absolute path.
    pub(super) fn path(&self, key: &str, example: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key)?);
        if path.is_absolute() {
            return Some(path);
        }
        self.wrong(key, &format!("must be an absolute path, such as {example}"));
        None
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let word = self.text(key)?;
        self.known(key, &word, words)
    }

    fn known<T: Copy>(&self, key: &str, word: &str, words: &[(&str, T)]) -> Option<T> {
        if let Some((_, meaning)) = words.iter().find(|(known, _)| *known == word) {
            return Some(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        let why = match nearest(word, &known) {
            Some(near) => format!("{word:?} is not known: did you mean {near:?}?"),
            None => format!("{word:?} is not known: it is one of {known:?}"),
        };
        self.wrong(key, &why);
        None
    }

    /// A list of a few words.
    pub(super) fn words<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<Vec<T>> {
        let said = self.texts(key)?;
        let meant = said.iter().map(|word| self.known(key, word, words));
        meant.collect()
    }

    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        self.typed(key, "a list of texts, such as [\"a\", \"b\"]", |value| {
            let list = value.as_array()?;
            let texts = list
                .iter()
                .map(|one| one.get_ref().as_str().map(str::to_owned));
            texts.collect()
        })
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.typed(key, "true or false", |value| value.as_bool())
    }

    pub(super) fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.typed(key, &wanted, |value| {
            let number = value.as_integer()?;
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    /// A rate in MiB/s as bytes a second; 0, which means no limit, when it is absent.
    pub(super) fn rate(&self, key: &str) -> u64 {
        let rate = self.integer(key, 0..=RATE_MAX).unwrap_or(0);
        u64::try_from(rate).unwrap_or(0) << 20
    }

    /// A number above 0.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.typed(key, "a number above 0, such as 20.0", |value| {
            let digits = match value {
                DeValue::Integer(number) => number.as_str(),
                DeValue::Float(number) => number.as_str(),
                DeValue::String(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => return None,
            };
            let number: f64 = digits.parse().ok()?;
            (number.is_finite() && number > 0.0).then_some(number)
        })
    }

    /// An address with a port.
    pub(super) fn address(&self, key: &str) -> Option<SocketAddr> {
        let text = self.text(key)?;
        self.read_address(key, &text)
    }

    pub(super) fn read_address(&self, key: &str, text: &str) -> Option<SocketAddr> {
        let read = text.parse().ok();
        if read.is_none() {
            let why = format!(
                "{text:?} is no address: write \"ip:port\", such as \"127.0.0.1:8776\" or \"[::1]:8776\""
            );
            self.wrong(key, &why);
        }
        read
    }
}
