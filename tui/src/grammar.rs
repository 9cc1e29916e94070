//! `ashlar NOUN VERB [objects] [--flags]`: the words as data, and the parser made from them.
//!
//! Must not know HTTP or what any verb does.

use clap::{Arg as ClapArg, ArgAction, ArgMatches, Command};

use crate::Session;
use crate::failure::Failure;
use crate::output::{Answer, Column};
use crate::verbs;

/// One word after the verb.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg {
    /// An argument by place that must be given.
    One(&'static str, &'static str),
    /// An argument by place that may be left out.
    Maybe(&'static str, &'static str),
    /// The last argument by place, given at least once.
    Many(&'static str, &'static str),
    /// `--name VALUE`.
    Option(&'static str, &'static str),
    /// `--name VALUE`, as often as needed.
    Repeated(&'static str, &'static str),
    /// `--name`.
    Flag(&'static str, &'static str),
}

/// How much a verb can destroy, hence what it asks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Destroys nothing that another command would not bring back.
    Safe,
    /// Asks; `--yes` answers.
    Confirm,
    /// Asks for the name; `--yes-delete NAME` answers.
    TypeName,
}

/// A row of the table of verbs.
pub(crate) struct Verb {
    /// The noun, singular.
    pub(crate) noun: &'static str,
    /// The verb.
    pub(crate) name: &'static str,
    /// One sentence for the help.
    pub(crate) about: &'static str,
    /// What may follow.
    pub(crate) args: &'static [Arg],
    /// What it asks before it acts.
    pub(crate) level: Level,
    /// What a table shows of the answer.
    pub(crate) columns: &'static [Column],
    /// What it does.
    pub(crate) run: fn(&Session, &Given<'_>) -> Result<Answer, Failure>,
}

/// What was given after the verb.
pub(crate) struct Given<'a> {
    matches: &'a ArgMatches,
    /// What the verb asks before it acts.
    pub(crate) level: Level,
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
}

/// Nouns and their other spellings: plurals are accepted, and the short forms.
const NOUNS: &[(&str, &[&str], &str)] = &[
    (
        "volume",
        &["volumes", "vol"],
        "Volumes: create, show, extend, revert, delete",
    ),
    ("snapshot", &["snapshots", "snap"], "Snapshots of volumes"),
    (
        "attachment",
        &["attachments", "att"],
        "Attachments: which host has which volume",
    ),
    ("type", &["types"], "Volume types"),
    (
        "operation",
        &["operations", "task", "tasks"],
        "What the daemon is doing and has done",
    ),
    ("token", &["tokens"], "Tokens of Ashlar's own"),
];

/// The whole command line.
pub(crate) fn command() -> Command {
    let mut root = Command::new("ashlar")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Block storage over the Cinder v3 API, from the command line")
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(globals());
    for (noun, aliases, about) in NOUNS {
        let verbs = verbs::TABLE
            .iter()
            .copied()
            .filter(|verb| verb.noun == *noun)
            .map(verb_command);
        root = root.subcommand(
            Command::new(*noun)
                .aliases(*aliases)
                .about(*about)
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommands(verbs),
        );
    }
    let alone = verbs::TABLE
        .iter()
        .copied()
        .filter(|verb| verb.noun == verb.name)
        .map(verb_command);
    root.subcommands(alone)
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 ambiguous name, 5 wrong status or in use,
6 quota or space, 7 some of several failed, 8 --wait ran out, 9 daemon not reachable,
10 needs confirmation, 11 ended in error, 12 not logged in or not allowed";

fn globals() -> Vec<ClapArg> {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        ClapArg::new(name)
            .long(name)
            .value_name(value)
            .help(help)
            .global(true)
    };
    vec![
        option(
            "endpoint",
            "URL",
            "http://host:port or unix:/path [env: ASHLAR_ENDPOINT]",
        ),
        option(
            "token-file",
            "FILE",
            "file with the token [env: ASHLAR_TOKEN holds the token]",
        ),
        option(
            "project",
            "ID",
            "project to act in; else your own [env: ASHLAR_PROJECT]",
        ),
        option("output", "FORM", "table, json, value or id").short('o'),
        option("columns", "A,B", "columns to show, in this order").short('c'),
        option(
            "timeout",
            "TIME",
            "how long --wait waits: 90s, 10m, 2h [default: 10m]",
        ),
        ClapArg::new("wait")
            .long("wait")
            .help("wait for the end of what was begun")
            .action(ArgAction::SetTrue)
            .global(true),
    ]
}

fn verb_command(verb: &'static Verb) -> Command {
    let command = Command::new(verb.name)
        .about(verb.about)
        .args(verb.args.iter().map(clap_arg));
    match verb.level {
        Level::Safe => command,
        Level::Confirm => command.arg(clap_arg(&Arg::Flag("yes", "do it without asking"))),
        Level::TypeName => command.arg(clap_arg(&Arg::Repeated(
            "yes-delete",
            "do it to the object of this name (or id) without asking",
        ))),
    }
}

fn clap_arg(arg: &Arg) -> ClapArg {
    match *arg {
        Arg::One(name, help) => ClapArg::new(name).help(help).required(true),
        Arg::Maybe(name, help) => ClapArg::new(name).help(help),
        Arg::Many(name, help) => ClapArg::new(name)
            .help(help)
            .required(true)
            .action(ArgAction::Append)
            .num_args(1..),
        Arg::Option(name, help) => ClapArg::new(name).long(name).help(help).value_name("VALUE"),
        Arg::Repeated(name, help) => ClapArg::new(name)
            .long(name)
            .help(help)
            .value_name("VALUE")
            .action(ArgAction::Append),
        Arg::Flag(name, help) => ClapArg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue),
    }
}

/// The verb that was named, and what was given to it.
pub(crate) fn chosen(matches: &ArgMatches) -> Option<(&'static Verb, Given<'_>)> {
    let (noun, below) = matches.subcommand()?;
    let (name, matches) = below.subcommand().unwrap_or((noun, below));
    let verb = verbs::TABLE
        .iter()
        .copied()
        .find(|verb| verb.noun == noun && verb.name == name)?;
    Some((
        verb,
        Given {
            matches,
            level: verb.level,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(String, String), clap::Error> {
        let matches = command().try_get_matches_from(line.split(' '))?;
        let (verb, _) = chosen(&matches).unwrap();
        Ok((verb.noun.to_owned(), verb.name.to_owned()))
    }

    #[test]
    fn the_grammar_made_from_the_table_is_sound() {
        command().debug_assert();
        for verb in verbs::TABLE {
            assert!(
                verb.about.ends_with(|c: char| c.is_alphanumeric()),
                "{}",
                verb.about
            );
            let known = NOUNS.iter().any(|(noun, ..)| *noun == verb.noun) || verb.noun == verb.name;
            assert!(known, "{} has no noun", verb.name);
        }
    }

    #[test]
    fn nouns_have_plurals_and_short_forms() {
        for line in [
            "ashlar volume list",
            "ashlar volumes list",
            "ashlar vol list -o json",
        ] {
            assert_eq!(
                parse(line).unwrap(),
                ("volume".to_owned(), "list".to_owned()),
                "{line}"
            );
        }
        assert_eq!(parse("ashlar task list").unwrap().0, "operation");
        assert_eq!(parse("ashlar version").unwrap().1, "version");
    }

    #[test]
    fn what_is_missing_or_unknown_is_a_usage_error() {
        for line in [
            "ashlar volume",
            "ashlar volume show",
            "ashlar volume eat x",
            "ashlar disk list",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn options_flags_and_repeated_values_arrive() {
        let line = "ashlar volume create --size 1G --meta a=b --meta c=d --wait db";
        let matches = command().try_get_matches_from(line.split(' ')).unwrap();
        let (_, given) = chosen(&matches).unwrap();
        assert_eq!(given.option("size"), Some("1G"));
        assert_eq!(given.all("meta"), ["a=b", "c=d"]);
        assert!(given.flag("wait"));
        assert!(!given.flag("no-such-flag"));
        assert_eq!(given.word("name"), "db");
    }

    #[test]
    fn there_is_no_way_to_put_a_token_on_the_command_line() {
        assert!(parse("ashlar --token abc volume list").is_err());
    }
}
