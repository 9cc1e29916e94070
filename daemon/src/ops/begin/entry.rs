//! What the record keeps of an operation from its beginning on: its row, and which objects' journals it stands in.

use super::{Beginning, Mode};
use crate::model::operation::{Operation, Phase};
use crate::model::time::Time;
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
}
