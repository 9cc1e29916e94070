//! Import a backup: make the row of what lies in a store already, from a record that [`export_backup`] wrote, or Cinder.
//!
//! `begin` makes the row from the record, for the project that asks. The step looks into the store: what that says of the
//! backup counts, and one that is not there ends in `error`. Cinder's record does not name a store of ours: it is sent to
//! the one that was Cinder's.

use super::backup_stores::{self, Wanted};
use super::begin::Beginning;
use super::edges::{engine_failed, engine_of};
use super::export_backup::{self, Record};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, backup_queue, cinder_record, create_backup, only_for_admins};
use crate::backup::{BackupError, Description};
use crate::error::Error;
use crate::model::backup::{Backup, StoreKind};
use crate::model::backup_store::store_name;
use crate::model::caller::Caller;
use crate::model::operation::Verb;
use crate::model::service::Service;
use crate::model::size::Gib;
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::store::json::map_text;
use crate::store::quotas::Resource;
use crate::store::{Batch, backups};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ImportBackup,
    steps: &[Step {
        name: "find",
        run: |job| Box::pin(find(job)),
        undo: None,
        can_cancel: true,
    }],
    deadline: Duration::from_secs(3600), // A store with many backups over a slow line.
    done: |_| Ok(Batch::new()),
    failed: create_backup::failed,
};

/// Accepts the request; the answer is the backup as recorded.
pub async fn begin(ctx: &Ctx, caller: &Caller, service: &str, text: &str) -> Result<Backup, Error> {
    only_for_admins(caller, "backup:export-import")?;
    let (told, found) = if service == export_backup::SERVICE {
        let record = Record::read(text);
        let record =
            record.ok_or_else(|| unreadable_record("it is not one that was exported here"))?;
        let wanted = Wanted {
            store: Some(&record.store),
            ..Wanted::default()
        };
        (record.backup, backup_stores::find(ctx, wanted).await?)
    } else if cinder_record::is_service(service) {
        let told = cinder_record::read(text).map_err(|why| unreadable_record(&why))?;
        (told, backup_stores::of_kind(ctx, StoreKind::Cinder).await?)
    } else {
        return Err(unreadable_record(
            "only those of the service \"ashlar\" and of Cinder's posix, NFS and GlusterFS drivers can be read",
        ));
    };
    let backup = new_row(caller, &told, &found)?;
    let mut beginning = Beginning::new(ctx, caller, Verb::ImportBackup, &backup.id);
    let (project, gigabytes) = (&caller.project_id, backup.size_gib.get());
    beginning.takes_in_all(project, Resource::Backups, 1);
    beginning.takes_in_all(project, Resource::BackupGigabytes, gigabytes);
    beginning.makes_backup(&backup);
    beginning.commit(backup_queue(&found.host)).await?;
    Ok(backup)
}

fn unreadable_record(why: &str) -> Error {
    Error::Invalid {
        field: "backup-record".to_owned(),
        why: format!("Can't parse backup record: {why}."),
    }
}

fn new_row(caller: &Caller, told: &Description, service: &Service) -> Result<Backup, Error> {
    let told = row_of(told, &service.host, &service.availability_zone);
    let told = told.map_err(unreadable_record)?;
    Ok(Backup {
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        created_at: Time::now(),
        ..told
    })
}

/// The row of a backup in the store of the service `host`, as it says of itself; else what of that cannot be read.
pub(super) fn row_of(told: &Description, host: &str, zone: &str) -> Result<Backup, &'static str> {
    let time = |text: &str| Time::read(text).ok_or("its times are none");
    Ok(Backup {
        id: told.id,
        project_id: told.project_id.clone(),
        user_id: told.user_id.clone(),
        volume_id: (told.volume.id.parse()).map_err(|_| "the id of its volume is none")?,
        snapshot_id: snapshot_id(told),
        parent_id: told.parent_id,
        name: told.name.clone(),
        description: told.description.clone(),
        metadata: told.metadata.clone(),
        size_gib: size(told).ok_or("no volume has its size")?,
        status: BackupStatus::Creating,
        store: store_name(host).to_owned(),
        host: host.to_owned(),
        availability_zone: zone.to_owned(),
        fail_reason: None,
        object_count: 0,
        data_bytes: 0,
        added_bytes: 0,
        data_timestamp: time(&told.data_timestamp)?,
        volume: told.volume.clone(),
        restored_volume_id: None,
        verified: None,
        proven_at: None,
        created_at: time(&told.created_at)?,
        updated_at: None,
        set_id: None,
    })
}

fn size(told: &Description) -> Option<Gib> {
    Gib::new(i64::try_from(told.volume.size_gib).ok()?)
}

fn snapshot_id<T: std::str::FromStr>(told: &Description) -> Option<T> {
    told.snapshot_id.as_ref()?.parse().ok()
}

async fn find(job: &Job) -> Result<Outcome, Error> {
    let backup = job.backup().await?;
    let failed = |error| engine_failed("finding", &backup.id, error);
    let engine = engine_of(&job.ctx, &backup.store)?;
    let mut all = engine.list().await.map_err(failed)?.into_iter();
    let found = all.find(|(told, _)| told.id == backup.id);
    let (mut told, stored) = found.ok_or_else(|| {
        failed(BackupError::Absent {
            backup: backup.id.to_string(),
            store: backup.store.clone(),
        })
    })?;
    // What quota was taken for must be what is there.
    if size(&told) != Some(backup.size_gib) {
        let why = format!("{} is of another size there than in the record", backup.id);
        let store = backup.store.clone();
        return Err(failed(BackupError::Damaged { store, why }));
    }
    if engine.kind() == StoreKind::Cinder {
        // Cinder's record says more of these than its store.
        told.metadata = backup.metadata;
        told.snapshot_id = backup.snapshot_id.map(|id| id.to_string());
        told.data_timestamp = backup.data_timestamp.as_str().to_owned();
    }
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut outcome = Outcome::default();
    let id = backup.id.to_string();
    let snapshot_id: Option<crate::model::id::SnapshotId> = snapshot_id(&told);
    outcome.also.add(
        backups::DESCRIBE,
        vec![
            id.as_str().into(),
            told.name.clone().into(),
            told.description.clone().into(),
            map_text(&told.metadata).into(),
            told.volume.id.as_str().into(),
            snapshot_id.map(|id| id.to_string()).into(),
            told.parent_id.map(|id| id.to_string()).into(),
            told.data_timestamp.as_str().into(),
            backups::volume_text(&told.volume).into(),
        ],
    );
    let values = vec![
        id.into(),
        count(stored.objects).into(),
        count(stored.data_bytes).into(),
        count(stored.added_bytes).into(),
    ];
    outcome.also.add(backups::SET_STORED, values);
    Ok(outcome)
}
