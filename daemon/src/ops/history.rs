//! The journal of an object: who did what to it and when, and which status it had before and after.
//!
//! Read out of the operations, which are its journal; nothing is written down a second time. A status before is what the
//! operation found; one after is what THE TABLE says of how it ended.

use super::Ctx;
use super::begin::{Input, Subject};
use super::journal::end_of;
use crate::model::caller::{Caller, Role};
use crate::model::operation::{Operation, Phase};
use crate::model::status::{self, End, Move, Word};
use crate::store::list::{ListError, ListRequest};
use crate::store::{journal, operations};

/// The status of what is no more, in Cinder's word.
const GONE: &str = "deleted";

/// An operation as the journal of one object tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The operation.
    pub operation: Operation,
    /// The object's status before; `None` when it was made, or was only read.
    pub before: Option<String>,
    /// Its status at the end, or now while it is under way; `None` when it was only read, or when its attachments say.
    pub after: Option<String>,
}

/// A page of an object's journal, the newest first. Of an object that is gone there still is one; of one that this
/// caller may know nothing of it is empty.
pub async fn of_object(
    ctx: &Ctx,
    caller: &Caller,
    object_id: &str,
    mut request: ListRequest,
) -> Result<Vec<Entry>, ListError> {
    request.filters.push(journal::of_object(object_id));
    if caller.role != Role::Admin {
        request
            .filters
            .push(journal::of_project(&caller.project_id));
    }
    let found = operations::list(&ctx.store, &request).await?;
    let entry = |operation| entry(operation, object_id);
    Ok(found.into_iter().map(entry).collect())
}

fn entry(operation: Operation, object_id: &str) -> Entry {
    // What another version wrote is told of without its statuses.
    let input: Input = serde_json::from_str(&operation.input).unwrap_or_default();
    let row = status::row(operation.verb);
    let is = |subject: &&Subject| subject.id == object_id;
    let (before, after) = if let Some(volume) = input.volume.iter().find(is) {
        moved(&operation, volume, row.volume)
    } else if let Some(snapshot) = input.snapshots.iter().find(is) {
        moved(&operation, snapshot, row.snapshot)
    } else if let Some(attachment) = input.attachment.iter().find(is) {
        moved(&operation, attachment, row.attachment)
    } else if let Some(backup) = input.backup.iter().find(is) {
        moved(&operation, backup, row.backup)
    } else {
        (None, None)
    };
    Entry {
        operation,
        before,
        after,
    }
}

fn moved<S: Word>(
    operation: &Operation,
    subject: &Subject,
    one: Option<Move<S>>,
) -> (Option<String>, Option<String>) {
    let (before, shown) = (subject.was.clone(), subject.during.clone());
    let Some(one) = one else {
        return (before.clone(), before);
    };
    // It never stood in a queue.
    let is_at_once = operation.queue.is_empty();
    let after = match (operation.phase, end_of(subject, one, operation.phase)) {
        (_, End::FromAttachments) => None,
        (Phase::Queued | Phase::Running | Phase::Undoing, _) => shown.or_else(|| before.clone()),
        (_, End::Gone) => Some(GONE.to_owned()),
        (_, End::AsAsked) => subject.asked.clone().or(shown),
        (_, End::Previous) => before.clone(),
        // Of what is done at once, the status was shown from its only transaction on.
        (_, End::Is(status)) => shown
            .filter(|_| is_at_once)
            .or_else(|| Some(status.word().to_owned())),
    };
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::OperationId;
    use crate::model::operation::Verb;
    use crate::model::time::Time;
    use serde_json::{Value, json};

    fn statuses(verb: Verb, phase: Phase, object: &str, input: &Value) -> (String, String) {
        let operation = Operation {
            id: OperationId::random(),
            verb,
            queue: crate::ops::plan(verb).map_or("", |_| "q").to_owned(),
            phase,
            project_id: "p".to_owned(),
            user_id: "u".to_owned(),
            owner_id: "p".to_owned(),
            request_id: "r".to_owned(),
            object_id: "v".to_owned(),
            input: input.to_string(),
            steps_done: 0,
            bytes_done: 0,
            bytes_total: 0,
            cancel_requested: false,
            error: None,
            created_at: Time::now(),
            finished_at: None,
            deadline_at: Time::now(),
        };
        let entry = entry(operation, object);
        let word = |status: Option<String>| status.unwrap_or_else(|| "-".to_owned());
        (word(entry.before), word(entry.after))
    }

    fn is(before: &str, after: &str) -> (String, String) {
        (before.to_owned(), after.to_owned())
    }

    #[test]
    fn before_and_after_are_what_the_table_says() {
        let made = json!({"volume": {"id": "v", "during": "creating"}});
        let create = |phase| statuses(Verb::CreateVolume, phase, "v", &made);
        assert_eq!(create(Phase::Running), is("-", "creating"));
        assert_eq!(create(Phase::Done), is("-", "available"));
        assert_eq!(create(Phase::Failed), is("-", "error"));

        let grown = json!({"volume": {"id": "v", "was": "in-use", "during": "extending"}});
        let extend = |phase| statuses(Verb::ExtendVolume, phase, "v", &grown);
        assert_eq!(extend(Phase::Done), is("in-use", "in-use"));
        assert_eq!(extend(Phase::Cancelled), is("in-use", "in-use"));
        assert_eq!(extend(Phase::Failed), is("in-use", "error_extending"));

        let cascade = json!({"volume": {"id": "v", "was": "error", "during": "deleting"},
            "snapshots": [{"id": "s", "was": "available", "during": "deleting"}]});
        let delete = |object, phase| statuses(Verb::DeleteVolume, phase, object, &cascade);
        assert_eq!(delete("v", Phase::Done), is("error", "deleted"));
        assert_eq!(delete("s", Phase::Done), is("available", "deleted"));
        assert_eq!(
            delete("s", Phase::Failed),
            is("available", "error_deleting")
        );
        assert_eq!(delete("elsewhere", Phase::Done), is("-", "-"));

        let asked = json!({"volume": {"id": "v", "was": "error", "asked": "available"}});
        let reset = statuses(Verb::ResetVolumeStatus, Phase::Done, "v", &asked);
        assert_eq!(reset, is("error", "available"));

        // Multiattach: from in-use it stays what it showed at once, not what the table's row says.
        let held = json!({"volume": {"id": "v", "was": "available", "during": "attaching"}});
        let reserve = statuses(Verb::ReserveVolume, Phase::Done, "v", &held);
        assert_eq!(reserve, is("available", "attaching"));
        let detached = json!({"volume": {"id": "v", "was": "detaching"}});
        let detach = statuses(Verb::DeleteAttachment, Phase::Done, "v", &detached);
        assert_eq!(detach, is("detaching", "-"));

        // Of another version.
        let odd = statuses(Verb::DeleteVolume, Phase::Done, "v", &json!({"volume": 7}));
        assert_eq!(odd, is("-", "-"));
    }
}
