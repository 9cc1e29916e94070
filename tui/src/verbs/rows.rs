//! What rows of many nouns have in common: list, show, delete, one of Cinder's actions, and doing a thing to each of
//! several objects. A noun whose verbs are only these needs no code of its own.
//!
//! Failure paths: one object fails with its own exit code, some of several with 7, each told on a line of its own.

use std::io::{BufRead as _, Read as _, Write as _};

use serde_json::{Map, Value, json};

use crate::client::{Method, text};
use crate::failure::{Exit, Failure};
use crate::output::Answer;
use crate::places::{ParamKind, Place};
use crate::plan::About;
use crate::table::{Arg, Given, Level, Verb};
use crate::{Session, ask, find, listing, wait};

/// More ids than this on standard input are more likely a wrong file.
const STDIN_BYTES_MAX: u64 = 16 << 20;

/// An object that a verb is to be done to.
pub(crate) struct Target {
    /// As it was named.
    pub(crate) word: String,
    /// Its id.
    pub(crate) id: String,
    /// All its fields, as they were when it was found.
    pub(crate) item: Value,
    /// What the act must send along, so that it is done only if the plan is still true.
    pub(crate) if_match: Option<String>,
}

impl Target {
    /// What people call it: its name, or the id of one without.
    pub(crate) fn name(&self, place: &Place) -> String {
        let name = text(&self.item, place.name);
        if name.is_empty() {
            self.id.clone()
        } else {
            name
        }
    }
}

/// `list`: all objects of the noun's place, by what the place can be asked for.
pub(crate) const fn list(about: &'static str) -> Verb {
    Verb::read("list", about, &[], run_list).list()
}

/// `show`: one object.
pub(crate) const fn show(about: &'static str) -> Verb {
    const ARGS: &[Arg] = &[Arg::Many("object", "names or ids")];
    Verb::read("show", about, ARGS, run_show)
}

/// The flag of deletes.
pub(crate) const ABSENT_OK: Arg = Arg::Flag("absent-ok", "one that is not there is no failure");

/// `delete`: many objects.
pub(crate) const fn delete(level: Level, about: &'static str) -> Verb {
    const ARGS: &[Arg] = &[
        Arg::Many("object", "names or ids; - reads them from standard input"),
        ABSENT_OK,
    ];
    let row = Verb::confirm("delete", about, ARGS, run_delete);
    Verb { level, ..row }
}

fn run_list<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let place = given.noun.place;
    let mut query: Vec<(&str, String)> = Vec::new();
    for param in place.params {
        match param.kind {
            ParamKind::Text => {
                if let Some(value) = given.option(param.option) {
                    query.push((param.query, value.to_owned()));
                }
            }
            ParamKind::Object(of) => {
                if let Some(word) = given.option(param.option) {
                    query.push((param.query, find::id(session, of, word)?));
                }
            }
            ParamKind::Flag(value) => {
                if given.flag(param.option) {
                    query.push((param.query, value.to_owned()));
                }
            }
        }
    }
    listing::of_place(session, given, place, query)
}

fn run_show<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    each(session, given, "showing", |target| {
        // A list may leave out what the object itself says.
        let place = given.noun.place;
        if place.path.is_empty() || find::looks_like_id(&target.word) {
            return Ok(Some(target.item.clone()));
        }
        find::show(session, place, &target.id).map(Some)
    })
}

fn run_delete<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    each(session, given, "deleting", |target| {
        remove(session, given, target, "")?;
        Ok(None)
    })
}

/// Deletes one object, and waits for its end when that was asked for.
pub(crate) fn remove(
    session: &Session,
    given: &Given<'_>,
    target: &Target,
    query: &str,
) -> Result<(), Failure> {
    let place = given.noun.place;
    let path = format!("{}/{}{query}", place.path, target.id);
    send(session, place, Method::Delete, &path, None, target)?;
    wait::gone(session, place, &target.id)
}

/// One of Cinder's actions on each of the objects; the answer is the objects afterwards.
pub(crate) fn act<'s>(
    session: &'s Session,
    given: &Given<'_>,
    doing: &str,
    body: impl Fn(&Target) -> Result<Value, Failure>,
) -> Result<Answer<'s>, Failure> {
    let place = given.noun.place;
    let about = |target: &Target| Ok(About::action(&target.id, &body(target)?));
    each_planned(session, given, doing, &about, |target| {
        let path = format!("{}/{}/action", place.path, target.id);
        send(
            session,
            place,
            Method::Post,
            &path,
            Some(&body(target)?),
            target,
        )?;
        after(session, place, target)
    })
}

/// The object as it is after an act, settled when `--wait` was given.
pub(crate) fn after(
    session: &Session,
    place: &Place,
    target: &Target,
) -> Result<Option<Value>, Failure> {
    let item = find::show(session, place, &target.id)?;
    wait::settled(session, place, item).map(Some)
}

/// An action after which the object is not there any more.
pub(crate) fn act_away<'s>(
    session: &'s Session,
    given: &Given<'_>,
    doing: &str,
    action: &str,
) -> Result<Answer<'s>, Failure> {
    let place = given.noun.place;
    let body = json!({action: null});
    let about = |target: &Target| Ok(About::action(&target.id, &body));
    each_planned(session, given, doing, &about, |target| {
        let path = format!("{}/{}/action", place.path, target.id);
        send(session, place, Method::Post, &path, Some(&body), target)?;
        wait::gone(session, place, &target.id)?;
        Ok(None)
    })
}

/// A call about one object; carries its plan's hash.
pub(crate) fn send(
    session: &Session,
    place: &Place,
    method: Method,
    path: &str,
    body: Option<&Value>,
    target: &Target,
) -> Result<Value, Failure> {
    let if_match = target.if_match.as_deref();
    session
        .client
        .guarded(place.api, method, path, body, if_match)
}

/// Does `act` to each object that the command names; the flags that were given are all that its plan needs to know.
pub(crate) fn each<'s>(
    session: &'s Session,
    given: &Given<'_>,
    doing: &str,
    act: impl FnMut(&Target) -> Result<Option<Value>, Failure>,
) -> Result<Answer<'s>, Failure> {
    let flags = given.verb.args.iter().filter_map(|arg| match arg {
        Arg::Flag(name, _) if given.flag(name) => Some((name.replace('-', "_"), Value::from(true))),
        Arg::Flag(..)
        | Arg::One(..)
        | Arg::Maybe(..)
        | Arg::Many(..)
        | Arg::Option(..)
        | Arg::Repeated(..) => None,
    });
    let input: Map<String, Value> = flags.collect();
    let about = |target: &Target| {
        Ok(About {
            object_id: Some(target.id.clone()),
            input: Value::Object(input.clone()),
        })
    };
    each_planned(session, given, doing, &about, act)
}

/// What the plan of an act on a target is asked about.
pub(crate) type AboutOf<'a> = dyn Fn(&Target) -> Result<About, Failure> + 'a;

/// Does `act` to each object that the command names: finds them all, asks once if the verb must ask, then acts one by
/// one. Nothing is begun before everything is answered.
pub(crate) fn each_planned<'s>(
    session: &'s Session,
    given: &Given<'_>,
    doing: &str,
    about: &AboutOf<'_>,
    mut act: impl FnMut(&Target) -> Result<Option<Value>, Failure>,
) -> Result<Answer<'s>, Failure> {
    let place = given.noun.place;
    let words = words(given)?;
    if words.is_empty() {
        let _ = writeln!(std::io::stderr(), "no {}s named: nothing to do", place.noun);
        return Ok(Answer::Done);
    }
    let mut failures = Vec::new();
    let mut targets: Vec<Target> = Vec::new();
    let mut absent_count = 0;
    for word in &words {
        match find::find(session, place, word) {
            Ok(item) => {
                let id = text(&item, place.id);
                // Named twice is meant once.
                if targets.iter().all(|target| target.id != id) {
                    let word = word.clone();
                    let if_match = session.if_match.clone();
                    targets.push(Target {
                        word,
                        id,
                        item,
                        if_match,
                    });
                }
            }
            Err(failure) if failure.exit == Exit::NotFound && given.flag("absent-ok") => {
                absent_count += 1;
            }
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(planned) = ask::before(session, given, doing, about, &mut targets)? {
        return Ok(planned);
    }
    let mut items = Vec::new();
    let mut done_count = absent_count;
    for target in &targets {
        let acted = act(target).map_err(|failure| {
            failure.of(&format!(
                "{doing} the {} {}",
                place.noun,
                target.name(place)
            ))
        });
        match acted {
            Ok(item) => {
                done_count += 1;
                items.extend(item);
            }
            Err(failure) => failures.push(failure),
        }
    }
    let answer = match (items.len(), words.len()) {
        (0, _) => Answer::Done,
        (1, 1) => Answer::One(items.swap_remove(0)),
        _ => Answer::Many(items),
    };
    ended(answer, failures, done_count)
}

/// The answer, or what failed. What was done is still shown.
fn ended(
    answer: Answer<'_>,
    mut failures: Vec<Failure>,
    done_count: usize,
) -> Result<Answer<'_>, Failure> {
    let failed_count = failures.len();
    let Some(last) = failures.pop() else {
        return Ok(answer);
    };
    if failed_count == 1 && done_count == 0 {
        return Err(last);
    }
    let is_same = failures.iter().all(|failure| failure.exit == last.exit);
    let exit = if done_count == 0 && is_same {
        last.exit
    } else {
        Exit::Partly
    };
    failures.push(last);
    let why = format!("{done_count} done, {failed_count} failed");
    Err(Failure::several(exit, &why, failures, answer_items(answer)))
}

fn answer_items(answer: Answer<'_>) -> Vec<Value> {
    match answer {
        Answer::One(item) => vec![item],
        Answer::Many(items) => items,
        Answer::Pages(_) | Answer::Planned(_) | Answer::Text(_) | Answer::Done => Vec::new(),
    }
}

/// The words that name the objects; `-` is replaced by those on standard input.
pub(crate) fn words(given: &Given<'_>) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for word in given.objects() {
        if word == "-" {
            words.extend(from_stdin()?);
        } else {
            words.push(word.to_owned());
        }
    }
    Ok(words)
}

fn from_stdin() -> Result<Vec<String>, Failure> {
    let unread = |why: &str| Failure::new(Exit::Usage, "reading ids from standard input", why);
    let mut words = Vec::new();
    let mut left = std::io::stdin().lock().take(STDIN_BYTES_MAX);
    let mut line = String::new();
    loop {
        line.clear();
        let len = left.read_line(&mut line);
        if len.map_err(|error| unread(&error.to_string()))? == 0 {
            break;
        }
        words.extend(line.split_whitespace().map(str::to_owned));
    }
    if left.limit() == 0 {
        return Err(unread("there are too many"));
    }
    Ok(words)
}

/// `K=V` words as a JSON object.
pub(crate) fn pairs(words: &[&str]) -> Result<Value, Failure> {
    let mut map = Map::new();
    for word in words {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::usage(
                &format!("`{word}` is not KEY=VALUE"),
                "write it as a=b",
            ));
        };
        map.insert(key.to_owned(), Value::from(value));
    }
    Ok(Value::Object(map))
}

/// Puts `value` under `key` when there is one.
pub(crate) fn put(body: &mut Value, key: &str, value: Option<&str>) {
    if let (Some(map), Some(value)) = (body.as_object_mut(), value) {
        map.insert(key.to_owned(), Value::from(value));
    }
}

/// `true` or `false`, also as people say it.
pub(crate) fn truth(word: &str) -> Result<bool, Failure> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Failure::usage(
            &format!("`{word}` is neither true nor false"),
            "write true or false",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_later_equals_signs_and_refuse_what_has_none() {
        assert_eq!(
            pairs(&["a=b=c", "d="]).unwrap(),
            json!({"a": "b=c", "d": ""})
        );
        assert!(pairs(&["a"]).is_err());
        assert!(pairs(&["=a"]).is_err());
    }

    #[test]
    fn one_object_keeps_its_exit_code_and_some_of_several_are_exit_7() {
        let absent = || Failure::new(Exit::NotFound, "x", "y");
        let busy = || Failure::new(Exit::Conflict, "x", "y");
        let exit = |failures, done| {
            ended(Answer::Done, failures, done)
                .map(|_| Exit::Done)
                .unwrap_or_else(|failure| failure.exit)
        };
        assert_eq!(exit(vec![], 1), Exit::Done);
        assert_eq!(exit(vec![absent()], 0), Exit::NotFound);
        assert_eq!(exit(vec![absent()], 1), Exit::Partly);
        assert_eq!(exit(vec![absent(), absent()], 0), Exit::NotFound);
        assert_eq!(exit(vec![absent(), busy()], 0), Exit::Partly);
    }

    #[test]
    fn truth_has_many_words() {
        assert!(truth("Yes").unwrap() && !truth("off").unwrap());
        assert_eq!(truth("maybe").unwrap_err().exit, Exit::Usage);
    }
}
