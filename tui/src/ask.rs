//! Asks before something is destroyed, and carries a verb over many objects.
//!
//! On a terminal a person is asked; anywhere else the answer must be on the command line, or nothing is done (exit 10).

use std::io::{BufRead as _, Write as _};

use serde_json::Value;

use crate::Session;
use crate::client::text;
use crate::failure::{Exit, Failure};
use crate::grammar::{Given, Level};
use crate::output::Answer;
use crate::text::harmless;

/// Whether `verb` may be done to `item`, which was named by `word`.
pub(crate) fn before(
    session: &Session,
    given: &Given<'_>,
    verb: &str,
    noun: &str,
    word: &str,
    item: &Value,
) -> Result<(), Failure> {
    let name = match text(item, "name") {
        name if name.is_empty() => text(item, "id"),
        name => name,
    };
    let id = text(item, "id");
    let is_answered = match given.level {
        Level::Safe => true,
        Level::Confirm => given.flag("yes"),
        Level::TypeName => {
            let answers = given.all("yes-delete");
            [word, &name, &id]
                .iter()
                .any(|known| answers.contains(known))
        }
    };
    if is_answered {
        return Ok(());
    }
    let what = format!("{verb} of the {noun} {name}");
    let flag = match given.level {
        Level::TypeName => format!("--yes-delete {name}"),
        Level::Safe | Level::Confirm => "--yes".to_owned(),
    };
    let unconfirmed = |why: &str| {
        Failure::new(Exit::Unconfirmed, &what, why).hint(&format!(
            "nothing was changed; add {} to do it without asking",
            harmless(&flag)
        ))
    };
    if !session.may_ask {
        return Err(unconfirmed(
            "it destroys data and nobody is there to confirm it",
        ));
    }
    let (question, wanted) = match given.level {
        Level::TypeName => ("type its name to go on: ", name.as_str()),
        Level::Safe | Level::Confirm => ("type yes to go on: ", "yes"),
    };
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{}: {question}", harmless(&what));
    let _ = err.flush();
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    if line.trim() == wanted {
        Ok(())
    } else {
        Err(unconfirmed("it was not confirmed"))
    }
}

/// Does `act` to each of `words`; one line to standard error for each that failed. One object fails with its own exit
/// code, several with 7 when only some failed.
pub(crate) fn each(
    words: &[&str],
    mut act: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<Answer, Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for word in words {
        if let Err(failure) = act(word) {
            failures.push(failure);
        }
    }
    let failed_count = failures.len();
    let Some(last) = failures.pop() else {
        return Ok(Answer::Done);
    };
    for failure in &failures {
        let _ = writeln!(std::io::stderr(), "{failure}");
    }
    if words.len() == 1 {
        return Err(last);
    }
    let _ = writeln!(std::io::stderr(), "{last}");
    let exit = if failed_count == words.len() {
        last.exit
    } else {
        Exit::Partly
    };
    let why = format!("{} done, {failed_count} failed", words.len() - failed_count);
    Err(Failure::new(exit, "not all was done", &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Answer, Exit> {
        each(words, |word| match word {
            "bad" => Err(Failure::new(Exit::NotFound, "x", "y")),
            _ => Ok(()),
        })
        .map_err(|failure| failure.exit)
    }

    #[test]
    fn one_object_keeps_its_exit_code_and_some_of_several_are_exit_7() {
        assert_eq!(run(&["good"]).unwrap(), Answer::Done);
        assert_eq!(run(&["bad"]).unwrap_err(), Exit::NotFound);
        assert_eq!(run(&["good", "bad", "good"]).unwrap_err(), Exit::Partly);
        assert_eq!(run(&["bad", "bad"]).unwrap_err(), Exit::NotFound);
    }
}
