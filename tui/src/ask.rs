//! Asks before something is destroyed: shows what would happen, then wants a word.
//!
//! On a terminal a person is asked; anywhere else the answer must be on the command line, or nothing is done (exit 10).
//! Several objects are asked about once, and the list that is shown is the list that is acted on.

use std::io::{BufRead as _, Write as _};

use serde_json::json;

use crate::Session;
use crate::failure::{Exit, Failure};
use crate::output::Answer;
use crate::plan::{self, Plan};
use crate::table::{Given, Level};
use crate::text::{harmless, shell_quoted};
use crate::verbs::rows::{AboutOf, Target};

/// Lets the act pass, or says why not. With `--dry-run` the answer is the plan, and nothing passes.
pub(crate) fn before(
    session: &Session,
    given: &Given<'_>,
    doing: &str,
    about: &AboutOf<'_>,
    targets: &mut [Target],
) -> Result<Option<Answer<'static>>, Failure> {
    if given.verb.level == Level::Read || targets.is_empty() {
        return Ok(None);
    }
    if session.dry_run {
        return dry(session, given, doing, about, targets);
    }
    if given.verb.level == Level::Form || is_answered(given, given.verb.level, targets) {
        return Ok(None);
    }
    let plans = plans(session, given, about, targets)?;
    let level = plans.iter().flatten().map(|plan| plan.level).max();
    let level = level.unwrap_or(given.verb.level).max(given.verb.level);
    show(given, targets, &plans);
    if !session.may_ask {
        return Err(unanswered(given, doing, level, targets)
            .unchanged()
            .of(&named(given, doing, targets)));
    }
    let in_the_way = plans
        .iter()
        .flatten()
        .filter(|plan| plan.is_blocked)
        .count();
    if in_the_way > 0 {
        let what = named(given, doing, targets);
        let why = format!(
            "{in_the_way} of {} would be refused, see above",
            targets.len()
        );
        return Err(Failure::new(Exit::Conflict, &what, &why).unchanged());
    }
    question(given, doing, level, targets)?;
    for (target, plan) in targets.iter_mut().zip(plans) {
        if target.if_match.is_none() {
            target.if_match = plan.and_then(|plan| plan.if_match);
        }
    }
    Ok(None)
}

/// The same for a verb whose object is a word and no found thing: a project, a host.
pub(crate) fn consent(
    session: &Session,
    given: &Given<'_>,
    doing: &str,
    word: &str,
) -> Result<(), Failure> {
    // A dry run is ended by the client's fence, which tells the call.
    if session.dry_run || given.verb.level < Level::Confirm || given.flag("yes") {
        return Ok(());
    }
    let what = format!("{doing} {word}");
    let refused = || {
        Failure::new(
            Exit::Unconfirmed,
            &what,
            "it needs to be confirmed, and it was not",
        )
        .hint("add --yes to do it without asking")
        .unchanged()
    };
    if !session.may_ask {
        return Err(refused());
    }
    if answer(&what, "yes") {
        Ok(())
    } else {
        Err(refused())
    }
}

/// Asks at the terminal; whether the answer is the wanted word.
fn answer(what: &str, wanted: &str) -> bool {
    let mut err = std::io::stderr().lock();
    let _ = write!(
        err,
        "{}: type {} to go on: ",
        harmless(what),
        harmless(wanted)
    );
    let _ = err.flush();
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    let line = line.trim();
    // A name that cannot be typed as it is may be typed as it is shown.
    !line.is_empty() && (line == wanted || line == harmless(wanted))
}

fn plans(
    session: &Session,
    given: &Given<'_>,
    about: &AboutOf<'_>,
    targets: &[Target],
) -> Result<Vec<Option<Plan>>, Failure> {
    let Some(act) = given.verb.plan else {
        return Ok(targets.iter().map(|_| None).collect());
    };
    let each = targets.iter();
    each.map(|target| plan::of(session, act, &about(target)?))
        .collect()
}

/// `--dry-run`: the plan of each object, or in words what would be asked of a server that has no plans.
fn dry(
    session: &Session,
    given: &Given<'_>,
    doing: &str,
    about: &AboutOf<'_>,
    targets: &[Target],
) -> Result<Option<Answer<'static>>, Failure> {
    let plans = plans(session, given, about, targets)?;
    let place = given.noun.place;
    let items = targets.iter().zip(&plans).map(|(target, plan)| match plan {
        Some(plan) => plan::item(plan),
        None => json!({
            "id": target.id,
            "name": target.name(place),
            "blocks": [], "lost": [], "breaks": [], "keeps": [],
            "is_blocked": false,
            "note": format!("{doing} it would be tried; this server cannot say beforehand what that does"),
        }),
    });
    Ok(Some(Answer::Planned(items.collect())))
}

fn is_answered(given: &Given<'_>, level: Level, targets: &[Target]) -> bool {
    let answers = given.all("yes-delete");
    let place = given.noun.place;
    match level {
        Level::Read | Level::Form => true,
        Level::Confirm if given.flag("yes") => true,
        Level::Confirm | Level::TypeName => {
            let bulk = bulk(given, targets);
            let is_named = |target: &Target| {
                let name = target.name(place);
                let known = [target.word.as_str(), &name, &target.id];
                known.iter().any(|known| answers.contains(known))
            };
            answers.contains(&bulk.as_str()) || targets.iter().all(is_named)
        }
    }
}

/// What stands for the names of several objects: `delete 135`.
fn bulk(given: &Given<'_>, targets: &[Target]) -> String {
    format!("{} {}", given.verb.name, targets.len())
}

fn named(given: &Given<'_>, doing: &str, targets: &[Target]) -> String {
    let place = given.noun.place;
    match targets {
        [one] => format!("{doing} the {} {}", place.noun, one.name(place)),
        many => format!("{doing} {} {}s", many.len(), place.noun),
    }
}

fn show(given: &Given<'_>, targets: &[Target], plans: &[Option<Plan>]) {
    let mut err = std::io::stderr().lock();
    for (target, plan) in targets.iter().zip(plans) {
        if let Some(plan) = plan {
            let _ = write!(err, "{}", plan::lines(&target.name(given.noun.place), plan));
        }
    }
}

fn unanswered(given: &Given<'_>, doing: &str, level: Level, targets: &[Target]) -> Failure {
    let flag = match (level, targets) {
        (Level::TypeName, [one]) => {
            format!("--yes-delete {}", shell_quoted(&one.name(given.noun.place)))
        }
        (Level::TypeName, many) => format!("--yes-delete {}", shell_quoted(&bulk(given, many))),
        _ => "--yes".to_owned(),
    };
    Failure::new(
        Exit::Unconfirmed,
        &named(given, doing, targets),
        "it needs to be confirmed, and it was not",
    )
    .hint(&format!("add {flag} to do it without asking"))
}

fn question(
    given: &Given<'_>,
    doing: &str,
    level: Level,
    targets: &[Target],
) -> Result<(), Failure> {
    let wanted = match (level, targets) {
        (Level::TypeName, [one]) => one.name(given.noun.place),
        (Level::TypeName, many) => bulk(given, many),
        _ => "yes".to_owned(),
    };
    if answer(&named(given, doing, targets), &wanted) {
        return Ok(());
    }
    Err(unanswered(given, doing, level, targets).unchanged())
}
