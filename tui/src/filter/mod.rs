//! The filter language, the same in `--filter` and in the console: `status=error|deleting, age>7d !boot`.
//!
//! Blanks and commas are AND, `|` is OR and binds tighter, `!` in front of a group turns all of it round. A bare word
//! is looked for in name, id and the like; `~word` fuzzily, `/re/` as a regular expression; `field=value`, `!=`, `<`,
//! `<=`, `>`, `>=` look at one field, with units (`size>500G used>80% age<1d`). A value after `|` without a field
//! belongs to the field before it. `field=never` is one that has no value. Pure: must not know JSON, HTTP or a screen.
//! What cannot be read is refused with its place, never ignored.

mod matching;
mod parse;

use std::fmt;

pub(crate) use matching::{Datum, Subject};
use regex_lite::Regex;

/// Longer than anybody writes; what is longer was pasted by mistake.
const TEXT_LEN_MAX: usize = 4096;
/// A regular expression of this many bytes, compiled, is refused.
const REGEX_SIZE_MAX: usize = 1 << 20;

/// A filter, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Filter {
    groups: Vec<Group>,
}

/// Terms of which one must fit; or, turned round, none may.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    is_negated: bool,
    terms: Vec<Term>,
}

/// One thing that may fit.
#[derive(Debug, Clone)]
enum Term {
    /// Somewhere in what the object is called by.
    Text(String),
    /// Its letters in this order somewhere in it.
    Fuzzy(String),
    /// By regular expression.
    Matches(Regex),
    /// A field against a value.
    Field(String, Op, Value),
    /// A word with a meaning of its own.
    Is(Word),
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// How a field is compared. `!=` is `=` in a group that is turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

/// Words that mean something by themselves; to look for one of them as text, put it in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// In use by a host.
    Attached,
    /// Without what it belongs to.
    Orphan,
    /// Marked in the console.
    Marked,
    /// Made by whoever asks.
    Mine,
}

/// The words, as they are written.
pub(crate) const WORDS: &[(&str, Word)] = &[
    ("attached", Word::Attached),
    ("orphan", Word::Orphan),
    ("marked", Word::Marked),
    ("mine", Word::Mine),
];

/// A value as it was written, and all that it can mean: which of them counts, the field says.
#[derive(Debug, Clone, PartialEq)]
struct Value {
    text: String,
    number: Option<f64>,
    bytes: Option<f64>,
    seconds: Option<f64>,
}

/// Why a filter could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadFilter {
    /// How many characters in.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) why: String,
}

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (character {})", self.why, self.at + 1)
    }
}

impl Filter {
    /// Reads one. An empty one takes everything.
    pub(crate) fn parse(text: &str) -> Result<Self, BadFilter> {
        parse::filter(text)
    }

    /// Whether it takes this object.
    pub(crate) fn takes(&self, subject: &impl Subject) -> bool {
        self.groups
            .iter()
            .all(|group| group.is_negated != group.terms.iter().any(|term| term.fits(subject)))
    }

    /// The fields that it looks at.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        let terms = self.groups.iter().flat_map(|group| &group.terms);
        terms.filter_map(|term| match term {
            Term::Field(name, ..) => Some(name.as_str()),
            Term::Text(_) | Term::Fuzzy(_) | Term::Matches(_) | Term::Is(_) => None,
        })
    }

    /// The words with a meaning of their own that it uses.
    pub(crate) fn words(&self) -> impl Iterator<Item = Word> {
        let terms = self.groups.iter().flat_map(|group| &group.terms);
        terms.filter_map(|term| match term {
            Term::Is(word) => Some(*word),
            Term::Text(_) | Term::Fuzzy(_) | Term::Matches(_) | Term::Field(..) => None,
        })
    }

    /// The one value that a field must have, if there is one: a server can be asked for it.
    pub(crate) fn equal_to(&self, field: &str) -> Option<&str> {
        self.groups.iter().find_map(|group| match &group.terms[..] {
            [Term::Field(name, Op::Equal, value)] if name == field && !group.is_negated => {
                Some(value.text.as_str()).filter(|_| !value.is_nothing())
            }
            _ => None,
        })
    }

    /// The same with its bare words taken fuzzily: for when nothing fits as it stands.
    pub(crate) fn loosened(&self) -> Self {
        let loose = |term: &Term| match term {
            Term::Text(text) => Term::Fuzzy(text.clone()),
            Term::Fuzzy(_) | Term::Matches(_) | Term::Field(..) | Term::Is(_) => term.clone(),
        };
        let groups = self.groups.iter().map(|group| Group {
            is_negated: group.is_negated,
            terms: group.terms.iter().map(loose).collect(),
        });
        Self {
            groups: groups.collect(),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            if group.is_negated {
                f.write_str("!")?;
            }
            for (index, term) in group.terms.iter().enumerate() {
                if index > 0 {
                    f.write_str("|")?;
                }
                write!(f, "{term}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Text(text) => f.write_str(&quoted(text)),
            Term::Fuzzy(text) => write!(f, "~{}", quoted(text)),
            Term::Matches(regex) => write!(f, "/{}/", regex.as_str().replace('/', "\\/")),
            Term::Field(name, op, value) => {
                write!(f, "{name}{}{}", op.sign(), quoted(&value.text))
            }
            Term::Is(word) => {
                let known = WORDS.iter().find(|(_, other)| other == word);
                f.write_str(known.map_or("", |(name, _)| name))
            }
        }
    }
}

impl Op {
    fn sign(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::Less => "<",
            Op::LessOrEqual => "<=",
            Op::More => ">",
            Op::MoreOrEqual => ">=",
        }
    }
}

/// In quotes where it would be read as something else.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.:@%+#".contains(c);
    let is_word = WORDS.iter().any(|(name, _)| *name == text);
    if !text.is_empty() && text.chars().all(is_plain) && !is_word {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
