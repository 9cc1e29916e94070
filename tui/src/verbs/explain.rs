//! `ashlar explain TOPIC`: statuses and legal moves, the filter language, exit codes, formats, the verbs themselves.
//!
//! Statuses come from `docs/status.md`, which the daemon's tests print from THE TABLE and hold to it; it is built in,
//! so that they can be looked up without a server. They are those of this release.

use std::collections::BTreeMap;

use crate::Session;
use crate::failure::Failure;
use crate::output::Answer;
use crate::places::LOCAL;
use crate::table::{Arg, Given, Level, Noun, Verb};
use crate::verbs;

pub(super) static NOUN: Noun = Noun {
    name: "explain",
    aliases: &[],
    about: "Explain statuses, the filter language, exit codes, formats, verbs",
    place: &LOCAL,
    short: &[],
    long: &[],
    verbs: &[Verb::read(
        "explain",
        "Explain volume.status, snapshot.status, attachment.status, filter, exit-codes, formats or verbs",
        &[
            Arg::Maybe("topic", "what; without it the topics are listed"),
            Arg::Maybe("word", "only this status"),
        ],
        explain,
    )],
};

/// What can be explained.
pub(crate) const TOPICS: &[&str] = &[
    "volume.status",
    "snapshot.status",
    "attachment.status",
    "filter",
    "exit-codes",
    "formats",
    "verbs",
];

const TABLE: &str = include_str!("../../../docs/status.md");

const FILTER: &str = "\
A filter takes the objects for which all of its groups are true; blanks and commas part groups.

  pg prod               both words somewhere in name, id, host, project or IQN; case does not matter
  \"in use\"              with its blank; quotes also make a plain word of `attached`
  ~pgprd                these letters in this order
  /^pg-\\d+$/            a regular expression
  status=error          a field, which is a column of the noun; != < <= > >= compare
  status=error|deleting one or the other; | binds tighter than a blank
  !status=error|deleting  neither; ! turns the whole group round
  size>500G size<2T     sizes; without a unit GiB. Units: k M G T P, 1000-based as kB MB GB
  age>7d age<12h        ages: s m h d w y
  used>80%              numbers, with or without %
  description=never     a field without a value
  attached, orphan      in use; in use by nobody
";

const EXIT_CODES: &str = "\
   0  done, or nothing to do where that is allowed (--absent-ok, --exists-ok)
   1  failed in a way that is not listed here
   2  the command line, a filter, a context or a file it names could not be understood
   3  no such object
   4  a name that several objects have
   5  wrong status, in use, held, or changed meanwhile; a dry run that would be refused
   6  quota or space
   7  some of several failed; each is listed
   8  --wait ran out; the operation goes on
   9  the daemon could not be reached
  10  needs confirmation, and none was given
  11  what was waited for ended in an error
  12  not logged in, not allowed, or ASHLAR_READONLY is set
 130  interrupted while waiting; the operation goes on
New codes may come: take any that is not 0 for a failure.
";

const FORMATS: &str = "\
  -o table   for people: units in the cells; cut to a terminal's width, never in a pipe
  -o wide    the same with all columns
  -o json    {\"schema\": \"ashlar.NOUN/1\", \"items\": [...]}: the server's fields; fields are only ever added;
             beside a size in GiB stands the same in bytes, as size_bytes
  -o jsonl   one object a line
  -o yaml    the document of json
  -o csv     RFC 4180 with heads, exact
  -o value   the columns' values, tab-separated, without heads
  -o id      ids, one a line
  -H no heads   -p exact: bytes, RFC 3339, nothing for nothing   --units iec|si|b
  -c A,B chooses columns, -c +A adds one; heads and fields are both names
With json and jsonl errors are JSON, too, on standard error: {\"error\": {\"code\", \"exit\", \"message\", \"hint\",
\"unchanged\", \"status\", \"request_id\"}}.
";

fn explain<'s>(_: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let topic = given.word("topic");
    let text = match topic {
        "" => TOPICS.join("\n") + "\n",
        "filter" => FILTER.to_owned(),
        "exit-codes" => EXIT_CODES.to_owned(),
        "formats" => FORMATS.to_owned(),
        "verbs" => verb_lines(),
        other => {
            let noun = other
                .strip_suffix(".status")
                .filter(|_| TOPICS.contains(&other));
            let Some(noun) = noun else {
                return Err(Failure::usage(
                    &format!("there is no topic `{other}`"),
                    &format!("there are: {}", TOPICS.join(", ")),
                ));
            };
            statuses(noun, given.option("word"))?
        }
    };
    Ok(Answer::Text(text))
}

/// A line a verb: noun, verb, level, key, what it is about.
fn verb_lines() -> String {
    let lines = verbs::all().map(|(noun, verb)| {
        let level = match verb.level {
            Level::Read => "read",
            Level::Form => "changes",
            Level::Confirm => "asks",
            Level::TypeName => "asks name",
        };
        let key = verb.key.unwrap_or("-");
        format!(
            "{:11} {:13} {level:9} {key:7} {}\n",
            noun.name, verb.name, verb.about
        )
    });
    lines.collect()
}

/// What is known of one status.
#[derive(Default)]
struct Status {
    begin: Vec<String>,
    during: Vec<String>,
    done: Vec<String>,
    failed: Vec<String>,
}

fn statuses(noun: &str, wanted: Option<&str>) -> Result<String, Failure> {
    let mut all: BTreeMap<&str, Status> = BTreeMap::new();
    // Only the first table: what comes below are other ones.
    let table = TABLE.split("\n## ").next().unwrap_or_default();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, operation, of, from, during, done, failed, ..] = cells[..] else {
            continue;
        };
        if of != noun {
            continue;
        }
        for (cell, pick) in [
            (
                from,
                (|status| &mut status.begin) as fn(&mut Status) -> &mut Vec<String>,
            ),
            (during, |status| &mut status.during),
            (done, |status| &mut status.done),
            (failed, |status| &mut status.failed),
        ] {
            for status in cell.split('`').skip(1).step_by(2) {
                pick(all.entry(status).or_default()).push(operation.to_owned());
            }
        }
    }
    if let Some(wanted) = wanted {
        if !all.contains_key(wanted) {
            let known: Vec<&str> = all.keys().copied().collect();
            return Err(Failure::usage(
                &format!("a {noun} has no status `{wanted}`"),
                &format!("there are: {}", known.join(", ")),
            ));
        }
        all.retain(|status, _| *status == wanted);
    }
    let mut text = String::new();
    for (name, status) in all {
        text.push_str(&format!("{name}\n"));
        for (what, operations) in [
            ("one may", status.begin),
            ("while", status.during),
            ("after", status.done),
            ("failed", status.failed),
        ] {
            if !operations.is_empty() {
                text.push_str(&format!("  {what:8} {}\n", operations.join(", ")));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_legal_moves_come_from_the_table() {
        let text = statuses("volume", None).unwrap();
        assert!(
            text.contains("creating\n  while    create_volume\n"),
            "{text}"
        );
        let one = statuses("volume", Some("available")).unwrap();
        assert!(
            one.starts_with("available\n  one may  delete_volume, extend_volume"),
            "{one}"
        );
        assert!(!one.contains("creating"), "{one}");
        let failure = statuses("snapshot", Some("in-use"))
            .unwrap_err()
            .to_string();
        assert!(failure.contains("available"), "{failure}");
    }

    #[test]
    fn the_filters_that_the_text_shows_are_filters() {
        for line in FILTER.lines().filter(|line| line.starts_with("  ")) {
            let shown = line.trim().split("  ").next().unwrap();
            assert!(crate::filter::Filter::parse(shown).is_ok(), "{shown}");
        }
    }
}
