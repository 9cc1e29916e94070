//! Import a backup: make the row of what lies in a store already, from a record that [`export_backup`] wrote.
//!
//! `begin` makes the row from the record, for the project that asks. The step looks into the store: what that says of the
//! backup counts, and one that is not there ends in `error`.

use super::backup_stores::{self, Wanted};
use super::begin::Beginning;
use super::edges::{engine_failed, engine_of};
use super::export_backup::{self, Record};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, backup_queue, create_backup, only_for_admins};
use crate::backup::{BackupError, Description};
use crate::error::Error;
use crate::model::backup::Backup;
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
    let record = Record::read(text).filter(|_| service == export_backup::SERVICE);
    let record = record.ok_or_else(|| unreadable_record(service))?;
    let wanted = Wanted {
        store: Some(&record.store),
        ..Wanted::default()
    };
    let found = backup_stores::find(ctx, wanted).await?;
    let backup = new_row(caller, &record, &found)?;
    let mut beginning = Beginning::new(ctx, caller, Verb::ImportBackup, &backup.id);
    let (project, gigabytes) = (&caller.project_id, backup.size_gib.get());
    beginning.takes_in_all(project, Resource::Backups, 1);
    beginning.takes_in_all(project, Resource::BackupGigabytes, gigabytes);
    beginning.makes_backup(&backup);
    beginning.commit(backup_queue(&found.host)).await?;
    Ok(backup)
}

fn unreadable_record(service: &str) -> Error {
    let why = match service {
        export_backup::SERVICE => {
            "Can't parse backup record: it is not one that was exported here."
        }
        _ => "only records of the service \"ashlar\" can be read",
    };
    Error::Invalid {
        field: "backup-record".to_owned(),
        why: why.to_owned(),
    }
}

fn new_row(caller: &Caller, record: &Record, service: &Service) -> Result<Backup, Error> {
    let told = &record.backup;
    let (Some(size_gib), Ok(volume_id)) = (size(told), told.volume.id.parse()) else {
        return Err(unreadable_record(export_backup::SERVICE));
    };
    Ok(Backup {
        id: told.id,
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        volume_id,
        snapshot_id: snapshot_id(told),
        parent_id: told.parent_id,
        name: told.name.clone(),
        description: told.description.clone(),
        metadata: told.metadata.clone(),
        size_gib,
        status: BackupStatus::Creating,
        store: record.store.clone(),
        host: service.host.clone(),
        availability_zone: service.availability_zone.clone(),
        fail_reason: None,
        object_count: 0,
        data_bytes: 0,
        added_bytes: 0,
        data_timestamp: Time::from_stored(told.data_timestamp.clone()),
        volume: told.volume.clone(),
        restored_volume_id: None,
        created_at: Time::now(),
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
    let all = engine_of(&job.ctx, &backup.store)?.list().await;
    let mut all = all.map_err(failed)?.into_iter();
    let found = all.find(|(told, _)| told.id == backup.id);
    let (told, stored) = found.ok_or_else(|| {
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
