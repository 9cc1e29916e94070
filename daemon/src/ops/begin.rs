//! The first half of every operation: one guarded transaction that accepts it whole or refuses it with a reason.
//!
//! A [`Beginning`] gathers what the operation takes up: the objects it moves (by THE TABLE), those it only reads,
//! the quota it takes and the rules of its own. `commit` writes all of it together with the operation's row; the
//! decision is made by the statements' guards, never by what was read before. When a guard stops the batch, the
//! objects are looked at once more, only to say why.

mod entry;
mod explain;
mod needs;
mod quota;

use super::{Ctx, unwritable};
use crate::error::{Error, Refusal};
use crate::meter;
use crate::model::attachment::Attachment;
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::id::{OperationId, VolumeId};
use crate::model::operation::{Phase, Verb};
use crate::model::snapshot::Snapshot;
use crate::model::status::{self, End, Move, Row, Word};
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::operations::Mode;
use crate::store::statuses::{self, Noun};
use crate::store::{
    Batch, Guard, Sql, StoreError, Value, attachments, backups, intent, operations, snapshots,
    volumes,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a request waits for an object that a running operation holds, before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an operation is about, kept in its row: the objects that it moves with the statuses they had, and what was
/// asked. Texts, because the journal must be readable by other versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Input {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) volume: Option<Subject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) snapshots: Vec<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attachment: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backup: Option<Subject>,
    #[serde(default)]
    pub(super) asked: serde_json::Value,
}

impl Input {
    /// Whether the operation is about any object of somebody's.
    pub(super) fn has_subject(&self) -> bool {
        let one = [&self.volume, &self.attachment, &self.backup];
        !self.snapshots.is_empty() || one.into_iter().any(Option::is_some)
    }
}

/// An object that an operation moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) id: String,
    /// Its status before; `None` when the operation made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<String>,
    /// Its status meanwhile; `None` when it keeps the one it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) during: Option<String>,
    /// Its status at the end, when the request names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<String>,
}

/// A status that a guard wants, to say so when it is not met.
struct Wanted {
    noun: Noun,
    id: String,
    statuses: Vec<&'static str>,
}

/// An operation that is being begun.
pub(super) struct Beginning<'a> {
    ctx: &'a Ctx,
    caller: &'a Caller,
    row: &'static Row,
    id: OperationId,
    object_id: String,
    /// Whose the object is.
    owner: Option<String>,
    batch: Batch,
    input: Input,
    claims: Vec<(String, Noun, Mode)>,
    wanted: Vec<Wanted>,
    taken: Vec<quota::Taken>,
    rules: Vec<(&'static str, Option<Error>)>,
}

impl<'a> Beginning<'a> {
    /// The beginning of `verb` on the object `object_id`.
    pub(super) fn new(
        ctx: &'a Ctx,
        caller: &'a Caller,
        verb: Verb,
        object_id: &impl ToString,
    ) -> Self {
        Self {
            ctx,
            caller,
            row: status::row(verb),
            id: OperationId::random(),
            object_id: object_id.to_string(),
            owner: None,
            batch: Batch::new(),
            input: Input::default(),
            claims: Vec::new(),
            wanted: Vec::new(),
            taken: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The operation's id, for what the record says of who did it.
    pub(super) fn id(&self) -> OperationId {
        self.id
    }

    /// Makes a volume; its row carries the table's *during*.
    pub(super) fn makes_volume(&mut self, volume: &Volume) {
        self.belongs_to(&volume.project_id);
        self.batch
            .add(volumes::INSERT, volumes::insert_values(volume));
        self.input.volume = Some(made(&volume.id, volume.status));
        self.claim(Noun::Volume, &volume.id, Mode::Exclusive);
    }

    /// Makes a snapshot.
    pub(super) fn makes_snapshot(&mut self, snapshot: &Snapshot) {
        self.belongs_to(&snapshot.project_id);
        self.batch
            .add(snapshots::INSERT, snapshots::insert_values(snapshot));
        self.input
            .snapshots
            .push(made(&snapshot.id, snapshot.status));
        self.claim(Noun::Snapshot, &snapshot.id, Mode::Exclusive);
    }

    /// Makes an attachment.
    pub(super) fn makes_attachment(&mut self, attachment: &Attachment) {
        self.belongs_to(&attachment.project_id);
        self.batch
            .add(attachments::INSERT, attachments::insert_values(attachment));
        self.input.attachment = Some(made(&attachment.id, attachment.status));
        self.claim(Noun::Attachment, &attachment.id, Mode::Exclusive);
    }

    /// Makes a backup, unless there is one of this id already.
    pub(super) fn makes_backup(&mut self, backup: &Backup) {
        self.belongs_to(&backup.project_id);
        let exists = Refusal::Rule {
            why: "Invalid backup: Backup already exists in database.".to_owned(),
        };
        let values = backups::insert_values(backup);
        self.rule(backups::INSERT, values, Error::Refused(exists));
        self.input.backup = Some(made(&backup.id, backup.status));
        self.claim(Noun::Backup, &backup.id, Mode::Exclusive);
    }

    /// Moves a volume as the table says.
    pub(super) fn moves_volume(&mut self, volume: &Volume) {
        if let Some(one) = self.row.volume {
            self.moves_volume_from(volume, one.from, self.shown(one));
        }
    }

    /// Moves a volume from other statuses than the table's, or shows another one meanwhile; the table's note says when.
    pub(super) fn moves_volume_from(
        &mut self,
        volume: &Volume,
        from: &[status::VolumeStatus],
        during: Option<status::VolumeStatus>,
    ) {
        self.belongs_to(&volume.project_id);
        self.input.volume = Some(self.moves(Noun::Volume, &volume.id, volume.status, from, during));
        self.needs_volumes_owner(volume);
    }

    /// Moves a volume to the status that the request names.
    pub(super) fn moves_volume_to(
        &mut self,
        volume: &Volume,
        from: &[status::VolumeStatus],
        during: Option<status::VolumeStatus>,
        asked: status::VolumeStatus,
    ) {
        self.belongs_to(&volume.project_id);
        let mut moved = self.moves(Noun::Volume, &volume.id, volume.status, from, during);
        moved.asked = Some(asked.as_str().to_owned());
        self.input.volume = Some(moved);
        self.needs_volumes_owner(volume);
    }

    /// Moves a snapshot to the status that the request names, at once.
    pub(super) fn moves_snapshot_to(
        &mut self,
        snapshot: &Snapshot,
        from: &[status::SnapshotStatus],
        asked: status::SnapshotStatus,
    ) {
        self.belongs_to(&snapshot.project_id);
        let (id, was) = (&snapshot.id, snapshot.status);
        let moved = self.moves(Noun::Snapshot, id, was, from, Some(asked));
        self.input.snapshots.push(moved);
        self.needs_snapshots_owner(snapshot);
    }

    /// Moves a snapshot from other statuses than the table's; the table's note says when.
    pub(super) fn moves_snapshot_from(
        &mut self,
        snapshot: &Snapshot,
        from: &[status::SnapshotStatus],
    ) {
        if let Some(one) = self.row.snapshot {
            self.belongs_to(&snapshot.project_id);
            let shown = self.shown(one);
            let (id, was) = (&snapshot.id, snapshot.status);
            let moved = self.moves(Noun::Snapshot, id, was, from, shown);
            self.input.snapshots.push(moved);
            self.needs_snapshots_owner(snapshot);
        }
    }

    /// Moves a snapshot as the table says.
    pub(super) fn moves_snapshot(&mut self, snapshot: &Snapshot) {
        if let Some(one) = self.row.snapshot {
            self.moves_snapshot_from(snapshot, one.from);
        }
    }

    /// Moves a backup as the table says.
    pub(super) fn moves_backup(&mut self, backup: &Backup) {
        if let Some(one) = self.row.backup {
            self.moves_backup_from(backup, one.from);
        }
    }

    /// Moves a backup from other statuses than the table's; the table's note says when.
    pub(super) fn moves_backup_from(&mut self, backup: &Backup, from: &[status::BackupStatus]) {
        if let Some(one) = self.row.backup {
            self.belongs_to(&backup.project_id);
            let shown = self.shown(one);
            let moved = self.moves(Noun::Backup, &backup.id, backup.status, from, shown);
            self.input.backup = Some(moved);
        }
    }

    /// Moves a backup to the status that the request names, at once.
    pub(super) fn moves_backup_to(
        &mut self,
        backup: &Backup,
        from: &[status::BackupStatus],
        asked: status::BackupStatus,
    ) {
        self.belongs_to(&backup.project_id);
        let moved = self.moves(Noun::Backup, &backup.id, backup.status, from, Some(asked));
        self.input.backup = Some(moved);
    }

    /// Moves an attachment as the table says.
    pub(super) fn moves_attachment(&mut self, attachment: &Attachment) {
        if let Some(one) = self.row.attachment {
            self.belongs_to(&attachment.project_id);
            let shown = self.shown(one);
            let moved = self.moves(
                Noun::Attachment,
                &attachment.id,
                attachment.status,
                one.from,
                shown,
            );
            self.input.attachment = Some(moved);
        }
    }

    /// What an object shows from the begin transaction on: of an operation that is done at once, already its end.
    fn shown<S: Word>(&self, one: Move<S>) -> Option<S> {
        match one.done {
            End::Is(status) if super::plan(self.row.verb).is_none() => Some(status),
            End::Is(_) | End::Previous | End::AsAsked | End::Gone | End::FromAttachments => {
                one.during
            }
        }
    }

    fn moves<S: Word>(
        &mut self,
        noun: Noun,
        id: &impl ToString,
        was: S,
        from: &[S],
        during: Option<S>,
    ) -> Subject {
        let id = id.to_string();
        // The journal keeps the status that was read, and an operation may end there again: so it must be what the
        // guard finds, too, and not one that went by in between. What ends as its attachments say needs no memory.
        let ends_by_attachments = noun == Noun::Volume
            && (self.row.volume).is_some_and(|one| one.done == End::FromAttachments);
        let met: Vec<S> = from
            .iter()
            .copied()
            .filter(|status| ends_by_attachments || *status == was)
            .collect();
        match during {
            Some(during) => statuses::change(&mut self.batch, noun, &id, &met, during),
            None => statuses::hold(&mut self.batch, noun, &id, &met),
        }
        self.want(noun, &id, from);
        self.claim(noun, &id, Mode::Exclusive);
        Subject {
            id,
            was: Some(was.word().to_owned()),
            during: during.map(|status| status.word().to_owned()),
            asked: None,
        }
    }

    /// Reads a volume: it stays as it is, and nobody else may change it until the end.
    pub(super) fn reads_volume(&mut self, volume: &Volume) {
        let from = self.row.source_volume;
        statuses::hold(&mut self.batch, Noun::Volume, &volume.id.to_string(), from);
        self.want(Noun::Volume, &volume.id.to_string(), from);
        self.claim(Noun::Volume, &volume.id, Mode::Shared);
        self.needs_volumes_owner(volume);
    }

    /// Reads a snapshot.
    pub(super) fn reads_snapshot(&mut self, snapshot: &Snapshot) {
        let from = self.row.source_snapshot;
        statuses::hold(
            &mut self.batch,
            Noun::Snapshot,
            &snapshot.id.to_string(),
            from,
        );
        self.want(Noun::Snapshot, &snapshot.id.to_string(), from);
        self.claim(Noun::Snapshot, &snapshot.id, Mode::Shared);
        self.needs_snapshots_owner(snapshot);
    }

    /// Reads a backup. It is what the operation is about, so that a failure is told of it.
    pub(super) fn reads_backup(&mut self, backup: &Backup) {
        self.belongs_to(&backup.project_id);
        let (id, from) = (backup.id.to_string(), self.row.source_backup);
        statuses::hold(&mut self.batch, Noun::Backup, &id, from);
        self.want(Noun::Backup, &id, from);
        self.claim(Noun::Backup, &id, Mode::Shared);
        self.input.backup = Some(Subject {
            id,
            was: Some(backup.status.as_str().to_owned()),
            during: None,
            asked: None,
        });
    }

    /// Keeps an object that is neither moved nor read from changing, without a look at its status.
    pub(super) fn shares_volume(&mut self, volume: VolumeId) {
        self.claim(Noun::Volume, &volume, Mode::Shared);
    }

    /// Lets the operation begin also while the disk under the record is full: it is what makes room again.
    pub(super) fn frees_room(&mut self) {
        self.batch.essential();
    }

    /// Shows of a volume at once what its attachments say, a new one included.
    pub(super) fn shows_attachments(&mut self, volume: &Volume) {
        statuses::from_attachments(&mut self.batch, &volume.id.to_string());
    }

    /// A rule of the operation's own: the statement must touch a row, else the request is refused with `refusal`.
    pub(super) fn rule(&mut self, sql: Sql, values: Vec<Value>, refusal: Error) {
        self.batch.guard(sql.name, sql, values);
        self.rules.push((sql.name, Some(refusal)));
    }

    /// A further statement of the same transaction.
    pub(super) fn also(&mut self, sql: Sql, values: Vec<Value>) {
        self.batch.add(sql, values);
    }

    /// What was asked, for the steps.
    pub(super) fn asks(&mut self, asked: serde_json::Value) {
        self.input.asked = asked;
    }

    fn claim(&mut self, noun: Noun, id: &impl ToString, mode: Mode) {
        self.claims.push((id.to_string(), noun, mode));
    }

    fn want<S: Word>(&mut self, noun: Noun, id: &str, from: &[S]) {
        let statuses = from.iter().map(|status| status.word()).collect();
        self.wanted.push(Wanted {
            noun,
            id: id.to_owned(),
            statuses,
        });
    }

    /// Writes it all and rings; the worker of `queue` does the rest.
    pub(super) async fn commit(mut self, queue: String) -> Result<OperationId, Error> {
        let deadline = super::plan(self.row.verb).map_or(PATIENCE, |plan| plan.deadline);
        let operation = self.operation(queue, Phase::Queued, Time::after(deadline));
        let mut batch = Batch::new();
        operations::insert(&mut batch, &operation);
        self.enter(&mut batch);
        batch.extend(std::mem::take(&mut self.batch));
        self.take_quotas(&mut batch);
        // Sorted, so that two operations that want the same objects never wait for each other in a circle.
        self.claims.sort_by(|a, b| a.0.cmp(&b.0));
        for (id, noun, mode) in &self.claims {
            operations::claim(&mut batch, self.id, *noun, id, *mode);
        }
        self.write(batch).await?;
        tracing::info!(
            operation = %self.id, verb = self.row.verb.as_str(), object_id = %self.object_id, "begun"
        );
        Ok(self.id)
    }

    /// For an operation without steps: writes it as done, with its objects in their last status. `ends` adds what
    /// else changes.
    pub(super) async fn commit_at_once(mut self, ends: Batch) -> Result<(), Error> {
        let operation = self.operation(String::new(), Phase::Done, Time::now());
        let mut batch = Batch::new();
        operations::insert(&mut batch, &operation);
        self.enter(&mut batch);
        if let Some(volume) = &self.input.volume {
            operations::is_free(&mut batch, Noun::Volume, &volume.id);
        }
        for snapshot in &self.input.snapshots {
            operations::is_free(&mut batch, Noun::Snapshot, &snapshot.id);
        }
        if let Some(backup) = &self.input.backup {
            operations::is_free(&mut batch, Noun::Backup, &backup.id);
        }
        batch.extend(std::mem::take(&mut self.batch));
        self.take_quotas(&mut batch);
        batch.extend(ends);
        batch.extend(self.ends());
        self.write(batch).await?;
        tracing::info!(
            operation = %self.id, verb = self.row.verb.as_str(), object_id = %self.object_id, "done"
        );
        meter::operation_ended(self.row.verb, Phase::Done, 0.0);
        Ok(())
    }

    /// Writes the batch. While another operation holds an object, tries again at every ring until patience ends.
    async fn write(&mut self, mut batch: Batch) -> Result<(), Error> {
        let mut listener = self.ctx.doorbell.listen();
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.ctx.store.write(batch.clone()).await {
                Ok(()) => {
                    self.ctx.doorbell.ring();
                    return Ok(());
                }
                Err(StoreError::Conflict { guard })
                    if intent::is_rehearsal() && guard != intent::REHEARSED =>
                {
                    // Passed over, to find what else is in the way.
                    let refusal = self.explain(guard).await?;
                    intent::note_refusal(refusal.to_string());
                    pass_over(&mut batch, guard);
                }
                Err(StoreError::Conflict { guard: "claim" })
                    if tokio::time::Instant::now() < patience =>
                {
                    listener.heard().await;
                }
                Err(StoreError::Conflict { guard }) => return Err(self.explain(guard).await?),
                Err(error) => return Err(unwritable(error)),
            }
        }
    }
}

fn pass_over(batch: &mut Batch, guard: &str) {
    for statement in &mut batch.statements {
        if matches!(statement.guard, Guard::AtLeastOne(name) if name == guard) {
            statement.guard = Guard::None;
        }
    }
}

fn made<S: Word>(id: &impl ToString, status: S) -> Subject {
    Subject {
        id: id.to_string(),
        was: None,
        during: Some(status.word().to_owned()),
        asked: None,
    }
}
