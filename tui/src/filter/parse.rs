//! Reads the filter language, character by character. Refuses with the place and what would be right.

use std::iter::Peekable;
use std::str::Chars;

use regex_lite::RegexBuilder;

use super::{BadFilter, Filter, Group, Op, REGEX_SIZE_MAX, TEXT_LEN_MAX, Term, Value, WORDS};

/// Reads a whole filter.
pub(super) fn filter(text: &str) -> Result<Filter, BadFilter> {
    if text.len() > TEXT_LEN_MAX {
        let why = format!("a filter is at most {TEXT_LEN_MAX} bytes long");
        return Err(BadFilter { at: 0, why });
    }
    let mut reader = Reader {
        chars: text.chars().peekable(),
        at: 0,
    };
    let mut groups = Vec::new();
    loop {
        reader.skip(|c| c.is_whitespace() || c == ',');
        if reader.peek().is_none() {
            return Ok(Filter { groups });
        }
        groups.push(reader.group()?);
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    at: usize,
}

/// A word, and whether any of it stood in quotes.
struct Read {
    text: String,
    is_quoted: bool,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.at += usize::from(next.is_some());
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_it = self.peek() == Some(wanted);
        if is_it {
            self.next();
        }
        is_it
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&unwanted) {
            self.next();
        }
    }

    fn bad<T>(&self, why: &str) -> Result<T, BadFilter> {
        Err(BadFilter {
            at: self.at,
            why: why.to_owned(),
        })
    }

    fn group(&mut self) -> Result<Group, BadFilter> {
        let is_turned = self.take('!');
        let (first, is_unequal) = self.term(None)?;
        // A value alone after `|` belongs to the field before it: `status=error|deleting`.
        let field = match &first {
            Term::Field(name, op, _) => Some((name.clone(), *op)),
            Term::Text(_) | Term::Fuzzy(_) | Term::Matches(_) | Term::Is(_) => None,
        };
        let mut terms = vec![first];
        loop {
            let rest = self.chars.clone();
            let at = self.at;
            self.skip(char::is_whitespace);
            if !self.take('|') {
                self.chars = rest;
                self.at = at;
                break;
            }
            self.skip(char::is_whitespace);
            let (term, is_other_unequal) = self.term(field.as_ref())?;
            if is_other_unequal {
                return self.bad("`!=` after `|` says nothing: write !a=x !b=y, or a!=x|y");
            }
            terms.push(term);
        }
        Ok(Group {
            is_negated: is_turned != is_unequal,
            terms,
        })
    }

    /// A term, and whether it was written with `!=`.
    fn term(&mut self, field: Option<&(String, Op)>) -> Result<(Term, bool), BadFilter> {
        match self.peek() {
            Some('/') => return Ok((self.regex()?, false)),
            Some('~') => {
                self.next();
                let word = self.word()?;
                return Ok((Term::Fuzzy(word.text), false));
            }
            Some('!') => return self.bad("`!` goes in front of a whole group, as in !a|b"),
            _ => {}
        }
        let word = self.word()?;
        let is_unequal = self.peek() == Some('!');
        if is_unequal {
            self.next();
        }
        let op = match self.peek() {
            Some('=') => Some(Op::Equal),
            Some('<') if !is_unequal => Some(Op::Less),
            Some('>') if !is_unequal => Some(Op::More),
            _ if is_unequal => return self.bad("after a field comes `!=`, or a blank before `!`"),
            _ => None,
        };
        if let Some(op) = op {
            self.next();
            let with_equal = match op {
                Op::Less => Op::LessOrEqual,
                Op::More => Op::MoreOrEqual,
                Op::Equal | Op::LessOrEqual | Op::MoreOrEqual => op,
            };
            let op = if with_equal != op && self.take('=') {
                with_equal
            } else {
                op
            };
            if word.is_quoted {
                return self.bad("the name of a field is not in quotes");
            }
            let value = self.word()?;
            return Ok((
                Term::Field(word.text, op, Value::read(value.text)),
                is_unequal,
            ));
        }
        if let Some((name, op)) = field {
            return Ok((
                Term::Field(name.clone(), *op, Value::read(word.text)),
                false,
            ));
        }
        let known = WORDS.iter().find(|(name, _)| *name == word.text);
        let term = match known {
            Some((_, meaning)) if !word.is_quoted => Term::Is(*meaning),
            _ if word.text == "never" && !word.is_quoted => {
                Term::Field("backup".to_owned(), Op::Equal, Value::read(word.text))
            }
            _ => Term::Text(word.text),
        };
        Ok((term, false))
    }

    /// Up to the next sign that means something; quotes keep signs and blanks together.
    fn word(&mut self) -> Result<Read, BadFilter> {
        let mut text = String::new();
        let mut is_quoted = false;
        while let Some(c) = self.peek() {
            match c {
                '"' | '\'' => {
                    self.next();
                    is_quoted = true;
                    self.until(c, &mut text)?;
                }
                c if c.is_whitespace() || ",|=<>!".contains(c) => break,
                c => {
                    self.next();
                    text.push(c);
                }
            }
        }
        if text.is_empty() && !is_quoted {
            return self.bad("a word or a value is missing");
        }
        Ok(Read { text, is_quoted })
    }

    /// The rest of a quoted piece; a backslash keeps the next character as it is.
    fn until(&mut self, end: char, text: &mut String) -> Result<(), BadFilter> {
        loop {
            match self.next() {
                Some(c) if c == end => return Ok(()),
                Some('\\') => text.extend(self.next()),
                Some(c) => text.push(c),
                None => return self.bad(&format!("the closing {end} is missing")),
            }
        }
    }

    fn regex(&mut self) -> Result<Term, BadFilter> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('/') => break,
                Some('\\') if self.peek() == Some('/') => text.extend(self.next()),
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.next());
                }
                Some(c) => text.push(c),
                None => return self.bad("the closing / is missing"),
            }
        }
        let regex = RegexBuilder::new(&text)
            .case_insensitive(true)
            .size_limit(REGEX_SIZE_MAX)
            .build();
        match regex {
            Ok(regex) => Ok(Term::Matches(regex)),
            Err(error) => self.bad(&format!("not a regular expression: {error}")),
        }
    }
}

impl Value {
    /// All that the text can mean.
    pub(super) fn read(text: String) -> Self {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
        let plain = |digits: &str| digits.parse::<f64>().ok().filter(|n| n.is_finite());
        let count = plain(digits);
        let unit = &text[digits.len()..];
        let scaled = |scale: Option<f64>| Some(count? * scale?);
        Self {
            number: scaled((unit.is_empty() || unit == "%").then_some(1.0)),
            bytes: scaled(bytes_of(unit)),
            seconds: scaled(seconds_of(unit)),
            text,
        }
    }

    /// Whether it stands for no value.
    pub(super) fn is_nothing(&self) -> bool {
        ["never", "none", ""].contains(&self.text.as_str())
    }
}

/// A size without a unit is in GiB, as everywhere in Cinder.
fn bytes_of(unit: &str) -> Option<f64> {
    let power = |base: f64, power: i32| Some(base.powi(power));
    match unit.to_ascii_lowercase().as_str() {
        "" | "g" | "gib" => power(1024.0, 3),
        "b" => Some(1.0),
        "k" | "kib" => power(1024.0, 1),
        "m" | "mib" => power(1024.0, 2),
        "t" | "tib" => power(1024.0, 4),
        "p" | "pib" => power(1024.0, 5),
        "kb" => power(1000.0, 1),
        "mb" => power(1000.0, 2),
        "gb" => power(1000.0, 3),
        "tb" => power(1000.0, 4),
        "pb" => power(1000.0, 5),
        _ => None,
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "" | "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3_600.0),
        "d" => Some(86_400.0),
        "w" => Some(604_800.0),
        "y" => Some(31_557_600.0),
        _ => None,
    }
}
