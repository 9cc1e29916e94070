//! The journal on both engines: what stands in which, and what its retention removes and what never.
#![cfg(test)]

use super::domain_tests::{on_both, seed};
use super::list::ListRequest;
use super::operations::{self, INSERT_PLACEMENT, Mode, StepRecord};
use super::statuses::Noun;
use super::{Batch, Store, journal};
use crate::model::id::{OperationId, VolumeId};
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::time::Time;
use std::time::Duration;

/// More than a test makes.
const ALL: i64 = 10_000;

fn operation(object_id: VolumeId) -> Operation {
    Operation {
        id: OperationId::random(),
        verb: Verb::ExtendVolume,
        queue: "q".to_owned(),
        phase: Phase::Queued,
        project_id: "admins".to_owned(),
        user_id: "u".to_owned(),
        owner_id: "p".to_owned(),
        request_id: "req-1".to_owned(),
        object_id: object_id.to_string(),
        input: "{}".to_owned(),
        steps_done: 0,
        bytes_done: 0,
        bytes_total: 0,
        cancel_requested: false,
        error: None,
        created_at: Time::now(),
        finished_at: None,
        deadline_at: Time::now(),
    }
}

/// Begins an operation, with a step, a placement of its object and an entry in another object's journal.
async fn begin(store: &Store, object_id: VolumeId, beside: &str) -> Operation {
    let operation = operation(object_id);
    let mut batch = Batch::new();
    operations::insert(&mut batch, &operation);
    journal::enter(&mut batch, operation.id, beside);
    let values = vec![
        object_id.to_string().into(),
        operation.id.to_string().into(),
        "{}".into(),
        Time::now().as_str().into(),
    ];
    batch.add(INSERT_PLACEMENT, values);
    let step = StepRecord {
        position: 0,
        name: "one".to_owned(),
        direction: "do".to_owned(),
        started_at: Time::now(),
        finished_at: Time::now(),
    };
    operations::record_step(&mut batch, &operation, &step);
    store.write(batch).await.unwrap();
    operation
}

async fn end(store: &Store, operation: &Operation) {
    let mut batch = Batch::new();
    operations::finish(&mut batch, operation.id, Phase::Failed, Some("no"));
    store.write(batch).await.unwrap();
}

async fn is_there(store: &Store, operation: &Operation) -> bool {
    let found = operations::get(store, operation.id).await.unwrap();
    let steps = operations::steps(store, operation.id).await.unwrap();
    assert_eq!(found.is_some(), !steps.is_empty(), "both or none");
    found.is_some()
}

async fn journal_of(store: &Store, object_id: &str, project_id: Option<&str>) -> Vec<OperationId> {
    let mut filters = vec![journal::of_object(object_id)];
    filters.extend(project_id.map(journal::of_project));
    let request = ListRequest {
        filters,
        limit: 100,
        ..ListRequest::default()
    };
    let found = operations::list(store, &request).await.unwrap();
    found.iter().map(|operation| operation.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_stands_in_the_journal_of_each_of_its_objects() {
    on_both(async |store| {
        let volume = seed(store, 1).await.remove(0);
        let id = volume.id.to_string();
        let first = begin(store, volume.id, "s").await;
        let second = begin(store, volume.id, "t").await;
        assert_eq!(
            journal_of(store, &id, None).await,
            [second.id, first.id],
            "newest first"
        );
        assert_eq!(journal_of(store, "s", None).await, [first.id]);
        // Whoever began it, and whose the object was; nobody else.
        assert_eq!(journal_of(store, "s", Some("p")).await, [first.id]);
        assert_eq!(journal_of(store, "s", Some("admins")).await, [first.id]);
        assert_eq!(journal_of(store, "s", Some("q")).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_over_and_old_goes_with_all_that_is_its_own() {
    on_both(async |store| {
        let volume = seed(store, 1).await.remove(0);
        let gone = VolumeId::random();
        let (live, over, of_gone) = (
            begin(store, volume.id, "s").await,
            begin(store, volume.id, "s").await,
            begin(store, gone, "s").await,
        );
        let mut claim = Batch::new();
        let id = volume.id.to_string();
        operations::claim(&mut claim, live.id, Noun::Volume, &id, Mode::Exclusive);
        store.write(claim).await.unwrap();
        end(store, &over).await;
        end(store, &of_gone).await;
        let young = Time::before(Duration::from_secs(3600));
        assert!(!journal::prune(store, ALL, &young).await.unwrap());
        assert!(is_there(store, &over).await && is_there(store, &of_gone).await);
        let placement = operations::placement(store, gone).await.unwrap();
        assert!(placement.is_some());

        let old = Time::after(Duration::from_secs(3600));
        assert!(!journal::prune(store, ALL, &old).await.unwrap());
        assert!(!is_there(store, &over).await && !is_there(store, &of_gone).await);
        assert_eq!(operations::placement(store, gone).await.unwrap(), None);
        let kept = operations::placement(store, volume.id).await.unwrap();
        assert!(kept.is_some(), "the volume is there");
        assert_eq!(journal_of(store, "s", None).await, [live.id]);
        assert!(is_there(store, &live).await);
        let holder = operations::holder(store, &id).await.unwrap();
        assert_eq!(holder.map(|one| one.0), Some(live.id.to_string()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_go_in_pieces_when_there_are_too_many() {
    on_both(async |store| {
        let volume = seed(store, 1).await.remove(0);
        let never = Time::from_stored("2000-01-01T00:00:00.000000".to_owned());
        let begun = begin(store, volume.id, "s").await;
        let mut many = Batch::new();
        let mut ids = Vec::new();
        for number in 0..=journal::PRUNE_PIECE {
            let at = Time::from_stored(format!("2026-11-22T18:00:00.{number:06}"));
            let one = Operation {
                phase: Phase::Done,
                finished_at: Some(at.clone()),
                created_at: at,
                ..operation(volume.id)
            };
            ids.push(one.id);
            operations::insert(&mut many, &one);
        }
        store.write(many).await.unwrap();
        assert!(!journal::prune(store, ALL, &never).await.unwrap());
        let keep = 1;
        assert!(
            journal::prune(store, keep, &never).await.unwrap(),
            "a piece"
        );
        assert!(!journal::prune(store, keep, &never).await.unwrap());
        let left = journal_of(store, &volume.id.to_string(), None).await;
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&begun.id) && left.contains(ids.last().unwrap()));
    })
    .await;
}
