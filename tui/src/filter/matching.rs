//! Whether a term fits an object. Case never matters.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Op, Term, Value, Word};

/// What a field of an object holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A count or a percentage.
    Number(f64),
    /// A size.
    Bytes(f64),
    /// A length of time.
    Seconds(f64),
    /// Nothing.
    Absent,
}

/// An object that can be looked at.
pub(crate) trait Subject {
    /// Whether any of the texts that it is called by (name, id, host, project, IQN) is one for which `fits` is true.
    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool;
    /// A field; `Absent` also when there is none of that name.
    fn field(&self, name: &str) -> Datum<'_>;
    /// Whether a word with a meaning of its own is true of it.
    fn is(&self, word: Word) -> bool;
}

impl Term {
    /// Whether it fits.
    pub(super) fn fits(&self, subject: &impl Subject) -> bool {
        match self {
            Term::Text(text) => {
                let text = text.to_lowercase();
                subject.any_text(&mut |other| other.to_lowercase().contains(&text))
            }
            Term::Fuzzy(text) => subject.any_text(&mut |other| is_fuzzily(text, other)),
            Term::Matches(regex) => subject.any_text(&mut |other| regex.is_match(other)),
            Term::Field(name, op, value) => value.fits(*op, &subject.field(name)),
            Term::Is(word) => subject.is(*word),
        }
    }
}

/// Whether the letters of `text` come in this order in `other`.
fn is_fuzzily(text: &str, other: &str) -> bool {
    let other = other.to_lowercase();
    let mut left = other.chars();
    text.to_lowercase()
        .chars()
        .all(|wanted| left.any(|c| c == wanted))
}

impl Value {
    fn fits(&self, op: Op, datum: &Datum<'_>) -> bool {
        let numeric = |held: &f64, wanted: Option<f64>| held.partial_cmp(&wanted?);
        let order = match datum {
            Datum::Absent => return op == Op::Equal && self.is_nothing(),
            Datum::Number(held) => numeric(held, self.number),
            Datum::Bytes(held) => numeric(held, self.bytes),
            Datum::Seconds(held) => numeric(held, self.seconds),
            Datum::Text(held) if held.is_empty() => return op == Op::Equal && self.is_nothing(),
            Datum::Text(held) => Some(self.against_text(held)),
        };
        let Some(order) = order else {
            return false;
        };
        match op {
            Op::Equal => order == Ordering::Equal,
            Op::Less => order == Ordering::Less,
            Op::LessOrEqual => order != Ordering::Greater,
            Op::More => order == Ordering::Greater,
            Op::MoreOrEqual => order != Ordering::Less,
        }
    }

    /// Numbers that came as text are compared as numbers.
    fn against_text(&self, held: &str) -> Ordering {
        let as_numbers = held.parse::<f64>().ok().zip(self.number);
        match as_numbers.and_then(|(held, wanted)| held.partial_cmp(&wanted)) {
            Some(order) => order,
            None => held.to_lowercase().cmp(&self.text.to_lowercase()),
        }
    }
}
