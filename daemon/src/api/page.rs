//! Lists: limit, marker, offset, sort keys and filters of a query, by Cinder's rules, into one question for the record.
//!
//! What a noun can be filtered and sorted by is a table beside its handlers (a [`Listing`]); the names of columns in
//! it are constants, so that no text of a client ever becomes part of a statement.

use super::body::{NUMBER_MAX, boolean_of};
use super::call::{Call, shown};
use super::error::Fault;
use super::filter::{self, Rule};
use crate::model::caller::Role;
use crate::ops::unreadable;
use crate::store::Store;
use crate::store::list::{self, Direction, Filter, ListError, ListRequest, Shape};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A page holds at most so many objects (Cinder's `osapi_max_limit`).
pub(super) const LIMIT_MAX: i64 = 1000;

/// More sort keys than any noun has columns are a mistake.
const SORT_KEYS_MAX: usize = 16;

/// More conditions than this are a mistake; an engine bounds how many it takes, and would answer with an error.
const CONDITIONS_MAX: usize = 64;

/// A parameter longer than any name, id or dictionary of pairs is a mistake too.
const PARAMETER_LEN_MAX: usize = 4096;

/// Parameters that are no filters.
const RESERVED: &[&str] = &[
    "limit",
    "marker",
    "offset",
    "sort",
    "sort_key",
    "sort_dir",
    "all_tenants",
    "with_count",
];

/// What a noun can be listed by.
#[derive(Debug)]
pub(super) struct Listing {
    /// Sort keys: as on the wire, and the column.
    pub(super) sort: &'static [(&'static str, &'static str)],
    /// Filters.
    pub(super) filters: &'static [Rule],
    /// Whether objects belong to projects.
    pub(super) of_projects: bool,
    /// From which minor version unknown filters are refused instead of dropped.
    pub(super) strict_from: u16,
}

/// A list as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// For the record.
    pub(super) request: ListRequest,
    /// Whether the number of all is wanted too (3.45).
    pub(super) with_count: bool,
    /// Whether a filter holds that no object can meet; then nothing needs to be read.
    pub(super) nothing: bool,
}

impl Listing {
    /// Reads the query.
    pub(super) fn read(&self, call: &Call) -> Result<Wanted, Fault> {
        check_parameters(call)?;
        let mut wanted = Wanted {
            request: ListRequest {
                filters: self.projects(call)?,
                sort: self.sort(call)?,
                limit: limit(call)?,
                offset: offset(call)?,
                marker: call.parameter("marker").map(str::to_owned),
            },
            with_count: call.version.at_least(45) && call.flag("with_count")?,
            nothing: false,
        };
        for (key, value) in &call.query {
            if !RESERVED.contains(&key.as_str()) && !self.is_project(call, key) {
                self.filter(call, key, value, &mut wanted)?;
            }
        }
        if wanted.request.filters.len() > CONDITIONS_MAX {
            return Err(Fault::bad_request("Too many filters."));
        }
        Ok(wanted)
    }

    /// Whose objects: the caller's, unless an administrator asks for all or for another project's.
    fn projects(&self, call: &Call) -> Result<Vec<Filter>, Fault> {
        if !self.of_projects {
            return Ok(Vec::new());
        }
        let everyone = call.caller.role == Role::Admin && all_tenants(call)?;
        let project = match (everyone, call.parameter("project_id")) {
            (true, None) => return Ok(Vec::new()),
            (true, Some(project)) => project,
            (false, _) => call.caller.project_id.as_str(),
        };
        Ok(vec![Filter::equal("project_id", project)])
    }

    fn is_project(&self, call: &Call, key: &str) -> bool {
        self.of_projects && key == "project_id" && call.caller.role == Role::Admin
    }

    fn sort(&self, call: &Call) -> Result<Vec<(&'static str, Direction)>, Fault> {
        let asked = sort_words(call)?;
        if asked.len() > SORT_KEYS_MAX {
            return Err(Fault::bad_request("Too many sort keys."));
        }
        let mut sort: Vec<(&'static str, Direction)> = Vec::new();
        for (key, direction) in asked {
            let direction = match direction {
                "" | "desc" => Direction::Descending,
                "asc" => Direction::Ascending,
                other => {
                    return Err(Fault::bad_request(format!(
                        "Unknown sort direction '{}', must be one of: asc, desc",
                        shown(other)
                    )));
                }
            };
            let column = self
                .sort
                .iter()
                .find(|(wire, _)| *wire == key)
                .map(|(_, column)| *column)
                .ok_or_else(|| Fault::bad_request(format!("Invalid sort key '{}'", shown(key))))?;
            if !sort.iter().any(|(known, _)| *known == column) {
                sort.push((column, direction));
            }
        }
        Ok(sort)
    }

    fn filter(
        &self,
        call: &Call,
        key: &str,
        value: &str,
        wanted: &mut Wanted,
    ) -> Result<(), Fault> {
        match filter::read(self.filters, call, key, value)? {
            Some(filter::Meaning::Conditions(conditions)) => {
                wanted.request.filters.extend(conditions);
            }
            Some(filter::Meaning::Nothing) => wanted.nothing = true,
            // Administrators too: a misspelt filter that lists everything, or nothing, misleads whoever acts on it.
            None if call.version.at_least(self.strict_from) => {
                return Err(Fault::bad_request(format!(
                    "Invalid filters {} are found in query options.",
                    shown(key)
                )));
            }
            None => {}
        }
        Ok(())
    }
}

/// The body of a list of objects that know their id.
pub(super) fn body(
    call: &Call,
    wanted: &Wanted,
    collection: &'static str,
    path: &str,
    objects: Vec<Value>,
    count: Option<i64>,
) -> Listed<Value> {
    let last = objects.last().and_then(|object| object["id"].as_str());
    let last = last.map(str::to_owned);
    listed(call, wanted, collection, path, objects, last, count)
}

/// The same of objects that are written straight to the wire; `last` is the id of the last one.
pub(super) fn listed<T>(
    call: &Call,
    wanted: &Wanted,
    collection: &'static str,
    path: &str,
    objects: Vec<T>,
    last: Option<String>,
    count: Option<i64>,
) -> Listed<T> {
    let is_full = i64::try_from(objects.len()).is_ok_and(|len| len >= wanted.request.limit);
    let next = last.filter(|_| is_full);
    let next = next.map(|last| call.links.next(path, &call.query, &last));
    Listed {
        collection,
        links: None,
        objects,
        next,
        count,
    }
}

/// A page: the objects under their collection's name, the link to the next page, and the count that was asked for.
pub(super) struct Listed<T> {
    collection: &'static str,
    links: Option<&'static str>,
    objects: Vec<T>,
    next: Option<Value>,
    count: Option<i64>,
}

impl<T> Listed<T> {
    /// Calls the link to the next page so, where Cinder does not call it after the collection.
    pub(super) fn with_links(mut self, name: &'static str) -> Self {
        self.links = Some(name);
        self
    }
}

impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut body = to.serialize_map(None)?;
        body.serialize_entry(self.collection, &self.objects)?;
        if let Some(next) = &self.next {
            match self.links {
                Some(name) => body.serialize_entry(name, next)?,
                None => body.serialize_entry(&format!("{}_links", self.collection), next)?,
            }
        }
        if let Some(count) = self.count {
            body.serialize_entry("count", &count)?;
        }
        body.end()
    }
}

/// How many there are in all, when that was asked for.
pub(super) async fn count(
    store: &Store,
    shape: &Shape,
    wanted: &Wanted,
) -> Result<Option<i64>, Fault> {
    if !wanted.with_count {
        return Ok(None);
    }
    if wanted.nothing {
        return Ok(Some(0));
    }
    let counted = list::count(store, shape, &wanted.request).await;
    counted
        .map(Some)
        .map_err(|source| unreadable(source).into())
}

/// A list that could not be read, as a fault.
pub(super) fn fault(noun: &'static str, error: ListError) -> Fault {
    match error {
        ListError::NoSuchMarker { marker } => Fault::not_found(noun, &shown(&marker)),
        ListError::Store(source) => unreadable(source).into(),
    }
}

/// Refuses what one of the engines would: a NUL, and more or longer parameters than make sense.
fn check_parameters(call: &Call) -> Result<(), Fault> {
    for (key, value) in &call.query {
        if key.contains('\0') || value.contains('\0') {
            return Err(Fault::bad_request("A parameter holds a NUL character."));
        }
        if value.len() > PARAMETER_LEN_MAX {
            let why = format!(
                "Parameter {} is longer than {PARAMETER_LEN_MAX} bytes.",
                shown(key)
            );
            return Err(Fault::bad_request(why));
        }
    }
    Ok(())
}

/// Limit and offset of a list that the record does not page.
pub(super) fn limits(call: &Call) -> Result<(i64, i64), Fault> {
    check_parameters(call)?;
    Ok((limit(call)?, offset(call)?))
}

fn all_tenants(call: &Call) -> Result<bool, Fault> {
    match call.parameter("all_tenants") {
        None => Ok(false),
        // Clients send the bare word too.
        Some("") => Ok(true),
        Some(word) => boolean_of(word).ok_or_else(|| {
            Fault::bad_request(format!(
                "all_tenants param must be a boolean, not '{}'",
                shown(word)
            ))
        }),
    }
}

fn limit(call: &Call) -> Result<i64, Fault> {
    let Some(text) = call.parameter("limit") else {
        return Ok(LIMIT_MAX);
    };
    let limit = whole(text).ok_or_else(|| Fault::bad_request("limit param must be an integer"))?;
    if limit < 0 {
        return Err(Fault::bad_request("limit param must be positive"));
    }
    Ok(limit.min(LIMIT_MAX))
}

fn offset(call: &Call) -> Result<i64, Fault> {
    let Some(text) = call.parameter("offset") else {
        return Ok(0);
    };
    let offset = whole(text).ok_or_else(|| Fault::bad_request("offset must be an integer"))?;
    if !(0..=NUMBER_MAX).contains(&offset) {
        return Err(Fault::bad_request(format!(
            "offset must be from 0 to {NUMBER_MAX}"
        )));
    }
    Ok(offset)
}

/// A whole number of any length; beyond 64 bits it is as large as can be.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beyond = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Some(text.parse().unwrap_or(beyond))
}

/// Keys and directions, from `sort` or from the pair of older parameters.
pub(super) fn sort_words(call: &Call) -> Result<Vec<(&str, &str)>, Fault> {
    let older = call.parameter("sort_key").or(call.parameter("sort_dir"));
    match (call.parameter("sort"), older) {
        (Some(_), Some(_)) => Err(Fault::bad_request(
            "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
        )),
        (Some(sort), None) => Ok(sort
            .split(',')
            .map(|word| word.split_once(':').unwrap_or((word, "")))
            .map(|(key, direction)| (key.trim(), direction.trim()))
            .collect()),
        (None, Some(_)) => Ok(vec![(
            call.parameter("sort_key").unwrap_or("created_at").trim(),
            call.parameter("sort_dir").unwrap_or("desc").trim(),
        )]),
        (None, None) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::filter::Kind;
    use crate::api::testing::{self, Asks};
    use proptest::prelude::*;
    use serde_json::json;

    const LISTING: Listing = Listing {
        sort: &[
            ("id", "id"),
            ("name", "name"),
            ("size", "size_gib"),
            ("created_at", "created_at"),
        ],
        filters: &[
            Rule {
                wire: "name",
                column: "name",
                kind: Kind::Text,
                since: 0,
                for_admins: false,
            },
            Rule {
                wire: "host",
                column: "host",
                kind: Kind::Text,
                since: 0,
                for_admins: true,
            },
        ],
        of_projects: true,
        strict_from: 31,
    };

    fn read(asks: &Asks<'_>) -> Result<Wanted, u16> {
        LISTING
            .read(&testing::call(asks))
            .map_err(|fault| fault.code())
    }

    fn member(query: &str) -> Result<Wanted, u16> {
        read(&Asks {
            query,
            ..Asks::default()
        })
    }

    #[test]
    fn limits_and_offsets() {
        assert_eq!(member("").unwrap().request.limit, LIMIT_MAX);
        assert_eq!(member("limit=0").unwrap().request.limit, 0);
        assert_eq!(member("limit=2000").unwrap().request.limit, LIMIT_MAX);
        assert_eq!(
            member("limit=99999999999999999999").unwrap().request.limit,
            LIMIT_MAX
        );
        assert_eq!(member("offset=5").unwrap().request.offset, 5);
        for bad in [
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1.5",
            "limit=-99999999999999999999",
            "offset=-1",
            "offset=x",
            "offset=2147483648",
            "name=%00",
        ] {
            assert_eq!(member(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn what_an_engine_would_refuse_is_refused_before() {
        assert_eq!(member(&"name=a&".repeat(2000)), Err(400));
        assert_eq!(member(&format!("name={}", "_".repeat(5000))), Err(400));
        assert_eq!(member(&format!("sort={}", "name,".repeat(50))), Err(400));
        assert!(member(&"name=a&".repeat(20)).is_ok());
    }

    #[test]
    fn sort_in_both_spellings() {
        let sort = |query| member(query).map(|wanted| wanted.request.sort);
        assert_eq!(sort(""), Ok(vec![]));
        assert_eq!(
            sort("sort=size:asc,name"),
            Ok(vec![
                ("size_gib", Direction::Ascending),
                ("name", Direction::Descending)
            ])
        );
        assert_eq!(
            sort("sort_key=name&sort_dir=asc"),
            Ok(vec![("name", Direction::Ascending)])
        );
        assert_eq!(
            sort("sort_dir=asc"),
            Ok(vec![("created_at", Direction::Ascending)])
        );
        for bad in [
            "sort=colour",
            "sort=name:up",
            "sort=name&sort_dir=asc",
            "sort=",
        ] {
            assert_eq!(sort(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn whose_objects() {
        let mine = Filter::equal("project_id", "p");
        assert_eq!(
            member("all_tenants=1").unwrap().request.filters,
            vec![mine.clone()]
        );
        let admin = |query| {
            read(&Asks {
                query,
                admin: true,
                ..Asks::default()
            })
            .unwrap()
            .request
            .filters
        };
        assert_eq!(admin(""), vec![mine.clone()]);
        assert_eq!(admin("all_tenants=1"), []);
        assert_eq!(admin("all_tenants=0"), vec![mine.clone()]);
        assert_eq!(
            admin("all_tenants=True&project_id=q"),
            [Filter::equal("project_id", "q")]
        );
        assert_eq!(admin("project_id=q"), [mine]);
    }

    #[test]
    fn unknown_filters_by_version() {
        assert!(member("colour=red").is_ok());
        let strict = Asks {
            query: "colour=red",
            minor: 31,
            ..Asks::default()
        };
        assert_eq!(read(&strict), Err(400));
        // What only administrators may filter by is unknown to others.
        let host = Asks {
            query: "host=h",
            minor: 31,
            ..Asks::default()
        };
        assert_eq!(read(&host), Err(400));
        assert!(
            read(&Asks {
                admin: true,
                ..host
            })
            .is_ok()
        );
        let foreign = Asks {
            query: "project_id=q",
            minor: 31,
            ..Asks::default()
        };
        assert_eq!(read(&foreign), Err(400));
    }

    #[test]
    fn the_next_page() {
        let call = testing::call(&Asks {
            query: "limit=2&name=x",
            ..Asks::default()
        });
        let wanted = LISTING.read(&call).unwrap();
        let page = |len: usize| {
            let objects = (0..len).map(|n| json!({"id": format!("id{n}")})).collect();
            json!(body(
                &call,
                &wanted,
                "volumes",
                "volumes/detail",
                objects,
                None
            ))
        };
        assert!(page(1).get("volumes_links").is_none());
        let next = page(2)["volumes_links"][0]["href"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            next.ends_with("/v3/p/volumes/detail?limit=2&name=x&marker=id1"),
            "{next}"
        );
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in "[ -~]{0,80}", minor in 0u16..68) {
            if let Err(code) = read(&Asks { query: &query, minor, ..Asks::default() }) {
                prop_assert_eq!(code, 400);
            }
        }
    }
}
