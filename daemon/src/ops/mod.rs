//! VERBS: one file = one operation = `begin` in the request + the steps of its `PLAN` in the worker.
//!
//! Everything done in the background is first a row: `begin` writes the operation, the status it implies, its claims
//! and its quota in one transaction and answers; the worker then does the plan's steps one by one, recording each.
//! An operation that needs no step (a reservation) is recorded as done in the same transaction.
//!
//! ```text
//!            begin                    worker                                    row when over
//! request ---------> [queued] ---> do step 1 -> record -> ... -> do step n ---> [done]
//!                                      | a step fails, or somebody cancels
//!                                      +-> undo n .. 1, each recorded --------> [failed] or [cancelled]
//! ```
//!
//! A crash at any instant leaves a row from which the same code goes on: steps repeat or undo, and what is already
//! so is success. `ops` sees the edges' traits and never a concrete driver or target; it knows no HTTP.

mod adoption;
mod begin;
mod cinder_record;
mod connect;
mod doorbell;
mod edges;
mod faults;
mod gate;
mod journal;
mod let_go;
mod moving;
mod steps;
mod tests;
mod wait;
mod worker;

pub mod accept_transfer;
pub mod attach_volume;
pub mod backup_calendar;
pub mod backup_queue;
pub mod backup_sets;
pub mod backup_stores;
pub mod begin_detaching;
pub mod complete_attachment;
pub mod create_attachment;
pub mod create_backup;
pub mod create_snapshot;
pub mod create_transfer;
pub mod create_volume;
pub mod delete_attachment;
pub mod delete_backup;
pub mod delete_snapshot;
pub mod delete_transfer;
pub mod delete_volume;
pub mod detach_volume;
pub mod drill_backup;
pub mod export_backup;
pub mod extend_volume;
pub mod force_detach;
pub mod heartbeat;
pub mod history;
pub mod import_backup;
pub mod import_store;
pub mod initialize_connection;
pub mod list_manageable;
pub mod manage_snapshot;
pub mod manage_volume;
pub mod measure;
pub mod messages;
pub mod plan_backup_set;
pub mod prune;
pub mod qos_specs;
pub mod quotas;
pub mod recover;
pub mod report_pools;
pub mod report_store;
pub mod reserve_volume;
pub mod reset_backup_status;
pub mod reset_snapshot_status;
pub mod reset_volume_status;
pub mod restore_backup;
pub mod retain_backups;
pub mod retry;
pub mod retype_volume;
pub mod revert_volume;
pub mod roll_detaching;
pub mod run_backup_sets;
pub mod services;
pub mod sessions;
pub mod set_metadata;
pub mod stuck;
pub mod terminate_connection;
pub mod tokens;
pub mod type_access;
pub mod type_encryption;
pub mod unmanage_snapshot;
pub mod unmanage_volume;
pub mod unreserve_volume;
pub mod update_attachment;
pub mod update_backup;
pub mod update_readonly;
pub mod update_snapshot;
pub mod update_volume;
pub mod verify_backup;
pub mod volume_types;

pub use connect::{Connected, connected};
pub use doorbell::Doorbell;
pub use faults::Faults;
pub use gate::Gate;
pub use journal::{cancel, get_operation};
pub use let_go::DetachPolicy;
pub use steps::Plan;
pub use worker::{Queue, run_worker};

use crate::backup::BackupEngine;
use crate::driver::Driver;
use crate::error::Error;
use crate::model::caller::{Caller, Role};
use crate::model::id::{AttachmentId, BackupId, SnapshotId, TransferId, VolumeId};
use crate::model::operation::Verb;
use crate::model::{
    attachment::Attachment, backup::Backup, snapshot::Snapshot, transfer::Transfer, volume::Volume,
};
use crate::store::quotas::Resource;
use crate::store::{Store, StoreError, attachments, backups, snapshots, transfers, volumes};
use crate::target::Target;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What operations may use. `drivers` and `target` are there only in a process with the role `volume`.
pub struct Ctx {
    /// The record.
    pub store: Store,
    /// The drivers of this host, by backend name.
    pub drivers: BTreeMap<String, Arc<dyn Driver>>,
    /// The backup stores that this host can reach, by name; there only in a process with the role `volume` or `backup`.
    pub backups: BTreeMap<String, Arc<dyn BackupEngine>>,
    /// The target of this host.
    pub target: Option<Arc<dyn Target>>,
    /// This host's name, the first part of `host@backend#pool`.
    pub host: String,
    /// The zone of this host, and of volumes that ask for none.
    pub availability_zone: String,
    /// What projects may use.
    pub quota: QuotaLimits,
    /// Tells workers and waiters that the journal changed.
    pub doorbell: Doorbell,
    /// Who changes the target.
    pub gate: Gate,
    /// What a detach does about a host that is still logged in.
    pub detach_policy: DetachPolicy,
    /// Whether targets prove themselves to hosts in turn, from the next export on.
    pub mutual_chap: bool,
    /// Faults that the crash harness asks for; empty in a build that people run.
    pub faults: Faults,
}

/// Limits that hold where the record has none, for the project or for the class `default`; -1 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Volumes.
    pub volumes: i64,
    /// Snapshots.
    pub snapshots: i64,
    /// GiB of volumes and snapshots.
    pub gigabytes: i64,
    /// GiB of one volume.
    pub per_volume_gigabytes: i64,
    /// Backups.
    pub backups: i64,
    /// GiB of the volumes that backups are of.
    pub backup_gigabytes: i64,
}

impl QuotaLimits {
    /// The limit of a resource; of what Ashlar does not make yet, Cinder's own defaults.
    pub fn of(&self, resource: Resource) -> i64 {
        match resource {
            Resource::Volumes => self.volumes,
            Resource::Snapshots => self.snapshots,
            Resource::Gigabytes => self.gigabytes,
            Resource::PerVolumeGigabytes => self.per_volume_gigabytes,
            Resource::Backups => self.backups,
            Resource::BackupGigabytes => self.backup_gigabytes,
            Resource::Groups => 10,
        }
    }
}

/// The queue that the role `scheduler` takes from.
pub const SCHEDULER_QUEUE: &str = "scheduler";

/// A lane of a volume service, so that what a host waits for never stands behind hours of copying or overwriting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Milliseconds: connect, disconnect, make empty, extend.
    Quick,
    /// As long as the data is large: snapshots, clones, reverts.
    Copy,
    /// As long as the rate limit makes it: secure delete.
    Wipe,
    /// As long as the backup store makes it: backups and restores.
    Backup,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Lane; 4] = [Lane::Quick, Lane::Copy, Lane::Wipe, Lane::Backup];

    fn as_str(self) -> &'static str {
        match self {
            Lane::Quick => "quick",
            Lane::Copy => "copy",
            Lane::Wipe => "wipe",
            Lane::Backup => "backup",
        }
    }

    /// How many operations of the lane are worked on at once; the rest wait in the journal. Copies and overwrites
    /// share the disks with the hosts.
    pub fn at_once(self) -> usize {
        match self {
            Lane::Quick => 64,
            Lane::Copy | Lane::Wipe => 8,
            // Each is several readers and packers of its own.
            Lane::Backup => 2,
        }
    }
}

/// The queue of a lane of the volume service that owns `host@backend#pool`.
pub fn volume_queue(pool_address: &str, lane: Lane) -> String {
    let backend = pool_address
        .split_once('#')
        .map_or(pool_address, |(backend, _)| backend);
    format!("volume:{backend}:{}", lane.as_str())
}

/// The queue of the backup service `host@store`: what needs the store and no volume.
pub fn backup_queue(service: &str) -> String {
    format!("backup:{service}")
}

/// The queue of the same service for what only looks into the store, and may take as long as all of it takes to read:
/// nothing that changes the store stands behind that.
pub fn look_queue(service: &str) -> String {
    format!("{}:{LOOK}", backup_queue(service))
}

/// What ends the name of a [`look_queue`].
const LOOK: &str = "look";
/// How many operations of a [`backup_queue()`] are worked on at once: what they do changes the store as a whole.
pub const STORE_AT_ONCE: usize = 1;
/// How many of a [`look_queue`]. Each reads with several threads.
pub const LOOKS_AT_ONCE: usize = 2;

/// The plan of every operation that has steps.
pub const PLANS: &[&Plan] = &[
    &create_volume::PLAN,
    &delete_volume::PLAN,
    &extend_volume::PLAN,
    &revert_volume::PLAN,
    &create_snapshot::PLAN,
    &delete_snapshot::PLAN,
    &create_attachment::PLAN,
    &update_attachment::PLAN,
    &delete_attachment::PLAN,
    &initialize_connection::PLAN,
    &terminate_connection::PLAN,
    &detach_volume::PLAN,
    &reset_volume_status::PLAN,
    &force_detach::PLAN,
    &manage_volume::PLAN,
    &unmanage_volume::PLAN,
    &manage_snapshot::PLAN,
    &unmanage_snapshot::PLAN,
    &list_manageable::PLAN,
    &retype_volume::PLAN,
    &create_backup::PLAN,
    &restore_backup::PLAN,
    &delete_backup::PLAN,
    &import_backup::PLAN,
    &verify_backup::PLAN,
    &drill_backup::PLAN,
    &import_store::PLAN,
];

/// The plan of a verb; `None` for one that is done at once.
pub fn plan(verb: Verb) -> Option<&'static Plan> {
    PLANS.iter().copied().find(|plan| plan.verb == verb)
}

/// Refuses whoever is no administrator; `action` in Cinder's words.
fn only_for_admins(caller: &Caller, action: &'static str) -> Result<(), Error> {
    if caller.role == Role::Admin {
        Ok(())
    } else {
        Err(Error::Forbidden { action })
    }
}

/// The volume, if it exists for this caller.
pub async fn visible_volume(ctx: &Ctx, caller: &Caller, id: VolumeId) -> Result<Volume, Error> {
    let found = volumes::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|volume| caller.sees(&volume.project_id))
        .ok_or_else(|| Error::NotFound {
            noun: "Volume",
            id: id.to_string(),
        })
}

/// The snapshot, if it exists for this caller.
pub async fn visible_snapshot(
    ctx: &Ctx,
    caller: &Caller,
    id: SnapshotId,
) -> Result<Snapshot, Error> {
    let found = snapshots::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|snapshot| caller.sees(&snapshot.project_id))
        .ok_or_else(|| Error::NotFound {
            noun: "Snapshot",
            id: id.to_string(),
        })
}

/// The backup, if it exists for this caller.
pub async fn visible_backup(ctx: &Ctx, caller: &Caller, id: BackupId) -> Result<Backup, Error> {
    let found = backups::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|backup| caller.sees(&backup.project_id))
        .ok_or_else(|| Error::NotFound {
            noun: "Backup",
            id: id.to_string(),
        })
}

/// The attachment, if it exists for this caller.
pub async fn visible_attachment(
    ctx: &Ctx,
    caller: &Caller,
    id: AttachmentId,
) -> Result<Attachment, Error> {
    let found = attachments::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|attachment| caller.sees(&attachment.project_id))
        .ok_or_else(|| Error::NotFound {
            noun: "Volume attachment",
            id: id.to_string(),
        })
}

/// The transfer, whosever it is.
async fn get_transfer(ctx: &Ctx, id: TransferId) -> Result<Transfer, Error> {
    let found = transfers::get(&ctx.store, id).await.map_err(unreadable)?;
    found.ok_or_else(|| transfer_not_found(id))
}

/// The transfer, if it exists for this caller: its key opens it to others, but does not show it.
pub async fn visible_transfer(
    ctx: &Ctx,
    caller: &Caller,
    id: TransferId,
) -> Result<Transfer, Error> {
    let found = get_transfer(ctx, id).await?;
    if caller.sees(&found.project_id) {
        Ok(found)
    } else {
        Err(transfer_not_found(id))
    }
}

fn transfer_not_found(id: TransferId) -> Error {
    Error::NotFound {
        noun: "Transfer",
        id: id.to_string(),
    }
}

/// A failed read of the record, as the domain's error.
pub fn unreadable(source: StoreError) -> Error {
    Error::Store {
        doing: "read",
        source,
    }
}

/// A failed write to the record, as the domain's error.
pub fn unwritable(source: StoreError) -> Error {
    Error::Store {
        doing: "written",
        source,
    }
}
