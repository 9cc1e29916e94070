//! Events on both engines: each committed change leaves one, in the order of commits, and nothing else does.
#![cfg(test)]

use super::domain_tests::{on_both, seed};
use super::events::{self, Event, Span};
use super::{Batch, Store, operations, volume_types, volumes, watched};
use crate::model::id::{OperationId, VolumeId, VolumeTypeId};
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::store::statuses::{self, Noun};
use std::time::Duration;

/// What happened since, in short.
async fn since(store: &Store, id: i64) -> Vec<(String, String, String)> {
    let (events, _) = events::after(store, id, 1000).await.unwrap();
    let short = |event: Event| (event.kind, event.change, event.status.unwrap_or_default());
    events.into_iter().map(short).collect()
}

fn told(kind: &str, change: &str, status: &str) -> (String, String, String) {
    (kind.to_owned(), change.to_owned(), status.to_owned())
}

fn status_to(volume: &Volume, to: VolumeStatus) -> Batch {
    let mut batch = Batch::new();
    let id = volume.id.to_string();
    statuses::change(&mut batch, Noun::Volume, &id, VolumeStatus::ALL, to);
    batch
}

fn operation(volume: &Volume) -> Operation {
    Operation {
        id: OperationId::random(),
        verb: Verb::ExtendVolume,
        queue: "q".to_owned(),
        phase: Phase::Queued,
        project_id: "p".to_owned(),
        user_id: "u".to_owned(),
        owner_id: "p".to_owned(),
        request_id: "req-1".to_owned(),
        object_id: volume.id.to_string(),
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

#[tokio::test(flavor = "multi_thread")]
async fn a_change_leaves_one_event_and_nothing_else_does() {
    on_both(async |store| {
        let volume = seed(store, 1).await.remove(0);
        let at = events::span(store).await.unwrap().newest;
        store
            .write(status_to(&volume, VolumeStatus::Deleting))
            .await
            .unwrap();
        // The same status again is no change; a guard that fails takes its event with it.
        store
            .write(status_to(&volume, VolumeStatus::Deleting))
            .await
            .unwrap();
        let mut failing = status_to(&volume, VolumeStatus::Error);
        failing.guard(
            "no",
            volumes::DELETE,
            vec![VolumeId::random().to_string().into()],
        );
        store.write(failing).await.unwrap_err();
        let mut begin = Batch::new();
        let operation = operation(&volume);
        operations::insert(&mut begin, &operation);
        // Locks the volume's row by writing it as it is.
        let id = volume.id.to_string();
        operations::claim(
            &mut begin,
            operation.id,
            Noun::Volume,
            &id,
            operations::Mode::Shared,
        );
        store.write(begin).await.unwrap();
        store
            .write(operations::progress(operation.id, 5, 10, 1))
            .await
            .unwrap();
        let mut gone = Batch::new();
        gone.add(volumes::DELETE, vec![id.as_str().into()]);
        store.write(gone).await.unwrap();
        let wanted = [
            told("volume", "changed", "deleting"),
            told("operation", "created", "queued"),
            told("volume", "deleted", ""),
        ];
        assert_eq!(since(store, at).await, wanted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_know_hears_that_it_is_gone() {
    on_both(async |store| {
        let volume_type = VolumeType {
            id: VolumeTypeId::random(),
            name: "secret".to_owned(),
            description: None,
            is_public: true,
            extra_specs: Default::default(),
            qos_specs_id: None,
            encryption: None,
            created_at: Time::now(),
            updated_at: None,
        };
        let at = events::span(store).await.unwrap().newest;
        let mut batch = Batch::new();
        let values = volume_types::insert_values(&volume_type);
        batch.add(volume_types::INSERT_IF_ABSENT, values);
        store.write(batch).await.unwrap();
        let mut batch = Batch::new();
        let values = vec![
            volume_type.id.to_string().into(),
            0.into(),
            Time::now().as_str().into(),
        ];
        batch.add(volume_types::SET_PUBLIC, values);
        store.write(batch).await.unwrap();
        let (events, _) = events::after(store, at, 10).await.unwrap();
        let heard: Vec<_> = events
            .iter()
            .map(|event| (event.audience.as_str(), event.change.as_str()))
            .collect();
        assert_eq!(heard, [("*", "created"), ("*", "deleted"), ("", "changed")]);
    })
    .await;
}

/// Eight writers, and a reader that follows: it sees every id once, in order, whatever was committed when.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_follows_misses_nothing() {
    const WRITERS: usize = 8;
    const CHANGES: i64 = 40;
    on_both(async |store| {
        let volumes = seed(store, 8).await;
        let start = events::span(store).await.unwrap().newest;
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (store, volume) = (store.clone(), volumes[number].clone());
                tokio::spawn(async move {
                    for turn in 0..CHANGES {
                        let to = [VolumeStatus::Available, VolumeStatus::Error];
                        let to = to[usize::try_from(turn % 2).unwrap()];
                        let mut batch = status_to(&volume, VolumeStatus::Deleting);
                        batch.extend(status_to(&volume, to));
                        store.write(batch).await.unwrap();
                    }
                })
            })
            .collect();
        let all = i64::try_from(WRITERS).unwrap() * CHANGES * 2;
        let mut at = start;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while at < start + all {
            assert!(tokio::time::Instant::now() < deadline, "only {at} of {all}");
            let (found, span) = events::after(store, at, 100).await.unwrap();
            for event in found {
                assert_eq!(event.id, at + 1, "an id was passed over");
                at = event.id;
            }
            assert!(span.newest >= at);
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(events::span(store).await.unwrap().newest, start + all);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_is_bounded_and_keeps_the_newest() {
    on_both(async |store| {
        let volume = seed(store, 1).await.remove(0);
        for turn in 0..20 {
            let to = [VolumeStatus::Available, VolumeStatus::Error][turn % 2];
            store.write(status_to(&volume, to)).await.unwrap();
        }
        let before = events::span(store).await.unwrap();
        let long_ago = Time::from_stored("2000-01-01T00:00:00.000000".to_owned());
        while events::prune(store, 5, &long_ago).await.unwrap() {}
        let newest = before.newest;
        let kept = Span {
            oldest: newest - 4,
            newest,
        };
        assert_eq!(events::span(store).await.unwrap(), kept);
        assert!(kept.reaches(newest) && kept.reaches(newest - 5));
        assert!(!kept.reaches(newest - 6) && !kept.reaches(newest + 1));
        while events::prune(store, 5, &Time::after(Duration::from_secs(60)))
            .await
            .unwrap()
        {}
        let last = Span {
            oldest: newest,
            newest,
        };
        assert_eq!(events::span(store).await.unwrap(), last);
        store
            .write(status_to(&volume, VolumeStatus::Deleting))
            .await
            .unwrap();
        assert_eq!(events::span(store).await.unwrap().newest, newest + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_watched_table_has_its_triggers() {
    let dir = tempfile::tempdir().unwrap();
    let options = super::SqliteOptions::default();
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    let text = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'event_%'";
    let query = super::Query {
        text: text.into(),
        values: Vec::new(),
    };
    let found = store.row(query).await.unwrap().unwrap().int(0).unwrap();
    assert_eq!(usize::try_from(found).unwrap(), 3 * watched::WATCHED.len());
}
