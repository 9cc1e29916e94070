//! Import a store: make the rows of all backups that lie in it and have none, out of what each says of itself. So a fresh
//! record takes over what an old one left: the owners' projects, names, times and parents come back as they were.
//!
//! Rows that are there are left alone, and no byte is touched. The rows are made in batches, each a commit with its part
//! of the quota and of the account, so that a crash in between repeats nothing; what was made stays, also after a cancel.
//! What is used is counted beyond any limit: the backups are there, and a limit is for new ones.

use super::backup_stores;
use super::begin::Beginning;
use super::edges::{engine_failed, engine_of};
use super::import_backup::row_of;
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, look_queue, only_for_admins, unreadable, unwritable};
use crate::backup::{Description, Stored};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::backup_store::{BackupStore, store_name};
use crate::model::caller::Caller;
use crate::model::id::{BackupId, OperationId};
use crate::model::operation::Verb;
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::store::quotas::{self, Resource};
use crate::store::{Batch, StoreError, backup_stores as stored, backups, journal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ImportStore,
    steps: &[Step {
        name: "rebuild",
        run: |job| Box::pin(rebuild(job)),
        undo: None,
        can_cancel: true,
    }],
    deadline: Duration::from_secs(24 * 3600), // A store with very many backups over a slow line.
    done: |_| Ok(Batch::new()),
    failed: |_| Ok(Batch::new()),
};

/// Rows that one commit makes.
const BATCH: usize = 100;
/// Backups whose row could not be made that are told of; the rest is only counted.
const REFUSED_MAX: usize = 100;

/// What an import came to; kept with the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The operation.
    pub operation_id: String,
    /// When the store was read.
    pub at: String,
    /// Backups that lie in the store.
    pub found: u64,
    /// Rows that were made.
    pub made: u64,
    /// Rows that were there already.
    pub already_there: u64,
    /// Backups whose row could not be made.
    pub refused: u64,
    /// Of these the first ones: which, and why.
    pub reasons: Vec<Reason>,
}

/// Why the row of a backup could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The backup.
    pub backup_id: String,
    /// In words.
    pub why: String,
}

impl Account {
    /// The account of the last import of a store.
    pub fn of(store: &BackupStore) -> Option<Self> {
        serde_json::from_str(store.import.as_deref()?).ok()
    }

    fn refuse(&mut self, id: BackupId, why: &str) {
        self.refused += 1;
        if self.reasons.len() < REFUSED_MAX {
            self.reasons.push(Reason {
                backup_id: id.to_string(),
                why: why.to_owned(),
            });
        }
    }
}

/// Accepts the request; the answer is the operation. `named` is `store` or `host@store`.
pub async fn begin(ctx: &Ctx, caller: &Caller, named: &str) -> Result<OperationId, Error> {
    only_for_admins(caller, "backup:export-import")?;
    let service = backup_stores::service_of(ctx, caller, named).await?;
    let beginning = Beginning::new(ctx, caller, Verb::ImportStore, &service.host);
    beginning.commit(look_queue(&service.host)).await
}

async fn rebuild(job: &Job) -> Result<Outcome, Error> {
    let (ctx, host) = (&job.ctx, job.operation.object_id.as_str());
    let read_at = Time::now();
    let told = engine_of(ctx, store_name(host))?.list().await;
    let told = told.map_err(|error| engine_failed("reading", &host, error))?;
    let mut account = Account {
        operation_id: job.operation.id.to_string(),
        at: read_at.as_str().to_owned(),
        found: told.len() as u64,
        made: made_before(job, host).await?,
        ..Account::default()
    };
    let before = account.made;
    for part in told.chunks(BATCH) {
        if job.work.is_cancelled() {
            return Err(Error::Cancelled);
        }
        import(job, part, &read_at, &mut account).await?;
    }
    // What a try made that was cut off was found to be there by this one.
    account.already_there = account.already_there.saturating_sub(before);
    tracing::info!(
        store = host,
        found = account.found,
        made = account.made,
        already_there = account.already_there,
        refused = account.refused,
        "backup store imported"
    );
    let mut outcome = Outcome::default();
    note(&mut outcome.also, host, &account);
    Ok(outcome)
}

/// What an earlier try of the same operation made.
async fn made_before(job: &Job, host: &str) -> Result<u64, Error> {
    let text = stored::import(&job.ctx.store, host).await;
    let text = text.map_err(unreadable)?;
    let account = text.and_then(|text| serde_json::from_str::<Account>(&text).ok());
    let ours = account.filter(|one| one.operation_id == job.operation.id.to_string());
    Ok(ours.map_or(0, |one| one.made))
}

fn note(batch: &mut Batch, host: &str, account: &Account) {
    let text = serde_json::to_string(account).unwrap_or_default();
    stored::set_import(batch, host, &text);
}

/// Makes the rows of a part that has none.
async fn import(
    job: &Job,
    part: &[(Description, Stored)],
    read_at: &Time,
    account: &mut Account,
) -> Result<(), Error> {
    let ids: Vec<BackupId> = part.iter().map(|(told, _)| told.id).collect();
    let there = backups::present(&job.ctx.store, &ids).await;
    let there: BTreeSet<BackupId> = there.map_err(unreadable)?;
    let mut missing = Vec::new();
    for (told, stored) in part {
        match row_of(told, &job.operation.object_id, &job.ctx.availability_zone) {
            _ if there.contains(&told.id) => account.already_there += 1,
            // As some of Cinder's.
            Ok(row) if row.project_id.is_empty() => account.refuse(
                told.id,
                "it does not say whose it is; imported by its record it belongs to who asks",
            ),
            Ok(row) => missing.push(whole(row, stored)),
            Err(why) => account.refuse(told.id, why),
        }
    }
    if missing.is_empty() || make(job, &missing, read_at, account).await? {
        return Ok(());
    }
    // One of them came or went meanwhile: each by itself.
    for row in &missing {
        if make(job, std::slice::from_ref(row), read_at, account).await? {
            continue;
        }
        let there = backups::present(&job.ctx.store, &[row.id]).await;
        match there.map_err(unreadable)?.is_empty() {
            false => account.already_there += 1,
            true => account.refuse(row.id, "it was deleted while the store was read"),
        }
    }
    Ok(())
}

/// The row of a backup that is whole in its store.
fn whole(row: Backup, stored: &Stored) -> Backup {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Backup {
        status: BackupStatus::Available,
        object_count: count(stored.objects),
        data_bytes: count(stored.data_bytes),
        added_bytes: count(stored.added_bytes),
        ..row
    }
}

/// Makes these rows, or none; whether it did.
async fn make(
    job: &Job,
    rows: &[Backup],
    read_at: &Time,
    account: &mut Account,
) -> Result<bool, Error> {
    let mut batch = Batch::new();
    for row in rows {
        backups::found(&mut batch, row, read_at);
        journal::enter(&mut batch, job.operation.id, &row.id.to_string());
        let (project, gigabytes) = (row.project_id.as_str(), row.size_gib.get());
        quotas::count(&mut batch, project, Resource::Backups, 1);
        quotas::count(&mut batch, project, Resource::BackupGigabytes, gigabytes);
    }
    let after = Account {
        made: account.made + rows.len() as u64,
        ..account.clone()
    };
    note(&mut batch, &job.operation.object_id, &after);
    match job.ctx.store.write(batch).await {
        Ok(()) => {
            account.made = after.made;
            Ok(true)
        }
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(unwritable(error)),
    }
}
