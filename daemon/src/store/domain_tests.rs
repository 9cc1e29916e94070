//! The nouns' statements on both engines, held against oracles written in Rust.
#![cfg(test)]

use super::batch::{Batch, Sql, StoreError};
use super::contract::{options, postgres_database};
use super::{PostgresOptions, SqliteOptions, Store, migrations};
use super::{attachments, exports, operations, quotas, snapshots, statuses, volume_types, volumes};
use crate::model::attachment::{AttachMode, Attachment};
use crate::model::id::{AttachmentId, OperationId, SnapshotId, VolumeId, VolumeTypeId};
use crate::model::operation::{Operation, Phase, Verb};
use crate::model::size::Gib;
use crate::model::snapshot::Snapshot;
use crate::model::status::{AttachmentStatus, SnapshotStatus, VolumeStatus, volume_status_from};
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::target::{Chap, Credentials};
use operations::{Mode, Place};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::time::Duration;

/// Runs a case on each engine that is there.
pub(super) async fn on_both(case: impl AsyncFn(&Store)) {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        migrations: migrations::MIGRATIONS,
        ..options()
    };
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    case(&store).await;
    store.close().await;
    if let Some(url) = postgres_database("C").await {
        let store = Store::open_postgres(&url, PostgresOptions::default())
            .await
            .unwrap();
        case(&store).await;
        store.close().await;
    }
}

fn volume_type() -> VolumeType {
    VolumeType {
        id: VolumeTypeId::random(),
        name: "fast".to_owned(),
        description: None,
        is_public: true,
        extra_specs: [("a".to_owned(), "<is> True".to_owned())].into(),
        qos_specs_id: None,
        encryption: None,
        created_at: Time::now(),
        updated_at: None,
    }
}

fn volume(volume_type: &VolumeType, number: i64) -> Volume {
    // Equal and missing values on purpose: they are what makes pages go wrong.
    let names = [
        None,
        Some("b"),
        Some("B"),
        Some("a_b"),
        Some("a%b"),
        Some("\u{e9}"),
        Some(""),
    ];
    let name = names[usize::try_from(number).unwrap() % names.len()];
    Volume {
        id: VolumeId::random(),
        project_id: if number % 3 == 0 { "p" } else { "q" }.to_owned(),
        user_id: "u".to_owned(),
        name: name.map(str::to_owned),
        description: None,
        size_gib: Gib::new(1 + number % 4).unwrap(),
        status: VolumeStatus::Available,
        host: None,
        availability_zone: "nova".to_owned(),
        volume_type_id: volume_type.id,
        volume_type: volume_type.name.clone(),
        snapshot_id: None,
        source_volid: None,
        multiattach: false,
        bootable: number % 2 == 0,
        metadata: [("k".to_owned(), format!("v{}", number % 5))].into(),
        readonly: None,
        image_metadata: Default::default(),
        created_at: Time::from_stored(format!("2026-11-22T00:00:{:02}.000000", number % 7)),
        updated_at: None,
    }
}

pub(super) async fn seed(store: &Store, count: i64) -> Vec<Volume> {
    let volume_type = volume_type();
    let mut batch = Batch::new();
    batch.add(
        volume_types::INSERT,
        volume_types::insert_values(&volume_type),
    );
    let volumes: Vec<Volume> = (0..count)
        .map(|number| volume(&volume_type, number))
        .collect();
    for volume in &volumes {
        batch.add(volumes::INSERT, volumes::insert_values(volume));
    }
    store.write(batch).await.unwrap();
    volumes
}

fn attachment(volume: &Volume, status: AttachmentStatus) -> Attachment {
    Attachment {
        id: AttachmentId::random(),
        volume_id: volume.id,
        project_id: volume.project_id.clone(),
        instance_uuid: None,
        attached_host: None,
        mountpoint: None,
        mode: AttachMode::ReadWrite,
        status,
        connector: None,
        attached_at: None,
        detached_at: None,
        created_at: Time::now(),
        updated_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volumes_status_is_what_its_attachments_say() {
    on_both(async |store| {
        // Every subset of the statuses that an attachment can have.
        let count = AttachmentStatus::ALL.len();
        let volumes = seed(store, 1 << count).await;
        for (subset, volume) in volumes.iter().enumerate() {
            let held: Vec<AttachmentStatus> = AttachmentStatus::ALL
                .iter()
                .enumerate()
                .filter(|(bit, _)| subset & (1 << bit) != 0)
                .map(|(_, status)| *status)
                .collect();
            let mut batch = Batch::new();
            for status in &held {
                let values = attachments::insert_values(&attachment(volume, *status));
                batch.add(attachments::INSERT, values);
            }
            statuses::from_attachments(&mut batch, &volume.id.to_string());
            store.write(batch).await.unwrap();
            let is = volumes::get(store, volume.id)
                .await
                .unwrap()
                .unwrap()
                .status;
            assert_eq!(is, volume_status_from(&held), "{held:?}");
        }
        // One in an error status keeps it.
        let id = volumes[0].id.to_string();
        let mut batch = Batch::new();
        let from = [VolumeStatus::Available];
        statuses::change(
            &mut batch,
            statuses::Noun::Volume,
            &id,
            &from,
            VolumeStatus::Error,
        );
        statuses::from_attachments(&mut batch, &id);
        store.write(batch).await.unwrap();
        let is = volumes::get(store, volumes[0].id)
            .await
            .unwrap()
            .unwrap()
            .status;
        assert_eq!(is, VolumeStatus::Error);
    })
    .await;
}

fn operation() -> Operation {
    Operation {
        id: OperationId::random(),
        verb: Verb::ExtendVolume,
        queue: "volume:h@b".to_owned(),
        phase: Phase::Queued,
        project_id: "p".to_owned(),
        user_id: "u".to_owned(),
        owner_id: "p".to_owned(),
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
            operations::is_free(&mut at_once, statuses::Noun::Volume, &id);
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

#[tokio::test(flavor = "multi_thread")]
async fn nouns_come_back_as_they_were_written() {
    on_both(async |store| {
        let volume = &seed(store, 1).await[0];
        assert_eq!(
            volumes::get(store, volume.id).await.unwrap().as_ref(),
            Some(volume)
        );
        let found = volume_types::find(store, "fast").await.unwrap().unwrap();
        assert!(
            volume_types::find(store, &found.id.to_string())
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(volume_types::find(store, "slow").await.unwrap(), None);

        let snapshot = Snapshot {
            id: SnapshotId::random(),
            volume_id: volume.id,
            project_id: "p".to_owned(),
            user_id: "u".to_owned(),
            name: Some("\u{1f980}".to_owned()),
            description: None,
            size_gib: volume.size_gib,
            status: SnapshotStatus::Available,
            host: "h@b#p".to_owned(),
            metadata: BTreeMap::new(),
            created_at: Time::now(),
            updated_at: None,
        };
        let mut batch = Batch::new();
        batch.add(snapshots::INSERT, snapshots::insert_values(&snapshot));
        store.write(batch).await.unwrap();
        assert_eq!(
            snapshots::of_volume(store, volume.id).await.unwrap(),
            std::slice::from_ref(&snapshot)
        );

        // Its volume cannot go before it: the record itself refuses.
        let mut batch = Batch::new();
        batch.guard(
            volumes::HAS_NO_SNAPSHOTS.name,
            volumes::HAS_NO_SNAPSHOTS,
            vec![volume.id.to_string().into()],
        );
        assert!(matches!(
            store.write(batch).await,
            Err(StoreError::Conflict { .. })
        ));
        let mut batch = Batch::new();
        batch.add(volumes::DELETE, vec![volume.id.to_string().into()]);
        assert!(store.write(batch).await.is_err());

        assert_eq!(exports::all(store).await.unwrap().len(), 0);
        let mut batch = Batch::new();
        quotas::take(&mut batch, "p", quotas::Resource::Gigabytes, 7, 7);
        store.write(batch.clone()).await.unwrap();
        assert!(matches!(
            store.write(batch).await,
            Err(StoreError::Conflict { guard: "gigabytes" })
        ));
        assert_eq!(
            quotas::usage(store, "p").await.unwrap().get("gigabytes"),
            Some(&7)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_back_and_stay_for_as_long_as_the_export() {
    on_both(async |store| {
        let volume_type = volume_type();
        let volumes = [1, 2].map(|number| volume(&volume_type, number));
        let mut batch = Batch::new();
        let values = volume_types::insert_values(&volume_type);
        batch.add(volume_types::INSERT, values);
        for volume in &volumes {
            batch.add(volumes::INSERT, volumes::insert_values(volume));
        }
        let [one_way, mut both] = ["alone", "also"].map(|user| Chap {
            user: user.to_owned(),
            secret: "host-secret".into(),
            mutual: None,
        });
        both.mutual = Some(Credentials {
            user: "target".to_owned(),
            secret: "target-secret".into(),
        });
        let insert = |batch: &mut Batch, volume: &Volume, chap: &Chap| {
            batch.add(exports::INSERT, exports::insert_values(volume.id, chap));
        };
        insert(&mut batch, &volumes[0], &one_way);
        insert(&mut batch, &volumes[1], &both);
        // Another host of each comes, and the configuration has changed since.
        insert(&mut batch, &volumes[0], &both);
        insert(&mut batch, &volumes[1], &one_way);
        store.write(batch).await.unwrap();

        let told = |row: &exports::ExportRow| {
            let mutual = row.chap.mutual.as_ref();
            let mutual = mutual.map(|one| (one.user.clone(), secret(&one.secret)));
            (row.chap.user.clone(), secret(&row.chap.secret), mutual)
        };
        let wanted = [
            ("alone".to_owned(), "host-secret".to_owned(), None),
            (
                "also".to_owned(),
                "host-secret".to_owned(),
                Some(("target".to_owned(), "target-secret".to_owned())),
            ),
        ];
        for (volume, wanted) in volumes.iter().zip(&wanted) {
            let row = exports::get(store, volume.id).await.unwrap().unwrap();
            assert_eq!(told(&row), *wanted);
            assert!(!format!("{row:?}").contains("-secret"), "{row:?}");
        }
        let all = exports::all(store).await.unwrap();
        assert!(all.iter().all(|row| wanted.contains(&told(row))));
    })
    .await;
}

fn secret(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// What the counters of pools must come to, and what they are, where the two differ.
const MISCOUNTED: Sql = Sql {
    name: "test.miscounted",
    text: "SELECT COALESCE(s.host, u.address) FROM (SELECT h.host, CAST(SUM(h.volumes) AS BIGINT) AS volumes, \
           CAST(SUM(h.gib) AS BIGINT) AS gib FROM (SELECT host, 1 AS volumes, size_gib AS gib FROM volumes \
           WHERE host IS NOT NULL UNION ALL SELECT host, 0, size_gib FROM snapshots) h GROUP BY h.host) s \
           FULL JOIN pool_usages u ON u.address = s.host \
           WHERE COALESCE(u.volumes, 0) <> COALESCE(s.volumes, 0) \
           OR COALESCE(u.volumes_gib + u.snapshots_gib, 0) <> COALESCE(s.gib, 0)",
};

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_counted_as_their_volumes_come_grow_move_and_go() {
    on_both(async |store| {
        let volumes = seed(store, 12).await;
        for (number, volume) in volumes.iter().enumerate() {
            let id = || volume.id.to_string().into();
            let now = || Time::now().as_str().into();
            let mut batch = Batch::new();
            let pool = format!("h@b#{}", number % 3);
            batch.add(volumes::SET_HOST, vec![id(), pool.into(), now()]);
            if number % 2 == 0 {
                batch.add(volumes::SET_SIZE, vec![id(), 100.into(), now()]);
            }
            if number % 4 == 0 {
                batch.add(volumes::SET_HOST, vec![id(), "h@b#moved".into(), now()]);
            }
            if number % 5 == 0 {
                batch.add(volumes::DELETE, vec![id()]);
            }
            store.write(batch).await.unwrap();
            let wrong = store
                .rows(super::Query::of(MISCOUNTED, Vec::new()))
                .await
                .unwrap();
            assert_eq!(wrong, [], "after volume {number}");
        }
        let held = super::Query::of(
            Sql {
                name: "test.held",
                text: "SELECT CAST(SUM(volumes) AS BIGINT) FROM pool_usages",
            },
            Vec::new(),
        );
        assert_eq!(store.row(held).await.unwrap().unwrap().int(0).unwrap(), 9);
    })
    .await;
}
