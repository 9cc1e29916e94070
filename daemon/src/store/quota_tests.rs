//! Quotas on both engines: whose limit counts, that nobody gets past it, and what a migration counts.
#![cfg(test)]

use super::domain_tests::{on_both, seed};
use super::migrations::MIGRATIONS;
use super::quotas::{self, DEFAULT_CLASS, Of, Resource, recorded};
use super::{Batch, Sql, Store, StoreError};
use crate::model::id::VolumeTypeId;
use std::collections::BTreeMap;

async fn take(store: &Store, resource: Resource, amount: i64) -> bool {
    let mut batch = Batch::new();
    quotas::take(&mut batch, "p", resource, amount, 10);
    written(store, batch).await
}

async fn written(store: &Store, batch: Batch) -> bool {
    match store.write(batch).await {
        Ok(()) => true,
        Err(StoreError::Conflict { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn limit(store: &Store, resource: String, limit: i64) -> bool {
    let mut batch = Batch::new();
    quotas::set_limit(&mut batch, "p", resource, limit);
    written(store, batch).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projects_limit_comes_before_the_classes_and_that_before_the_configurations() {
    on_both(async |store| {
        let gigabytes = || recorded(Resource::Gigabytes, None);
        assert!(!take(store, Resource::Gigabytes, 11).await);
        let mut class = Batch::new();
        quotas::set_class_limit(&mut class, DEFAULT_CLASS, gigabytes(), 20);
        quotas::set_class_limit(&mut class, "gold", gigabytes(), 1);
        store.write(class).await.unwrap();
        assert!(take(store, Resource::Gigabytes, 11).await);
        assert!(!take(store, Resource::Gigabytes, 10).await);
        assert!(limit(store, gigabytes(), 30).await);
        assert!(take(store, Resource::Gigabytes, 19).await);
        assert!(!take(store, Resource::Gigabytes, 1).await);
        assert!(!limit(store, gigabytes(), 29).await);
        assert!(limit(store, gigabytes(), -1).await);
        assert!(take(store, Resource::Gigabytes, 1000).await);
        let (own, class) = quotas::of_project_and_class(store, "p", DEFAULT_CLASS)
            .await
            .unwrap();
        assert_eq!(own["gigabytes"].in_use, 1030);
        assert_eq!(own["gigabytes"].limit, Some(-1));
        assert_eq!(class["gigabytes"].limit, Some(20));
        let mut forget = Batch::new();
        quotas::forget_limits(&mut forget, "p");
        store.write(forget).await.unwrap();
        assert!(!take(store, Resource::Gigabytes, 1).await);
        let fits = async |size| {
            let mut batch = Batch::new();
            quotas::fits(&mut batch, "p", size, 5);
            written(store, batch).await
        };
        assert!(fits(5).await && !fits(6).await);
        assert!(limit(store, recorded(Resource::PerVolumeGigabytes, None), 6).await);
        assert!(fits(6).await && !fits(7).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_lowered_while_others_take_is_never_exceeded() {
    on_both(async |store| {
        let volumes = || recorded(Resource::Volumes, None);
        assert!(limit(store, volumes(), 100).await);
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..8 {
                        take(&store, Resource::Volumes, 1).await;
                    }
                })
            })
            .collect();
        let mut least = 100;
        for wanted in (0..60).rev() {
            if limit(store, volumes(), wanted).await {
                least = wanted;
            }
        }
        for taker in takers {
            taker.await.unwrap();
        }
        let used = quotas::usage(store, "p").await.unwrap()["volumes"];
        assert!(used <= least, "{used} in use, the limit is {least}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volumes_type_is_looked_up_when_it_is_counted() {
    on_both(async |store| {
        let volume = &seed(store, 1).await[0];
        let (project, id) = (volume.project_id.as_str(), volume.volume_type_id);
        let name = recorded(Resource::Gigabytes, Some(id));
        let take = async |of| {
            let mut batch = Batch::new();
            quotas::take_of_type(&mut batch, project, of, Resource::Gigabytes, 2);
            written(store, batch).await
        };
        let used = async || {
            let usage = quotas::usage(store, project).await.unwrap();
            usage.get(&name).copied().unwrap_or(0)
        };
        assert!(take(Of::Volume(volume.id)).await && take(Of::Type(id)).await);
        assert_eq!(used().await, 4);
        let mut limits = Batch::new();
        quotas::set_limit(&mut limits, project, name.clone(), 5);
        store.write(limits).await.unwrap();
        assert!(!take(Of::Volume(volume.id)).await && !take(Of::Type(id)).await);
        let mut back = Batch::new();
        quotas::give_back_of_type(
            &mut back,
            project,
            Of::Volume(volume.id),
            Resource::Gigabytes,
            3,
        );
        store.write(back).await.unwrap();
        assert_eq!(used().await, 1);
        let mut gone = Batch::new();
        quotas::forget_type(&mut gone, id);
        store.write(gone).await.unwrap();
        assert_eq!(used().await, 0);
    })
    .await;
}

const TYPES: [&str; 2] = [
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
    "67e55044-10b1-426f-9247-bb680e5fe0c9",
];

/// Four volumes and two snapshots in a record from before types were counted.
const OLDER: Sql = Sql {
    name: "test.older",
    text: "INSERT INTO volumes (id, project_id, user_id, size_gib, status, availability_zone, volume_type_id, \
           multiattach, bootable, metadata, created_at) \
           SELECT 'v' || n.n, n.project, 'u', n.size, 'available', 'nova', n.type, 0, 0, '{}', '2026' FROM ( \
             SELECT 1 AS n, 'p' AS project, 5 AS size, $1 AS type UNION ALL SELECT 2, 'p', 7, $1 \
             UNION ALL SELECT 3, 'p', 1, $2 UNION ALL SELECT 4, 'q', 2, $2) n",
};
const OLDER_SNAPSHOTS: Sql = Sql {
    name: "test.older_snapshots",
    text: "INSERT INTO snapshots (id, volume_id, project_id, user_id, size_gib, status, host, metadata, created_at) \
           SELECT 's' || v.id, v.id, 'q', 'u', v.size_gib, 'available', 'h', '{}', '2026' FROM volumes v \
           WHERE v.id IN ('v1', 'v4')",
};
const OLDER_TYPE: Sql = Sql {
    name: "test.older_type",
    text: "INSERT INTO volume_types (id, name, is_public, extra_specs, created_at) VALUES ($1, $1, 1, '{}', '2026')",
};

async fn fill(store: &Store) {
    let mut batch = Batch::new();
    for id in TYPES {
        batch.add(OLDER_TYPE, vec![id.into()]);
    }
    batch.add(OLDER, TYPES.map(Into::into).into());
    batch.add(OLDER_SNAPSHOTS, Vec::new());
    store.write(batch).await.unwrap();
}

async fn is_counted(store: &Store) {
    let [a, b] = TYPES.map(|id| id.parse::<VolumeTypeId>().unwrap());
    let line = |resource, id, amount| (recorded(resource, Some(id)), amount);
    let of_p: BTreeMap<String, i64> = [
        line(Resource::Volumes, a, 2),
        line(Resource::Gigabytes, a, 12),
        line(Resource::Volumes, b, 1),
        line(Resource::Gigabytes, b, 1),
    ]
    .into();
    assert_eq!(quotas::usage(store, "p").await.unwrap(), of_p);
    let of_q: BTreeMap<String, i64> = [
        line(Resource::Snapshots, a, 1),
        line(Resource::Gigabytes, a, 5),
        line(Resource::Volumes, b, 1),
        line(Resource::Snapshots, b, 1),
        line(Resource::Gigabytes, b, 4),
    ]
    .into();
    assert_eq!(quotas::usage(store, "q").await.unwrap(), of_q);
}

/// The migration's own statements, on rows that nobody counted: an older schema cannot be opened, since what watches the
/// tables is made for the newest.
#[tokio::test(flavor = "multi_thread")]
async fn the_migration_counts_by_type_what_is_there() {
    let mut counts: Vec<Sql> = Vec::new();
    for script in MIGRATIONS {
        let pieces = script.split(';').map(str::trim);
        let counting = pieces.filter(|piece| piece.starts_with("INSERT INTO quota_usages"));
        counts.extend(counting.map(|text| Sql {
            name: "test.counts",
            text,
        }));
    }
    assert_eq!(counts.len(), 3);
    on_both(async |store| {
        fill(store).await;
        let mut batch = Batch::new();
        for sql in &counts {
            batch.add(*sql, Vec::new());
        }
        store.write(batch).await.unwrap();
        is_counted(store).await;
    })
    .await;
}
