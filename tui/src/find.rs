//! Which object is meant: by id, by name, or by the start of an id.
//!
//! An ambiguous word is refused with the list of what it fits, never guessed.

use serde_json::Value;

use crate::Session;
use crate::client::{Method, text};
use crate::failure::{Exit, Failure};
use crate::places::Place;
use crate::text::harmless;

/// Fewer letters of an id are more likely a name.
const PREFIX_LEN_MIN: usize = 4;
/// How many candidates an ambiguous word lists.
const CANDIDATES_SHOWN: usize = 10;

/// The object that `word` means, with all its fields.
pub(crate) fn find(session: &Session, place: &Place, word: &str) -> Result<Value, Failure> {
    if looks_like_id(word) && !place.path.is_empty() {
        match show(session, place, word) {
            Err(failure) if failure.exit == Exit::NotFound => {}
            other => return other,
        }
    }
    if place.has_name_filter {
        let named = all(session, place, &[("name", word)])?;
        // A server that does not know the filter would answer with everything.
        let named: Vec<Value> = named
            .into_iter()
            .filter(|item| text(item, place.name) == word)
            .collect();
        if !named.is_empty() {
            return only(place, word, named);
        }
    }
    let items = all(session, place, &[])?;
    only(place, word, matching(place, items, word, session.may_ask))
}

/// The id of the object that `word` means.
pub(crate) fn id(session: &Session, place: &Place, word: &str) -> Result<String, Failure> {
    Ok(text(&find(session, place, word)?, place.id))
}

/// All objects of a place.
pub(crate) fn all(
    session: &Session,
    place: &Place,
    query: &[(&str, &str)],
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    for page in session.client.pages(place, query, None, None) {
        items.extend(page?);
    }
    Ok(items)
}

/// One object by its id.
pub(crate) fn show(session: &Session, place: &Place, id: &str) -> Result<Value, Failure> {
    if place.path.is_empty() {
        let items = all(session, place, &[])?;
        let found = items.into_iter().find(|item| text(item, place.id) == id);
        return only(place, id, found.into_iter().collect());
    }
    let path = format!("{}/{id}", place.path);
    let answer = session.client.at(place.api, Method::Get, &path, None)?;
    Ok(inner(&answer, place.key))
}

/// What an answer holds under its one key.
pub(crate) fn inner(answer: &Value, key: &str) -> Value {
    answer.get(key).cloned().unwrap_or(Value::Null)
}

/// Those that the word means. Only a person may shorten an id: in a script the short form of today is ambiguous
/// tomorrow.
fn matching(place: &Place, items: Vec<Value>, word: &str, may_shorten: bool) -> Vec<Value> {
    let (named, others): (Vec<Value>, Vec<Value>) = items
        .into_iter()
        .partition(|item| text(item, place.name) == word || text(item, place.id) == word);
    if !named.is_empty() || word.len() < PREFIX_LEN_MIN || !may_shorten {
        return named;
    }
    others
        .into_iter()
        .filter(|item| text(item, place.id).starts_with(word))
        .collect()
}

fn only(place: &Place, word: &str, mut found: Vec<Value>) -> Result<Value, Failure> {
    let noun = place.noun;
    if found.len() > 1 {
        let ids: Vec<String> = found
            .iter()
            .take(CANDIDATES_SHOWN)
            .map(|item| {
                let name = harmless(&text(item, place.name));
                format!("{} ({name})", text(item, place.id))
            })
            .collect();
        let what = format!("finding the {noun} `{word}`");
        return Err(Failure::new(
            Exit::Ambiguous,
            &what,
            &format!("{} {noun}s fit: {}", found.len(), ids.join(", ")),
        )
        .hint("give the id of the one you mean"));
    }
    found.pop().ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            &format!("finding the {noun} `{word}`"),
            &format!("no {noun} that you may see has that name or id"),
        )
        .hint(&format!("`ashlar {noun} list` shows what there is"))
    })
}

/// 36 characters of a UUID: anything else cannot be a whole id and is not put in a path.
pub(crate) fn looks_like_id(word: &str) -> bool {
    word.len() == 36 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::VOLUME;
    use serde_json::json;

    const DB_1: &str = "aaaa0000-0000-4000-8000-000000000001";
    const DB_2: &str = "aaaa0000-0000-4000-8000-000000000002";

    fn items() -> Vec<Value> {
        vec![
            json!({"id": DB_1, "name": "db"}),
            json!({"id": DB_2, "name": "web"}),
            json!({"id": "bbbb0000-0000-4000-8000-000000000003", "name": "aaaa"}),
        ]
    }

    fn find(word: &str) -> Result<String, Exit> {
        only(&VOLUME, word, matching(&VOLUME, items(), word, true))
            .map(|item| text(&item, "name"))
            .map_err(|failure| failure.exit)
    }

    #[test]
    fn a_name_an_id_or_the_start_of_one_finds_it() {
        assert_eq!(find("db").unwrap(), "db");
        assert_eq!(find(DB_2).unwrap(), "web");
        assert_eq!(find("bbbb").unwrap(), "aaaa");
    }

    #[test]
    fn a_name_wins_over_the_start_of_ids() {
        assert_eq!(find("aaaa").unwrap(), "aaaa");
    }

    #[test]
    fn several_are_exit_4_none_is_exit_3_and_a_short_start_is_no_id() {
        assert_eq!(find("aaaa0").unwrap_err(), Exit::Ambiguous);
        assert_eq!(find("nothing").unwrap_err(), Exit::NotFound);
        assert_eq!(find("bbb").unwrap_err(), Exit::NotFound);
    }

    #[test]
    fn a_script_may_not_shorten_an_id() {
        let found = |word| matching(&VOLUME, items(), word, false).len();
        assert_eq!((found("bbbb"), found(DB_1), found("aaaa")), (0, 1, 1));
    }

    #[test]
    fn only_a_whole_uuid_is_put_into_a_path() {
        assert!(looks_like_id(DB_1));
        assert!(!looks_like_id("../../../../../../../../../../../../"));
        assert!(!looks_like_id("aaaa"));
    }
}
