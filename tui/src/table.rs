//! The form of the table of verbs: nouns as screens of data, verbs as rows.
//!
//! The parser, the help, the completion, the manual pages and the console are all made from it. Must not know clap,
//! HTTP or what any verb does. The rows themselves are in `verbs/`.

use clap::ArgMatches;

use crate::Session;
use crate::failure::Failure;
use crate::output::{Answer, Column};
use crate::places::Place;

/// One word after the verb.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg {
    /// An argument by place that must be given.
    One(&'static str, &'static str),
    /// An argument by place that may be left out.
    Maybe(&'static str, &'static str),
    /// The last argument by place, given at least once; `-` reads more from standard input.
    Many(&'static str, &'static str),
    /// `--name VALUE`.
    Option(&'static str, &'static str),
    /// `--name VALUE`, as often as needed.
    Repeated(&'static str, &'static str),
    /// `--name`.
    Flag(&'static str, &'static str),
}

impl Arg {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match *self {
            Arg::One(name, _)
            | Arg::Maybe(name, _)
            | Arg::Many(name, _)
            | Arg::Option(name, _)
            | Arg::Repeated(name, _)
            | Arg::Flag(name, _) => name,
        }
    }
}

/// How much a verb can change, hence what it asks first. In order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Changes nothing.
    Read,
    /// Changes something, and destroys nothing that another command would not bring back.
    Form,
    /// Asks; `--yes` answers.
    Confirm,
    /// Asks for the name; `--yes-delete NAME` answers.
    TypeName,
}

/// Which of a noun's columns an answer shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shows {
    /// The noun's few, one object a line.
    Short,
    /// All of the noun's.
    Long,
    /// The verb's own.
    These(&'static [Column]),
}

/// What a verb does.
pub(crate) type Run = for<'s> fn(&'s Session, &Given<'_>) -> Result<Answer<'s>, Failure>;

/// A row: one verb of a noun.
pub(crate) struct Verb {
    /// The verb.
    pub(crate) name: &'static str,
    /// One sentence for the help, without its full stop.
    pub(crate) about: &'static str,
    /// What may follow.
    pub(crate) args: &'static [Arg],
    /// What it asks before it acts.
    pub(crate) level: Level,
    /// The console's key for it.
    pub(crate) key: Option<&'static str>,
    /// What a table shows of the answer.
    pub(crate) shows: Shows,
    /// What `POST /ashlar/v1/plan` calls the act, where it can say beforehand what the act would do.
    pub(crate) plan: Option<&'static str>,
    /// Whether it takes the options of a list.
    pub(crate) is_list: bool,
    /// What it does.
    pub(crate) run: Run,
}

impl Verb {
    const fn new(
        level: Level,
        name: &'static str,
        about: &'static str,
        args: &'static [Arg],
        run: Run,
    ) -> Self {
        Self {
            name,
            about,
            args,
            level,
            key: None,
            shows: Shows::Long,
            plan: None,
            is_list: false,
            run,
        }
    }

    /// A row that changes nothing.
    pub(crate) const fn read(
        name: &'static str,
        about: &'static str,
        args: &'static [Arg],
        run: Run,
    ) -> Self {
        Self::new(Level::Read, name, about, args, run)
    }

    /// A row that changes something and destroys nothing.
    pub(crate) const fn form(
        name: &'static str,
        about: &'static str,
        args: &'static [Arg],
        run: Run,
    ) -> Self {
        Self::new(Level::Form, name, about, args, run)
    }

    /// A row that asks first.
    pub(crate) const fn confirm(
        name: &'static str,
        about: &'static str,
        args: &'static [Arg],
        run: Run,
    ) -> Self {
        Self::new(Level::Confirm, name, about, args, run)
    }

    /// A row that asks for the name first.
    pub(crate) const fn type_name(
        name: &'static str,
        about: &'static str,
        args: &'static [Arg],
        run: Run,
    ) -> Self {
        Self::new(Level::TypeName, name, about, args, run)
    }

    /// The same, shown as a list that can be filtered, sorted, cut and watched.
    pub(crate) const fn list(self) -> Self {
        Self {
            is_list: true,
            shows: Shows::Short,
            ..self
        }
    }

    /// The same with the console's key.
    pub(crate) const fn key(self, key: &'static str) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// The same with columns of its own.
    pub(crate) const fn shows(self, columns: &'static [Column]) -> Self {
        Self {
            shows: Shows::These(columns),
            ..self
        }
    }

    /// The same, and the daemon can say beforehand what it would do.
    pub(crate) const fn plan(self, act: &'static str) -> Self {
        Self {
            plan: Some(act),
            ..self
        }
    }
}

/// A noun: a screen of data.
pub(crate) struct Noun {
    /// The noun, singular.
    pub(crate) name: &'static str,
    /// Other spellings: the plural, the short form.
    pub(crate) aliases: &'static [&'static str],
    /// One sentence for the help, without its full stop.
    pub(crate) about: &'static str,
    /// Where its objects are found.
    pub(crate) place: &'static Place,
    /// The columns of a list.
    pub(crate) short: &'static [Column],
    /// All columns.
    pub(crate) long: &'static [Column],
    /// Its verbs.
    pub(crate) verbs: &'static [Verb],
}

/// What was given after the verb.
pub(crate) struct Given<'a> {
    /// What was parsed.
    pub(crate) matches: &'a ArgMatches,
    /// The noun.
    pub(crate) noun: &'static Noun,
    /// The verb.
    pub(crate) verb: &'static Verb,
}

impl Given<'_> {
    /// An argument by place, or an option that must be there; empty when it is not.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.option(name).unwrap_or_default()
    }

    /// An option or a place that may be absent.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.matches
            .try_get_one::<String>(name)
            .ok()
            .flatten()
            .map(String::as_str)
    }

    /// All values of a repeated option or place.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        match self.matches.try_get_many::<String>(name) {
            Ok(Some(values)) => values.map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a flag was given.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.matches.try_get_one::<bool>(name), Ok(Some(true)))
    }

    /// The columns of the answer.
    pub(crate) fn columns(&self, is_wide: bool) -> &'static [Column] {
        match self.verb.shows {
            Shows::Short if is_wide => self.noun.long,
            Shows::Short => self.noun.short,
            Shows::Long => self.noun.long,
            Shows::These(columns) => columns,
        }
    }

    /// The words that name the objects, as they stand on the command line.
    pub(crate) fn objects(&self) -> Vec<&str> {
        let places = self.verb.args.iter().find_map(|arg| match *arg {
            Arg::One(name, _) | Arg::Maybe(name, _) | Arg::Many(name, _) => Some(name),
            Arg::Option(..) | Arg::Repeated(..) | Arg::Flag(..) => None,
        });
        places.map(|name| self.all(name)).unwrap_or_default()
    }
}
