//! Lists: pages in every order, and what filters let through.

use super::{on_both, seed};
use crate::model::id::VolumeId;
use crate::model::volume::Volume;
use crate::store::batch::Value;
use crate::store::list::{self, Comparison, Direction, Filter, ListError, ListRequest};
use crate::store::{json, volumes};

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

/// A filter and what it lets through.
type Case = (Filter, Box<dyn Fn(&Volume) -> bool>);

fn cases() -> Vec<Case> {
    vec![
        (
            Filter::equal("project_id", "p"),
            Box::new(|v| v.project_id == "p"),
        ),
        (
            Filter::equal("name", "b"),
            Box::new(|v| v.name.as_deref() == Some("b")),
        ),
        (
            Filter::equal("name", None::<String>),
            Box::new(|v| v.name.is_none()),
        ),
        (
            Filter {
                column: "size_gib",
                comparison: Comparison::Equal,
                values: vec![Value::Int(1), Value::Int(3)],
            },
            Box::new(|v| [1, 3].contains(&v.size_gib.get())),
        ),
        (
            contains("name", "_"),
            Box::new(|v| v.name.as_ref().is_some_and(|name| name.contains('_'))),
        ),
        (
            contains("name", "%"),
            Box::new(|v| v.name.as_ref().is_some_and(|name| name.contains('%'))),
        ),
        (
            contains("name", "b"),
            Box::new(|v| v.name.as_ref().is_some_and(|name| name.contains('b'))),
        ),
        (
            contains("metadata", &json::pair_text("k", "v1")),
            Box::new(|v| v.metadata.get("k").is_some_and(|value| value == "v1")),
        ),
        (
            Filter {
                column: "name",
                comparison: Comparison::NotEqual,
                values: vec!["b".into()],
            },
            Box::new(|v| v.name.as_deref() != Some("b")),
        ),
        (
            Filter {
                column: "created_at",
                comparison: Comparison::GreaterOrEqual,
                values: vec!["2026-11-22T00:00:03".into()],
            },
            Box::new(|v| v.created_at.as_str() >= "2026-11-22T00:00:03"),
        ),
        (
            Filter {
                column: "size_gib",
                comparison: Comparison::Less,
                values: vec![Value::Int(3)],
            },
            Box::new(|v| v.size_gib.get() < 3),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    on_both(async |store| {
        let all = seed(store, 40).await;
        for (filter, lets_through) in cases() {
            let request = ListRequest {
                filters: vec![filter.clone()],
                limit: 1000,
                ..ListRequest::default()
            };
            let found = volumes::list(store, &request).await.unwrap();
            let wanted = all.iter().filter(|volume| lets_through(volume)).count();
            assert_eq!(found.len(), wanted, "{filter:?}");
            assert!(found.iter().all(&lets_through), "{filter:?}");
            let count = list::count(store, &volumes::SHAPE, &request).await.unwrap();
            assert_eq!(usize::try_from(count).unwrap(), wanted, "{filter:?}");
        }
        let foreign = ListRequest {
            filters: vec![Filter::equal("project_id", "p")],
            marker: all
                .iter()
                .find(|volume| volume.project_id == "q")
                .map(|volume| volume.id.to_string()),
            limit: 10,
            ..ListRequest::default()
        };
        assert!(matches!(
            volumes::list(store, &foreign).await,
            Err(ListError::NoSuchMarker { .. })
        ));
    })
    .await;
}

fn contains(column: &'static str, text: &str) -> Filter {
    Filter {
        column,
        comparison: Comparison::Contains,
        values: vec![text.into()],
    }
}
