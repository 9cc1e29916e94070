//! The ends of operations: which status each object gets, by THE TABLE; and the wish to cancel.

use super::begin::Subject;
use super::steps::Job;
use super::{Ctx, messages, unreadable, unwritable};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::OperationId;
use crate::model::operation::{Operation, Phase};
use crate::model::status::{
    self, AttachmentStatus, BackupStatus, End, Move, SnapshotStatus, VolumeStatus, Word,
};
use crate::store::statuses::{self, Noun};
use crate::store::{Batch, StoreError, attachments, backups, operations, snapshots, volumes};

/// The last batch of an operation: the last status of each object, the release of the claims, the end of its row.
pub(super) fn ends(job: &Job, phase: Phase, error: Option<&str>) -> Batch {
    let row = status::row(job.operation.verb);
    let mut batch = Batch::new();
    for subject in &job.input.snapshots {
        end(
            &mut batch,
            Noun::Snapshot,
            subject,
            row.snapshot,
            phase,
            SnapshotStatus::parse,
        );
    }
    if let Some(subject) = &job.input.attachment {
        end(
            &mut batch,
            Noun::Attachment,
            subject,
            row.attachment,
            phase,
            AttachmentStatus::parse,
        );
    }
    if let Some(subject) = &job.input.volume {
        end(
            &mut batch,
            Noun::Volume,
            subject,
            row.volume,
            phase,
            VolumeStatus::parse,
        );
    }
    if let Some(subject) = &job.input.backup {
        end(
            &mut batch,
            Noun::Backup,
            subject,
            row.backup,
            phase,
            BackupStatus::parse,
        );
    }
    operations::finish(&mut batch, job.operation.id, phase, error);
    // Of what is about no object (a list, the import of a store) whoever asked is told by the operation itself.
    if phase == Phase::Failed && job.input.has_subject() {
        messages::why_failed(&mut batch, &job.operation, &job.input, error);
    }
    batch
}

/// Where an operation that ends in `phase` leaves an object, by THE TABLE.
pub(super) fn end_of<S: Word>(subject: &Subject, one: Move<S>, phase: Phase) -> End<S> {
    match phase {
        Phase::Done => one.done,
        // A cancelled operation ends where it began; what it made is what a failed one leaves.
        Phase::Cancelled if subject.was.is_some() && one.failed != End::FromAttachments => {
            End::Previous
        }
        Phase::Cancelled | Phase::Failed | Phase::Queued | Phase::Running | Phase::Undoing => {
            one.failed
        }
    }
}

fn end<S: Word>(
    batch: &mut Batch,
    noun: Noun,
    subject: &Subject,
    one: Option<Move<S>>,
    phase: Phase,
    parse: fn(&str) -> Option<S>,
) {
    let Some(one) = one else { return };
    let end = end_of(subject, one, phase);
    let shown = subject.during.as_deref().and_then(parse);
    let was = subject.was.as_deref().and_then(parse);
    // What it shows now: what begin set, or what it had.
    let now = shown.or(was);
    match (end, now) {
        (End::Is(status), Some(now)) if now != status => {
            statuses::change(batch, noun, &subject.id, &[now], status);
        }
        (End::AsAsked, Some(now)) => {
            if let Some(asked) = subject.asked.as_deref().and_then(parse)
                && asked != now
            {
                statuses::change(batch, noun, &subject.id, &[now], asked);
            }
        }
        (End::Previous, Some(now)) => {
            if let Some(was) = was
                && was != now
            {
                statuses::change(batch, noun, &subject.id, &[now], was);
            }
        }
        (End::Gone, _) => remove(batch, noun, &subject.id),
        (End::FromAttachments, _) => statuses::from_attachments(batch, &subject.id),
        (End::Is(_), _) | (End::Previous | End::AsAsked, None) => {}
    }
}

/// Adds the removal of an object's row.
pub(super) fn remove(batch: &mut Batch, noun: Noun, id: &str) {
    let sql = match noun {
        Noun::Volume => volumes::DELETE,
        Noun::Snapshot => snapshots::DELETE,
        Noun::Attachment => attachments::DELETE,
        Noun::Backup => backups::DELETE,
    };
    batch.add(sql, vec![id.into()]);
}

/// The operation, if it exists for this caller.
pub async fn get_operation(
    ctx: &Ctx,
    caller: &Caller,
    id: OperationId,
) -> Result<Operation, Error> {
    let found = operations::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|operation| caller.sees(&operation.project_id))
        .ok_or_else(|| Error::NotFound {
            noun: "Operation",
            id: id.to_string(),
        })
}

/// Asks an operation to stop. It stops before its next step that allows it, or in the middle of long work, is undone,
/// and ends as cancelled; one that can no longer be stopped ends as it would have.
pub async fn cancel(ctx: &Ctx, caller: &Caller, id: OperationId) -> Result<(), Error> {
    let operation = get_operation(ctx, caller, id).await?;
    match ctx.store.write(operations::request_cancel(id)).await {
        Ok(()) => {
            ctx.doorbell.ring();
            Ok(())
        }
        Err(StoreError::Conflict { .. }) => Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Operation {id} ({}) is {} and cannot be cancelled any more.",
                operation.verb.as_str(),
                operation.phase.as_str()
            ),
        })),
        Err(error) => Err(unwritable(error)),
    }
}
