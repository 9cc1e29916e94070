//! Lists on both engines: pages that follow each other, filters that let through what they say.
#![cfg(test)]

use super::batch::Value;
use super::domain_tests::{on_both, seed};
use super::list::{self, Comparison, Direction, Filter, ListError, ListRequest};
use super::{Store, attachments, json, messages, operations, schema, snapshots};
use super::{transfers, volume_types, volumes};
use crate::model::id::VolumeId;
use crate::model::volume::Volume;

/// A volume's value of a column, as the record compares it.
fn key(volume: &Volume, column: &str) -> Option<Vec<u8>> {
    match column {
        "name" => volume.name.as_ref().map(|name| name.clone().into_bytes()),
        "size_gib" => Some(volume.size_gib.get().to_be_bytes().to_vec()),
        "created_at" => Some(volume.created_at.as_str().as_bytes().to_vec()),
        "id" => Some(volume.id.to_string().into_bytes()),
        _ => None,
    }
}

fn compare(a: &Volume, b: &Volume, sort: &[(&'static str, Direction)]) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let last = sort.last().unwrap().1;
    for (column, direction) in sort.iter().chain([&("id", last)]) {
        let order = match (key(a, column), key(b, column)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => return Ordering::Greater, // Missing values are last, both ways.
            (Some(_), None) => return Ordering::Less,
            (Some(a), Some(b)) => match direction {
                Direction::Ascending => a.cmp(&b),
                Direction::Descending => b.cmp(&a),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_whatever_the_order() {
    use Direction::{Ascending, Descending};
    on_both(async |store| {
        let all = seed(store, 40).await;
        let sorts: [&[(&'static str, Direction)]; 6] = [
            &[("created_at", Descending)],
            &[("name", Ascending)],
            &[("name", Descending), ("size_gib", Ascending)],
            &[("size_gib", Descending), ("name", Ascending)],
            &[("id", Ascending)],
            &[("created_at", Ascending), ("name", Descending)],
        ];
        for sort in sorts {
            let mut wanted = all.clone();
            wanted.sort_by(|a, b| compare(a, b, sort));
            let wanted: Vec<VolumeId> = wanted.iter().map(|volume| volume.id).collect();
            for limit in [1, 7, 40, 100] {
                let mut found: Vec<VolumeId> = Vec::new();
                loop {
                    let request = ListRequest {
                        sort: sort.to_vec(),
                        limit,
                        marker: found.last().map(ToString::to_string),
                        ..ListRequest::default()
                    };
                    let page = volumes::list(store, &request).await.unwrap();
                    if page.is_empty() {
                        break;
                    }
                    found.extend(page.iter().map(|volume| volume.id));
                }
                assert_eq!(found, wanted, "{sort:?} by {limit}");
            }
        }
    })
    .await;
}

/// A filter, and what it is to let through.
struct Case {
    column: &'static str,
    comparison: Comparison,
    values: Vec<Value>,
    lets_through: fn(&Volume) -> bool,
}

fn case(
    column: &'static str,
    comparison: Comparison,
    value: impl Into<Value>,
    lets_through: fn(&Volume) -> bool,
) -> Case {
    Case {
        column,
        comparison,
        values: vec![value.into()],
        lets_through,
    }
}

fn name_has(volume: &Volume, text: &str) -> bool {
    volume.name.as_ref().is_some_and(|name| name.contains(text))
}

fn cases() -> Vec<Case> {
    use Comparison::{Contains, Equal, GreaterOrEqual, Less, NotEqual};
    let pair = json::pair_text("k", "v1");
    let mut cases = vec![
        case("project_id", Equal, "p", |v| v.project_id == "p"),
        case("name", Equal, "b", |v| v.name.as_deref() == Some("b")),
        case("name", Equal, None::<String>, |v| v.name.is_none()),
        case("name", Contains, "_", |v| name_has(v, "_")),
        case("name", Contains, "%", |v| name_has(v, "%")),
        case("name", Contains, "b", |v| name_has(v, "b")),
        case("metadata", Contains, pair, |v| {
            v.metadata.get("k").is_some_and(|value| value == "v1")
        }),
        case("name", NotEqual, "b", |v| v.name.as_deref() != Some("b")),
        case("created_at", GreaterOrEqual, "2026-11-22T00:00:03", |v| {
            v.created_at.as_str() >= "2026-11-22T00:00:03"
        }),
        case("size_gib", Less, 3, |v| v.size_gib.get() < 3),
        case("size_gib", Equal, 1, |v| [1, 3].contains(&v.size_gib.get())),
    ];
    // Several values mean any of them.
    if let Some(last) = cases.last_mut() {
        last.values.push(Value::Int(3));
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    on_both(async |store| {
        let all = seed(store, 40).await;
        for Case {
            column,
            comparison,
            values,
            lets_through,
        } in cases()
        {
            let filter = Filter {
                column,
                comparison,
                values,
            };
            let request = ListRequest {
                filters: vec![filter.clone()],
                limit: 1000,
                ..ListRequest::default()
            };
            let found = volumes::list(store, &request).await.unwrap();
            let wanted = all.iter().filter(|volume| lets_through(volume)).count();
            assert_eq!(found.len(), wanted, "{filter:?}");
            assert!(found.iter().all(lets_through), "{filter:?}");
            let count = list::count(store, &volumes::SHAPE, &request).await.unwrap();
            assert_eq!(usize::try_from(count).unwrap(), wanted, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_marker_does_not_exist() {
    on_both(async |store: &Store| {
        let all = seed(store, 40).await;
        let foreign = all.iter().find(|volume| volume.project_id == "q");
        let request = ListRequest {
            filters: vec![Filter::equal("project_id", "p")],
            marker: foreign.map(|volume| volume.id.to_string()),
            limit: 10,
            ..ListRequest::default()
        };
        let found = volumes::list(store, &request).await;
        assert!(matches!(found, Err(ListError::NoSuchMarker { .. })));
    })
    .await;
}

/// The schema in a database of SQLite's own, to ask it what it would do.
fn schema_alone() -> rusqlite::Connection {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&schema::MIGRATIONS.concat())
        .unwrap();
    connection
}

fn texts(connection: &rusqlite::Connection, query: &str, column: usize) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap();
    // Nothing bound: a plan does not depend on the values.
    let rows = statement.raw_query().mapped(|row| row.get(column));
    rows.map(Result::unwrap).collect()
}

#[test]
fn columns_that_are_never_null_cannot_be() {
    let connection = schema_alone();
    let columns = "SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
                   WHERE m.type = 'table' AND c.\"notnull\" = 0 AND c.pk = 0";
    let shapes = [
        &volumes::SHAPE,
        &snapshots::SHAPE,
        &attachments::SHAPE,
        &operations::SHAPE,
        &messages::SHAPE,
        &transfers::SHAPE,
        &volume_types::SHAPE,
    ];
    for column in texts(&connection, columns, 0) {
        let (table, name) = column.split_once('.').unwrap();
        let is_listed = |shape: &&list::Shape| shape.count.contains(&format!(" {table} t"));
        assert!(
            !shapes.iter().any(is_listed) || !list::NEVER_NULL.contains(&name),
            "{table}.{name} may be NULL"
        );
    }
}

#[test]
fn a_page_is_found_without_a_look_at_the_others() {
    let connection = schema_alone();
    let project = || vec![Filter::equal("project_id", "p")];
    let shapes = [&volumes::SHAPE, &snapshots::SHAPE, &attachments::SHAPE];
    for (shape, filters) in shapes
        .into_iter()
        .flat_map(|shape| [(shape, vec![]), (shape, project())])
    {
        let request = ListRequest {
            filters,
            limit: 100,
            ..ListRequest::default()
        };
        let sort = list::total_order(&[]);
        let after: [Value; 2] = ["2026".into(), "id".into()];
        for after in [None, Some(after.as_slice())] {
            let query = list::page_query(shape, &request, &sort, after);
            let explain = format!("EXPLAIN QUERY PLAN {}", query.text);
            let plan = texts(&connection, &explain, 3).join("; ");
            let walks = plan.contains("USING INDEX") && !plan.contains("TEMP B-TREE");
            // From the beginning of an index, or from the marker on.
            let from = if after.is_some() || !request.filters.is_empty() {
                "SEARCH t "
            } else {
                "SCAN t "
            };
            assert!(walks && plan.contains(from), "{}\n{plan}", query.text);
            assert!(after.is_none() || plan.contains("created_at<?"), "{plan}");
        }
    }
}
