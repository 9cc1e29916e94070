//! `ashlar NOUN VERB [objects] [--flags]`: the parser made from the table.
//!
//! Must not know HTTP or what any verb does.

use clap::{Arg as ClapArg, ArgAction, ArgMatches, Command};

use crate::places::ParamKind;
use crate::table::{Arg, Given, Level, Noun, Verb};
use crate::verbs;

/// The whole command line.
pub(crate) fn command() -> Command {
    let mut root = Command::new("ashlar")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Block storage over the Cinder v3 API, from the command line")
        .after_help(EXAMPLES)
        .after_long_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(globals());
    for noun in verbs::NOUNS {
        // A noun whose one verb is called like itself stands alone: `ashlar version`.
        if let [verb] = noun.verbs
            && verb.name == noun.name
        {
            root = root.subcommand(verb_command(noun, verb));
            continue;
        }
        root = root.subcommand(
            Command::new(noun.name)
                .visible_aliases(noun.aliases.iter().copied())
                .about(noun.about)
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommands(noun.verbs.iter().map(|verb| verb_command(noun, verb))),
        );
    }
    root
}

const EXAMPLES: &str = "\
Examples:
  ashlar volume create data --size 10G --wait
  ashlar volume list --filter 'status=error|in-use size>100G' --sort size:desc
  ashlar volume delete old-1 old-2 --dry-run";

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 ambiguous name, 5 wrong status, in use or changed meanwhile,
6 quota or space, 7 some of several failed, 8 --wait ran out, 9 daemon not reachable, 10 needs confirmation,
11 ended in error, 12 not logged in or not allowed, 130 interrupted. `ashlar explain exit-codes` says more.

Examples:
  ashlar volume create data --size 10G --wait
  ashlar volume list --filter 'status=error|in-use size>100G' --sort size:desc
  ashlar volume delete old-1 old-2 --dry-run";

fn global(name: &'static str, value: &'static str, help: &'static str) -> ClapArg {
    ClapArg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .global(true)
        .help_heading("Everywhere")
}

fn switch(name: &'static str, help: &'static str) -> ClapArg {
    ClapArg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
        .global(true)
        .help_heading("Everywhere")
}

fn globals() -> Vec<ClapArg> {
    vec![
        global(
            "context",
            "NAME",
            "the context to use [env: ASHLAR_CONTEXT]",
        ),
        global(
            "endpoint",
            "URL",
            "http://host:port or unix:/path [env: ASHLAR_ENDPOINT]",
        ),
        global(
            "token-file",
            "FILE",
            "file (or /dev/fd/N) with the token [env: ASHLAR_TOKEN holds the token]",
        ),
        global(
            "project",
            "ID",
            "project to act in; else your own [env: ASHLAR_PROJECT]",
        )
        .visible_alias("os-project-id"),
        global(
            "output",
            "FORM",
            "table, wide, json, jsonl, yaml, csv, value or id",
        )
        .short('o')
        .short_alias('f')
        .alias("format"),
        global(
            "columns",
            "A,B",
            "columns to show, in this order; +A adds one",
        )
        .short('c')
        .alias("column")
        .action(ArgAction::Append),
        switch("no-heads", "no heads, tab-separated").short('H'),
        switch("exact", "bytes, RFC 3339 and empty cells, for programs").short('p'),
        global(
            "units",
            "UNITS",
            "iec (1.5T), si (1.6TB) or b (bytes) [default: iec]",
        ),
        ClapArg::new("wait")
            .long("wait")
            .value_name("STATE")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("")
            .help("wait for the end of what was begun, or for a status")
            .global(true)
            .help_heading("Everywhere"),
        global(
            "timeout",
            "TIME",
            "how long --wait waits: 90s, 10m, 2h [default: 10m]",
        ),
        switch("dry-run", "say what would happen, and change nothing").short('n'),
        global(
            "if-match",
            "TAG",
            "act only if a plan or an Etag is still true",
        ),
        switch(
            "debug",
            "print each call as a line for curl, without secrets",
        ),
    ]
}

const FOR_LISTS: &str = "Lists";

fn list_args() -> Vec<ClapArg> {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        ClapArg::new(name)
            .long(name)
            .value_name(value)
            .help(help)
            .help_heading(FOR_LISTS)
    };
    vec![
        option(
            "filter",
            "FILTER",
            "only those that fit, as 'status=error, age>7d'; see `ashlar explain filter`",
        ),
        option("sort", "COLUMN[:desc],..", "in this order"),
        option("limit", "N", "no more than so many"),
        option("marker", "OBJECT", "only those after this one"),
        ClapArg::new("watch")
            .long("watch")
            .value_name("TIME")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("2s")
            .help("show it again and again; in a pipe, rows that changed")
            .help_heading(FOR_LISTS),
    ]
}

fn verb_command(noun: &'static Noun, verb: &'static Verb) -> Command {
    let mut command = Command::new(verb.name)
        .about(verb.about)
        .args(verb.args.iter().map(clap_arg));
    if verb.is_list {
        for param in noun.place.params {
            command = command.arg(match param.kind {
                ParamKind::Flag(_) => clap_arg(&Arg::Flag(param.option, param.help)),
                ParamKind::Text | ParamKind::Object(_) => {
                    clap_arg(&Arg::Option(param.option, param.help))
                }
            });
        }
        command = command.args(list_args());
    }
    if verb.level >= Level::Confirm {
        command = command.arg(clap_arg(&Arg::Repeated(
            "yes-delete",
            "do it to the object of this name (or id) without asking",
        )));
    }
    if verb.level == Level::Confirm {
        command = command.arg(clap_arg(&Arg::Flag("yes", "do it without asking")));
    }
    command
}

fn clap_arg(arg: &Arg) -> ClapArg {
    match *arg {
        Arg::One(name, help) => ClapArg::new(name)
            .help(help)
            .required(true)
            .allow_hyphen_values(name == "size"),
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
pub(crate) fn chosen(matches: &ArgMatches) -> Option<Given<'_>> {
    let (noun, below) = matches.subcommand()?;
    let (name, matches) = below.subcommand().unwrap_or((noun, below));
    let (noun, verb) =
        verbs::all().find(|(known, verb)| known.name == noun && verb.name == name)?;
    Some(Given {
        matches,
        noun,
        verb,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(String, String), clap::Error> {
        let matches = command().try_get_matches_from(line.split(' '))?;
        let given = chosen(&matches).unwrap();
        Ok((given.noun.name.to_owned(), given.verb.name.to_owned()))
    }

    #[test]
    fn the_grammar_made_from_the_table_is_sound() {
        command().debug_assert();
        for (noun, verb) in verbs::all() {
            let what = format!("{} {}", noun.name, verb.name);
            assert!(!verb.about.ends_with(['.', ' ']), "{what}: {}", verb.about);
            assert!(
                !verb.is_list || verb.level == Level::Read,
                "{what} is a list that acts"
            );
            assert!(
                verb.plan.is_none() || verb.level > Level::Read,
                "{what} plans a read"
            );
        }
    }

    #[test]
    fn no_key_of_the_console_means_two_verbs_of_a_noun() {
        for noun in verbs::NOUNS {
            let mut keys: Vec<&str> = noun.verbs.iter().filter_map(|verb| verb.key).collect();
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), count, "{}", noun.name);
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
        let given = chosen(&matches).unwrap();
        assert_eq!(given.option("size"), Some("1G"));
        assert_eq!(given.all("meta"), ["a=b", "c=d"]);
        assert_eq!(given.option("wait"), Some(""));
        assert!(!given.flag("no-such-flag"));
        assert_eq!(given.word("name"), "db");
    }

    #[test]
    fn there_is_no_way_to_put_a_token_on_the_command_line() {
        assert!(parse("ashlar --token abc volume list").is_err());
    }
}
