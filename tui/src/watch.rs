//! `--watch`: the same list again and again. On a terminal it is painted anew; in a pipe only rows that are new, changed
//! or gone are appended, so that a reader sees each change once.

use std::collections::HashMap;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::Session;
use crate::client::text;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Columns, Form, Style};
use crate::settings;
use crate::table::Given;
use crate::wait;

/// The screen is cleared and the cursor put at its top.
const TOP: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// Watches until it is interrupted or the reader has gone.
pub(crate) fn run(
    session: &Session,
    given: &Given<'_>,
    columns: &Columns,
    style: &Style,
    every: &str,
) -> Result<(), Failure> {
    let pause = settings::duration(every)?;
    if pause.is_zero() {
        return Err(Failure::usage(
            "a watch without a pause",
            "write --watch=1s",
        ));
    }
    let interrupt = wait::interrupt();
    let mut seen: HashMap<String, Value> = HashMap::new();
    let mut is_first = true;
    loop {
        match items(session, given) {
            Ok(items) if style.width.is_some() => {
                let _ = write!(std::io::stdout(), "{TOP}");
                crate::print(Answer::Many(items), given.noun.name, columns, style)?;
            }
            Ok(items) => append(given, items, &mut seen, is_first, columns, style)?,
            // The daemon may be restarting; the last rows stay.
            Err(failure) if failure.exit == Exit::Unreachable && !is_first => {
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            Err(failure) => return Err(failure),
        }
        is_first = false;
        if wait::sleep(pause, &interrupt) {
            return Ok(());
        }
    }
}

fn items(session: &Session, given: &Given<'_>) -> Result<Vec<Value>, Failure> {
    match (given.verb.run)(session, given)? {
        Answer::Pages(pages) => {
            let mut items = Vec::new();
            for page in pages {
                items.extend(page?);
            }
            Ok(items)
        }
        Answer::Many(items) | Answer::Planned(items) => Ok(items),
        Answer::One(item) => Ok(vec![item]),
        Answer::Text(_) | Answer::Done => Ok(Vec::new()),
    }
}

fn append(
    given: &Given<'_>,
    items: Vec<Value>,
    seen: &mut HashMap<String, Value>,
    is_first: bool,
    columns: &Columns,
    style: &Style,
) -> Result<(), Failure> {
    let changed = changes(seen, items, given.noun.place.id);
    // Heads once; after that lines only. One JSON document a change would be many documents: lines it is.
    let is_document = matches!(style.form, Form::Json | Form::Yaml);
    let form = if is_document { Form::Jsonl } else { style.form };
    let style = Style {
        form,
        is_bare: style.is_bare || !is_first,
        ..*style
    };
    if changed.is_empty() && !is_first {
        return Ok(());
    }
    crate::print(Answer::Many(changed), given.noun.name, columns, &style)
}

/// Rows that are new or changed; those that are gone with the status `(gone)`.
fn changes(seen: &mut HashMap<String, Value>, items: Vec<Value>, id: &str) -> Vec<Value> {
    let mut gone = std::mem::take(seen);
    let mut changed = Vec::new();
    for item in items {
        let key = text(&item, id);
        if gone.remove(&key).as_ref() != Some(&item) {
            changed.push(item.clone());
        }
        seen.insert(key, item);
    }
    changed.extend(gone.into_values().map(|mut item| {
        item["status"] = json!("(gone)");
        item
    }));
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_when_it_is_new_when_it_changes_and_when_it_is_gone() {
        let mut seen = HashMap::new();
        let a = |status: &str| json!({"id": "a", "status": status});
        let mut look = |items| changes(&mut seen, items, "id");
        assert_eq!(look(vec![a("creating")]), [a("creating")]);
        assert_eq!(look(vec![a("creating")]), [] as [Value; 0]);
        assert_eq!(look(vec![a("available")]), [a("available")]);
        assert_eq!(look(vec![]), [a("(gone)")]);
        assert_eq!(look(vec![]), [] as [Value; 0]);
    }
}
