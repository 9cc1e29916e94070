//! What the record keeps of an operation from its beginning on: its row, which objects' journals it stands in, and where
//! one that is done at once leaves its objects.

use super::{Beginning, Mode, Subject};
use crate::model::operation::{Operation, Phase};
use crate::model::status::{End, Move, Word};
use crate::model::time::Time;
use crate::store::statuses::{self, Noun};
use crate::store::{Batch, journal};

impl Beginning<'_> {
    /// Notes whose the object is. The first word counts: what is made or moved first is what the operation is about.
    pub(super) fn belongs_to(&mut self, project_id: &str) {
        self.owner.get_or_insert_with(|| project_id.to_owned());
    }

    /// The row of the operation.
    pub(super) fn operation(&self, queue: String, phase: Phase, deadline_at: Time) -> Operation {
        let now = Time::now();
        Operation {
            id: self.id,
            verb: self.row.verb,
            queue,
            phase,
            project_id: self.caller.project_id.clone(),
            user_id: self.caller.user_id.clone(),
            owner_id: self.owner.clone().unwrap_or_default(),
            request_id: self.caller.request_id.clone(),
            object_id: self.object_id.clone(),
            input: serde_json::to_string(&self.input).unwrap_or_default(),
            steps_done: 0,
            bytes_done: 0,
            bytes_total: 0,
            cancel_requested: false,
            error: None,
            finished_at: phase.is_over().then(|| now.clone()),
            created_at: now,
            deadline_at,
        }
    }

    /// Enters the operation into the journals of the objects that it moves or reads beside its own: an attach into
    /// the volume's, a copy into the source's, a cascade into the snapshots'.
    pub(super) fn enter(&self, batch: &mut Batch) {
        let mut others: Vec<&str> = self
            .claims
            .iter()
            .map(|(id, _, _): &(String, _, Mode)| id.as_str())
            .filter(|id| *id != self.object_id)
            .collect();
        others.sort_unstable();
        others.dedup();
        for id in others {
            journal::enter(batch, self.id, id);
        }
    }

    /// Enters the operation into the journal of an object that it does not touch, and that may be gone.
    pub(in crate::ops) fn is_told_of(&mut self, object_id: &impl ToString) {
        journal::enter(&mut self.batch, self.id, &object_id.to_string());
    }

    /// The last statuses of an operation that is done at once.
    pub(super) fn ends(&self) -> Batch {
        let mut batch = Batch::new();
        if let (Some(subject), Some(one)) = (&self.input.attachment, self.row.attachment) {
            at_once(&mut batch, Noun::Attachment, subject, one);
        }
        if let (Some(subject), Some(one)) = (&self.input.volume, self.row.volume) {
            at_once(&mut batch, Noun::Volume, subject, one);
        }
        if let (Some(subject), Some(one)) = (&self.input.backup, self.row.backup) {
            at_once(&mut batch, Noun::Backup, subject, one);
        }
        batch
    }
}

fn at_once<S: Word>(batch: &mut Batch, noun: Noun, subject: &Subject, one: Move<S>) {
    match one.done {
        End::FromAttachments => statuses::from_attachments(batch, &subject.id),
        End::Gone => crate::ops::journal::remove(batch, noun, &subject.id),
        // Shown since the begin of the same transaction.
        End::Is(_) | End::Previous | End::AsAsked => {}
    }
}
