//! Lists: the options that every one has, whatever the noun: `--filter`, `--sort`, `--limit`, `--marker`.
//!
//! Without `--sort` a list is written page by page as it comes, so that its length is not held in memory.

use std::io::Write as _;

use serde_json::Value;

use crate::Session;
use crate::client::text;
use crate::failure::Failure;
use crate::find;
use crate::output::{Answer, Pages};
use crate::places::{ParamKind, Place};
use crate::select::Select;
use crate::sort::Sort;
use crate::table::Given;

/// The objects of a place, as the command asks for them.
pub(crate) fn of_place<'s>(
    session: &'s Session,
    given: &Given<'_>,
    place: &'static Place,
    mut query: Vec<(&str, String)>,
) -> Result<Answer<'s>, Failure> {
    let select = Select::read(given)?;
    // What the server can sift it is asked to; it is sifted here all the same.
    for param in place.params {
        let is_asked = query.iter().any(|(key, _)| *key == param.query);
        if let (ParamKind::Text, false, Some(select)) = (param.kind, is_asked, &select) {
            query.extend(
                select
                    .equal_to(param.option)
                    .map(|value| (param.query, value)),
            );
        }
    }
    let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let marker = match given.option("marker") {
        Some(word) => Some(find::id(session, place, word)?),
        None => None,
    };
    let is_whole = select.is_none() && given.option("sort").is_none();
    let limit = limit(given)?;
    let asked = if is_whole { limit } else { None };
    let pages = session
        .client
        .pages(place, &query, asked, marker.as_deref());
    finish(given, Box::new(pages), select, limit)
}

/// The same of objects that are there already.
pub(crate) fn of_items<'s>(given: &Given<'_>, items: Vec<Value>) -> Result<Answer<'s>, Failure> {
    let select = Select::read(given)?;
    let limit = limit(given)?;
    let items = match given.option("marker") {
        Some(marker) => {
            let id = given.noun.place.id;
            let after = items
                .into_iter()
                .skip_while(|item| text(item, id) != marker);
            after.skip(1).collect()
        }
        None => items,
    };
    finish(given, Box::new(std::iter::once(Ok(items))), select, limit)
}

/// The same of what comes from somewhere else, page by page.
pub(crate) fn of_pages<'s>(given: &Given<'_>, pages: Pages<'s>) -> Result<Answer<'s>, Failure> {
    finish(given, pages, Select::read(given)?, limit(given)?)
}

fn finish<'s>(
    given: &Given<'_>,
    pages: Pages<'s>,
    select: Option<Select>,
    limit: Option<usize>,
) -> Result<Answer<'s>, Failure> {
    let sifted: Pages<'s> = match select {
        Some(select) => Box::new(Sifted::new(pages, select)),
        None => pages,
    };
    let Some(keys) = given.option("sort") else {
        return Ok(Answer::Pages(cut(sifted, limit)));
    };
    let sort = Sort::parse(keys, &columns(given))?;
    let mut items = Vec::new();
    for page in sifted {
        items.extend(page?);
    }
    sort.sort(&mut items);
    items.truncate(limit.unwrap_or(usize::MAX));
    Ok(Answer::Many(items))
}

/// A list without what the filter does not take. When it takes nothing at all, it says what a looser one would take.
struct Sifted<'a> {
    pages: Pages<'a>,
    loose: Select,
    select: Select,
    seen_count: usize,
    taken_count: usize,
    near_count: usize,
}

impl<'a> Sifted<'a> {
    fn new(pages: Pages<'a>, select: Select) -> Self {
        Self {
            pages,
            loose: select.loosened(),
            select,
            seen_count: 0,
            taken_count: 0,
            near_count: 0,
        }
    }

    fn takes(&mut self, item: &Value) -> bool {
        self.seen_count += 1;
        let is_taken = self.select.takes(item);
        self.taken_count += usize::from(is_taken);
        // Only looked at while nothing fits: an exact hit makes the near ones uninteresting.
        if self.taken_count == 0 {
            self.near_count += usize::from(self.loose.takes(item));
        }
        is_taken
    }
}

impl Iterator for Sifted<'_> {
    type Item = Result<Vec<Value>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(page) = self.pages.next() else {
            if self.taken_count == 0 && self.near_count > 0 {
                let _ = writeln!(
                    std::io::stderr(),
                    "none of {} fits; loosely, with ~ before the words, {} would",
                    self.seen_count,
                    self.near_count
                );
            }
            return None;
        };
        Some(page.map(|mut items| {
            items.retain(|item| self.takes(item));
            items
        }))
    }
}

/// What may be sorted and filtered by: the verb's columns and all of the noun's.
pub(crate) fn columns(given: &Given<'_>) -> Vec<crate::output::Column> {
    let mut columns = given.columns(true).to_vec();
    columns.extend(given.noun.short.iter().chain(given.noun.long));
    columns
}

fn limit(given: &Given<'_>) -> Result<Option<usize>, Failure> {
    let Some(word) = given.option("limit") else {
        return Ok(None);
    };
    let limit = word.parse().ok().filter(|limit| *limit > 0);
    limit.map(Some).ok_or_else(|| {
        Failure::usage(
            &format!("`{word}` is not a number of objects"),
            "write --limit 100; all are shown without it",
        )
    })
}

/// No more than `limit` objects; pages past them are not read.
fn cut(pages: Pages<'_>, limit: Option<usize>) -> Pages<'_> {
    let Some(mut left) = limit else {
        return pages;
    };
    Box::new(pages.map_while(move |page| {
        if left == 0 {
            return None;
        }
        Some(page.map(|mut items| {
            items.truncate(left);
            left -= items.len();
            items
        }))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nearly_fits_is_counted_only_where_nothing_fits() {
        let counts = |text: &str| {
            let items = ["pg-prod", "pg-test"].map(|name| json!({"name": name}));
            let pages: Pages<'_> = Box::new(std::iter::once(Ok(items.to_vec())));
            let mut sifted = Sifted::new(pages, Select::of(text, &[]));
            while sifted.next().is_some() {}
            (sifted.taken_count, sifted.near_count)
        };
        assert_eq!(counts("pgprd"), (0, 1));
        assert_eq!(counts("pg-prod"), (1, 0));
        assert_eq!(counts("zz"), (0, 0));
    }

    #[test]
    fn a_limit_stops_the_reading() {
        let mut read = 0;
        let pages = std::iter::from_fn(|| {
            read += 1;
            Some(Ok(vec![json!(1), json!(2), json!(3)]))
        });
        let counts: Vec<usize> = cut(Box::new(pages), Some(5))
            .map(|page| page.unwrap().len())
            .collect();
        assert_eq!(counts, [3, 2]);
        assert!(read <= 3, "{read} pages were read for five objects");
    }
}
