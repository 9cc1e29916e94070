//! Operations in the record: who holds what, and what a queue shows.

use super::{on_both, seed};
use crate::model::id::OperationId;
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::batch::{Batch, Sql, StoreError};
use crate::store::operations::{Mode, Place};
use crate::store::{Store, operations, statuses, volumes};
use std::time::Duration;

fn operation() -> Operation {
    Operation {
        id: OperationId::random(),
        verb: Verb::ExtendVolume,
        queue: "volume:h@b".to_owned(),
        phase: Phase::Queued,
        project_id: "p".to_owned(),
        request_id: "req-1".to_owned(),
        object_id: "o".to_owned(),
        input: "{}".to_owned(),
        steps_done: 0,
        bytes_done: 0,
        bytes_total: 0,
        cancel_requested: false,
        error: None,
        created_at: Time::now(),
        finished_at: None,
        deadline_at: Time::after(Duration::from_secs(60)),
    }
}

fn claiming(volume: &Volume, mode: Mode) -> (OperationId, Batch) {
    let operation = operation();
    let mut batch = Batch::new();
    operations::insert(&mut batch, &operation);
    operations::claim(
        &mut batch,
        operation.id,
        statuses::Noun::Volume,
        &volume.id.to_string(),
        mode,
    );
    (operation.id, batch)
}

async fn live(store: &Store, limit: usize) -> operations::Part {
    operations::live(store, "volume:h@b", &Place::default(), limit)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_another_version_does_not_hide_the_rest_of_its_queue() {
    const FOREIGN: Sql = Sql {
        name: "test.foreign",
        text: "UPDATE operations SET verb = 'sing' WHERE id = $1",
    };
    on_both(async |store| {
        let mut wanted = Vec::new();
        for number in 0..5 {
            let operation = operation();
            let mut batch = Batch::new();
            operations::insert(&mut batch, &operation);
            if number < 3 {
                batch.add(FOREIGN, vec![operation.id.to_string().into()]);
            } else {
                wanted.push(operation.id);
            }
            store.write(batch).await.unwrap();
        }
        let (mut found, mut unreadable) = (Vec::new(), 0);
        let mut after = Some(Place::default());
        while let Some(from) = after {
            let part = operations::live(store, "volume:h@b", &from, 2)
                .await
                .unwrap();
            found.extend(part.operations.iter().map(|one| one.id));
            unreadable += part.unreadable.len();
            after = part.next;
        }
        found.sort();
        wanted.sort();
        assert_eq!((found, unreadable), (wanted, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_at_once_never_overtakes_a_claim() {
    let named = |batch: &mut Batch, id: &str, name: &str| {
        let values = vec![id.into(), name.into(), Time::now().as_str().into()];
        batch.add(volumes::SET_NAME, values);
    };
    on_both(async |store| {
        for volume in seed(store, 40).await {
            let id = volume.id.to_string();
            let mut claims = claiming(&volume, Mode::Exclusive).1;
            named(&mut claims, &id, "claimed");
            let mut at_once = Batch::new();
            operations::is_free(&mut at_once, &id);
            named(&mut at_once, &id, "changed");
            let (claims, at_once) = tokio::join!(store.write(claims), store.write(at_once));
            claims.unwrap();
            let _first_or_refused = at_once;
            let is = volumes::get(store, volume.id).await.unwrap().unwrap().name;
            assert_eq!(is.as_deref(), Some("claimed"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_exclude_each_other_and_end_with_their_operation() {
    on_both(async |store| {
        let volume = &seed(store, 1).await[0];
        let held = |result: Result<(), StoreError>| {
            matches!(result, Err(StoreError::Conflict { guard: "claim" }))
        };
        let (reader, batch) = claiming(volume, Mode::Shared);
        store.write(batch).await.unwrap();
        store.write(claiming(volume, Mode::Shared).1).await.unwrap();
        assert!(held(store.write(claiming(volume, Mode::Exclusive).1).await));
        let holder = operations::holder(store, &volume.id.to_string())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(holder.1, "extend_volume");

        for id in live(store, 10).await.operations.iter().map(|one| one.id) {
            let mut batch = Batch::new();
            operations::finish(&mut batch, id, Phase::Done, None);
            store.write(batch).await.unwrap();
        }
        assert!(operations::get(store, reader).await.unwrap().unwrap().phase == Phase::Done);
        assert_eq!(live(store, 10).await.operations, []);

        // Of many that want it at once, just one has it.
        let racing: Vec<_> = (0..16)
            .map(|_| {
                let (store, batch) = (store.clone(), claiming(volume, Mode::Exclusive).1);
                tokio::spawn(async move { store.write(batch).await })
            })
            .collect();
        let mut winners = 0;
        for task in racing {
            match task.await.unwrap() {
                Ok(()) => winners += 1,
                result => assert!(held(result)),
            }
        }
        assert_eq!(winners, 1);
    })
    .await;
}
